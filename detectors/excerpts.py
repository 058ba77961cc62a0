"""What the forecaster learns from on a user's own history: excerpts of its series.

Some excerpts begin as a lane does that another network has just taken over, see `detectors.rebuilding`: what is scored
behind a swap is part of what a network is there for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.examples import REBUILT_STEPS, Examples
from detectors.network import FIELD_INPUTS
from detectors.series import Series

DROPPED = 0.15
"""Chance that a field of a joint excerpt is missing over a part of it, so that missing fields are nothing new."""
REBUILT_EVERY = 3
"""One excerpt in so many begins with a state that was rebuilt."""
_INCREMENT, _LOOK_BACK = 1, slice(2, 7)
"""Inputs of a field: the increment, and those that come from a day or a week before."""


@dataclass(frozen=True, slots=True)
class Draw:
    """Where excerpts lie.

    Attributes:
        index: (n,) which series each is of.
        stop: (n,) the step before which it ends.
        dropped: (drops, 4) excerpt, field, and the steps of the excerpt from and up to which the field is taken away.
        is_rebuilt: (n,) whether it begins with a state that was rebuilt.
    """

    index: NDArray[np.int64]
    stop: NDArray[np.int64]
    dropped: NDArray[np.int64]
    is_rebuilt: NDArray[np.bool_]

    def of(self, part: slice) -> "Draw":
        """Some of the excerpts, with what is dropped of them."""
        places = np.full(len(self.index), -1)
        places[part] = np.arange(len(self.index[part]))
        dropped = self.dropped[places[self.dropped[:, 0]] >= 0]
        dropped[:, 0] = places[dropped[:, 0]]
        return Draw(self.index[part], self.stop[part], dropped, self.is_rebuilt[part])

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

    Raises:
        ValueError: excerpts are empty, or longer than the shortest series.
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
        return Draw(index, stop, np.array(dropped, np.int64).reshape(-1, 4), self._rebuilt(count))

    def draw(self, rng: np.random.Generator, count: int) -> Examples:
        """So many excerpts of what is not held back."""
        draw = self.choose(rng, count)
        examples = self._cut(list(zip(draw.index.tolist(), draw.stop.tolist(), strict=True)))
        self.forget(examples.inputs, draw.is_rebuilt.nonzero()[0])
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
        self.forget(examples.inputs, self._rebuilt(len(ends)).nonzero()[0])
        return examples

    def forget(self, inputs: Any, rows: Any) -> None:
        """Take away what a state is rebuilt without, in place: all but the newest of the context, and their look-back.

        Args:
            inputs: (excerpts, steps, inputs), an array or a tensor.
            rows: indices of excerpts, likewise.
        """
        first = self.context - REBUILT_STEPS
        if not len(rows):
            return
        inputs[rows, :first] = 0.0
        for base in range(0, self.fields * FIELD_INPUTS, FIELD_INPUTS):
            inputs[rows, first, base + _INCREMENT] = 0.0
            inputs[rows, first : self.context, base + _LOOK_BACK.start : base + _LOOK_BACK.stop] = 0.0

    def _rebuilt(self, count: int) -> NDArray[np.bool_]:
        """Which of so many excerpts begin with a rebuilt state; none where the context is no longer than that takes."""
        is_rebuilt: NDArray[np.bool_] = np.arange(count) % REBUILT_EVERY == 0
        return is_rebuilt & (self.context > REBUILT_STEPS)

    def _cut(self, ends: Sequence[tuple[int, int]]) -> Examples:
        """The excerpts that end before a step of a series each."""
        inputs = np.stack([self.series[index].inputs[stop - self.steps : stop] for index, stop in ends])
        targets = np.stack([self.series[index].targets[stop - self.steps : stop] for index, stop in ends])
        targets[:, : self.context] = np.nan
        return Examples(inputs, targets)
