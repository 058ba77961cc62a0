"""What the forecaster learns from on a user's own history: excerpts of series, and the later values of each.

A history is split by time: what lies in the last fifth of a series is never trained on, and validation judges it. A
forecast from before the split whose target lies behind it belongs to neither. What is masked, such as the points of
episodes, is neither forecast nor a target; the network still sees it, as it does when it scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.examples import HELD_BACK, SETTLING_POINTS, Examples
from detectors.frontend import see_series
from detectors.groups import OWN_INPUTS
from detectors.network import CLOCK_INPUTS, FIELD_INPUTS, joint_inputs
from detectors.profiles import PROFILES, Profile

DROPPED = 0.15
"""Chance that a field of a joint excerpt is missing over a part of it, so that missing fields are nothing new."""


@dataclass(frozen=True, slots=True)
class Track:
    """The points of one lane of m points.

    Attributes:
        values: (m,) float64, finite.
        time_us: (m,) int64, rising.
        step: (m,) int64, rising: which step of its series each is.
        is_masked: (m,) bool, neither forecast from nor a target.
    """

    values: NDArray[np.float64]
    time_us: NDArray[np.int64]
    step: NDArray[np.int64]
    is_masked: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Series:
    """A lane, or all lanes of a key, step by step.

    Attributes:
        inputs: (steps, inputs) float32.
        targets: (steps, fields * horizons) float32, NaN where nothing is to be learned or judged.
        split: first step that is held back.
        begin: first step that is learned from; what comes before brings the state to where scoring has it.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    split: int
    begin: int = 0


def least_steps(horizons: Sequence[int]) -> int:
    """Steps that a series needs to be learned from."""
    return HELD_BACK * (max(horizons) + SETTLING_POINTS)


def first_held_back(steps: int, begin: int = 0) -> int:
    """The step from which so many are held back, where those from a step on are learned from."""
    return steps - (steps - begin) // HELD_BACK


def is_dead(values: NDArray[np.float64], least: int) -> NDArray[np.bool_]:
    """Which points (m,) are of a run of so many or more equal values: a lane that tells nothing for so long is dead.

    Its forecasts are certain, and what is gained by being ever more so would outweigh all that other lanes teach.
    """
    if not len(values):
        return np.zeros(0, np.bool_)
    first = np.flatnonzero(np.diff(values, prepend=np.nan) != 0)  # of each run
    lengths = np.diff(first, append=len(values))
    return np.repeat(lengths >= least, lengths)


def lane_series(
    track: Track, horizons: Sequence[int], profile: Profile = PROFILES["balanced"], begin: int = 0
) -> Series:
    """The series of a lane for a shared network; its steps are the lane's own points, learned from one of them on."""
    track = Track(track.values, track.time_us, np.arange(len(track.values)), track.is_masked)
    split = first_held_back(len(track.values), begin)
    inputs, targets = _see(track, horizons, split, profile)
    targets[:begin] = np.nan
    return Series(inputs, targets, split, begin)


def joint_series(
    tracks: Sequence[Track],
    steps: int,
    horizons: Sequence[int],
    profile: Profile = PROFILES["balanced"],
    begin: int = 0,
) -> Series:
    """The series of a key for a joint network.

    Args:
        tracks: of each field in the network's order; of no points where a field has none.
        steps: of the key.
        horizons: in points of a field's own, whatever the others have.
        profile: whose look-back to use.
        begin: first step that is learned from.
    """
    split, width = first_held_back(steps, begin), len(horizons)
    inputs = np.zeros((steps, joint_inputs(len(tracks))), np.float32)
    targets = np.full((steps, len(tracks) * width), np.nan, np.float32)
    for place in reversed(range(len(tracks))):  # so that the first field that is there tells the time
        track = tracks[place]
        seen, theirs = _see(track, horizons, split, profile)
        base = place * FIELD_INPUTS
        inputs[track.step, base : base + OWN_INPUTS] = seen[:, :OWN_INPUTS]
        inputs[track.step, base + OWN_INPUTS] = 1.0
        inputs[track.step, -CLOCK_INPUTS:] = seen[:, OWN_INPUTS:]
        targets[track.step, place * width : (place + 1) * width] = theirs
    targets[:begin] = np.nan
    return Series(inputs, targets, split, begin)


