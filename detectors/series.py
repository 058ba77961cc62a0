"""A user's own history as the forecaster sees it: series of inputs, and the later values of each step.

A history is split by time: what lies in the last fifth of a series is never trained on, and validation judges it. A
forecast from before the split whose target lies behind it belongs to neither. What is masked, such as the points of
episodes, is neither forecast nor a target; the network still sees it, as it does when it scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.examples import HELD_BACK, SETTLING_POINTS
from detectors.frontend import see_series
from detectors.groups import OWN_INPUTS
from detectors.network import CLOCK_INPUTS, FIELD_INPUTS, joint_inputs
from detectors.profiles import PROFILES, Profile


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
    track: Track,
    horizons: Sequence[int],
    profile: Profile = PROFILES["balanced"],
    begin: int = 0,
    split: int | None = None,
) -> Series:
    """The series of a lane for a shared network; its steps are the lane's own points; else as `joint_series`."""
    track = Track(track.values, track.time_us, np.arange(len(track.values)), track.is_masked)
    split = first_held_back(len(track.values), begin) if split is None else split
    inputs, targets = _see(track, horizons, split, profile)
    targets[:begin] = np.nan
    return Series(inputs, targets, split, begin)


def joint_series(
    tracks: Sequence[Track],
    steps: int,
    horizons: Sequence[int],
    profile: Profile = PROFILES["balanced"],
    begin: int = 0,
    split: int | None = None,
) -> Series:
    """The series of a key for a joint network.

    Args:
        tracks: of each field in the network's order; of no points where a field has none.
        steps: of the key.
        horizons: in points of a field's own, whatever the others have.
        profile: whose look-back to use.
        begin: first step that is learned from.
        split: first step that is held back; None for the newest fifth.
    """
    split, width = first_held_back(steps, begin) if split is None else split, len(horizons)
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