def _see(
    track: Track, horizons: Sequence[int], split: int, profile: Profile
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Inputs (m, INPUTS) and targets (m, horizons) of a lane's points.

    As when scoring, no forecast is answered across a gap. None leads across the split.
    """
    count = len(track.values)
    targets = np.full((count, len(horizons)), np.nan, np.float32)
    seen = see_series(track.values, track.time_us, profile)
    for k, horizon in enumerate(horizons):
        if horizon >= count:
            continue
        later, now = slice(horizon, None), slice(None, -horizon)
        unusable = track.is_masked[now] | track.is_masked[later] | (seen.run[later] <= horizon)
        unusable |= (track.step[now] < split) & (track.step[later] >= split)
        with np.errstate(over="ignore"):
            z = np.arcsinh((track.values[later] - seen.mean[now]) / seen.sd[now])
        targets[now, k] = np.where(unusable | ~np.isfinite(z), np.nan, z)
    targets[:SETTLING_POINTS] = np.nan
    return seen.inputs, targets


@dataclass(frozen=True, slots=True)
class Draw:
    """Where excerpts lie.

    Attributes:
        index: (n,) which series each is of.
        stop: (n,) the step before which it ends.
        dropped: (drops, 4) excerpt, field, and the steps of the excerpt from and up to which the field is taken away.
    """

    index: NDArray[np.int64]
    stop: NDArray[np.int64]
    dropped: NDArray[np.int64]

    def of(self, part: slice) -> "Draw":
        """Some of the excerpts, with what is dropped of them."""
        places = np.full(len(self.index), -1)
        places[part] = np.arange(len(self.index[part]))
        dropped = self.dropped[places[self.dropped[:, 0]] >= 0]
        dropped[:, 0] = places[dropped[:, 0]]
        return Draw(self.index[part], self.stop[part], dropped)

    def gone(self, steps: int, fields: int) -> NDArray[np.bool_]:
        """Which fields are taken away: (n, steps, fields)."""
        gone = np.zeros((len(self.index), steps, fields), np.bool_)
        for row, place, first, last in self.dropped.tolist():
            gone[row, first:last, place] = True
        return gone


@dataclass(frozen=True, slots=True)
class Excerpts:
    """Excerpts of series, drawn at random to train on, and evenly spread to judge by.

    Attributes:
        series: of `least_steps` or more each, of which each is drawn from as often as any other, however long.
        context: first steps of an excerpt, that bring the state to where scoring would have it; they have no targets.
        length: steps behind them.
        fields: of a joint network; 1 of a shared one.
    """

    series: Sequence[Series]
    context: int
    length: int
    fields: int = 1

    def __post_init__(self) -> None:
        shortest = min((series.split for series in self.series), default=0)
        if self.length < 1 or not 0 <= self.context <= shortest - self.length:
            raise ValueError(
                f"found excerpts of {self.context} and {self.length} steps; expected at most {shortest} together, as "
                "many as the shortest series has before what is held back"
            )

    @property
    def steps(self) -> int:
        """Of an excerpt, its context included."""
        return self.context + self.length

    def choose(self, rng: np.random.Generator, count: int) -> Draw:
        """Where so many excerpts of what is not held back lie, and what is taken away from them."""
        index = rng.integers(len(self.series), size=count)
        splits = np.array([series.split for series in self.series])
        # where all is learned from, the first to end has all of its context; else one that ends behind the beginning
        first = np.array([max(self.steps, min(one.begin + self.length, one.split)) for one in self.series])
        stop = rng.integers(first[index], splits[index] + 1)
        dropped: list[tuple[int, int, int, int]] = []
        if self.fields > 1:
            for row, place in np.argwhere(rng.random((count, self.fields)) < DROPPED).tolist():
                first, last = np.sort(rng.integers(self.steps + 1, size=2)).tolist()
                dropped.append((row, place, first, last))
        return Draw(index, stop, np.array(dropped, np.int64).reshape(-1, 4))

    def draw(self, rng: np.random.Generator, count: int) -> Examples:
        """So many excerpts of what is not held back."""
        draw = self.choose(rng, count)
        examples = self._cut(list(zip(draw.index.tolist(), draw.stop.tolist(), strict=True)))
        if len(draw.dropped):
            gone = draw.gone(self.steps, self.fields)
            examples.inputs[..., : self.fields * FIELD_INPUTS][gone.repeat(FIELD_INPUTS, -1)] = 0.0
            examples.targets[gone.repeat(examples.targets.shape[2] // self.fields, -1)] = np.nan
        return examples

    def held_back(self, count: int) -> Examples:
        """About so many excerpts of what is held back, evenly over series and time; they begin before it if need be."""
        chosen = np.unique(np.linspace(0, len(self.series) - 1, min(count, len(self.series))).astype(np.int64))
        each = max(count // len(chosen), 1)
        ends = []
        for index in chosen.tolist():
            series = self.series[index]
            steps = len(series.inputs)
            useful = -(-(steps - series.split) // self.length)  # more would judge the same steps again
            first = min(series.split + self.length, steps)
            stops = np.unique(np.linspace(steps, first, min(each, useful)).astype(np.int64))
            ends += [(index, stop) for stop in stops.tolist()]
        examples = self._cut(ends)
        for row, (index, stop) in enumerate(ends):
            before = self.series[index].split - (stop - self.steps)
            examples.targets[row, : max(before, 0)] = np.nan
        return examples

    def _cut(self, ends: Sequence[tuple[int, int]]) -> Examples:
        """The excerpts that end before a step of a series each."""
        inputs = np.stack([self.series[index].inputs[stop - self.steps : stop] for index, stop in ends])
        targets = np.stack([self.series[index].targets[stop - self.steps : stop] for index, stop in ends])
        targets[:, : self.context] = np.nan
        return Examples(inputs, targets)
