"""Baselines: simple detectors to compare the LSTM with, run by the same engine.

Each gives a raw score of every point from its lane's past; `detectors.tail_rank` makes verdicts of it. They learn every
point, as they do where they were published; only the ranks leave clear incidents out.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.detector import Walk
from detectors.features import LARGEST_VALUE
from detectors.kernel import Verdicts
from detectors.layout import Slab
from detectors.normalise import LEAST_SCALE, MEMORY
from detectors.tail_rank import LARGEST_SCORE, TailRank, ranked_rates
from detectors.thresholds import Rates

WINDOW = 6400
"""Values that the windowed Gaussian looks back over, as on the Numenta Anomaly Benchmark (Lavin & Ahmad 2015)."""
REACH = 1.96
"""Standard deviations on each side of the mean within which a normal distribution has 95 % of its values."""
_MOMENTS = np.dtype([("mean", "f8"), ("squares", "f8"), ("seen", "i8")])
_STEP = np.dtype([("previous", "f8"), ("square", "f8"), ("seen", "i8")])


@dataclass(frozen=True, slots=True)
class _Baseline(ABC):
    """What the baselines have in common; all that they remember is in rows.

    Attributes:
        ranking: makes verdicts of raw scores.
    """

    ranking: TailRank

    @property
    def warm_up(self) -> int:
        """Points of a lane before it may be flagged."""
        return self.ranking.decision.warm_up

    @property
    def streams(self) -> Sequence[str]:
        """There is one: the raw score."""
        return ("score",)

    def rates(self, verdicts: Verdicts) -> Rates:
        """See `ranked_rates`."""
        return ranked_rates(verdicts)

    @property
    def is_restorable(self) -> bool:
        """The rows of a slab are all that is remembered of its lanes."""
        return True

    @property
    def scores_joint_lanes(self) -> bool:
        """They are lanes like any other."""
        return True

    def for_joint_lanes(self) -> Self:
        """Itself."""
        return self

    def for_partition(self, fields: Sequence[str], width: int) -> Self:
        """Itself: nothing is remembered but in rows."""
        return self

    def begin(
        self,
        slab: Slab,
        rows: NDArray[np.int64],
        time_us: NDArray[np.int64],
        values: NDArray[np.float64],
        positions: NDArray[np.int64],
        records: NDArray[np.int64] | None = None,
    ) -> Walk:
        """A walk over points (n,) in order, which updates the lanes' rows of `slab` in place; see `Detector.begin`."""
        verdicts, raw = self.ranking.allocate(len(rows))

        def walk() -> int:
            self._score(slab, rows, values, raw, verdicts)
            return self.ranking.judge(slab, rows, time_us, values, positions, raw, verdicts)

        return Walk(verdicts, walk)

    @abstractmethod
    def _score(
        self,
        slab: Slab,
        rows: NDArray[np.int64],
        values: NDArray[np.float64],
        raw: NDArray[np.float64],
        verdicts: Verdicts,
    ) -> None:
        """Fill the raw scores, and expected, lower, upper and surprise of the verdicts."""


@dataclass(frozen=True, slots=True)
class WindowedGaussian(_Baseline):
    """How improbable a value is under the normal distribution of the last values of its lane.

    The raw score is |x - mean| in standard deviations, which orders values as their probability does, and still tells
    apart those too far out for a probability. While fewer than `window` values have been seen it is by all of them.

    Attributes:
        window: values looked back over, 2 or more; 8 bytes of state each.

    Raises:
        ValueError: a window of fewer.
    """

    window: int = WINDOW

    def __post_init__(self) -> None:
        if self.window < 2:
            raise ValueError(f"found a window of {self.window} points; expected 2 or more")

    @property
    def name(self) -> str:
        """As users select it."""
        return "windowed-gaussian"

    @property
    def lane_dtype(self) -> np.dtype[Any]:
        """The arrays that a slab needs for this detector."""
        return self.ranking.lane_dtype(("moments", _MOMENTS), ("values", "f8", (self.window,)))

    def _score(
        self,
        slab: Slab,
        rows: NDArray[np.int64],
        values: NDArray[np.float64],
        raw: NDArray[np.float64],
        verdicts: Verdicts,
    ) -> None:
        _walk_gaussian(slab["moments"], slab["values"], rows, values, raw, verdicts)


@dataclass(frozen=True, slots=True)
class Persistence(_Baseline):
    """How far a value is from the one before it, in units of how far values of its lane usually are.

    The unit is the root of the mean square of the steps before, an average over all of them and, from 2,000 on,
    exponentially weighted.
    """

    @property
    def name(self) -> str:
        """As users select it."""
        return "persistence"

    @property
    def lane_dtype(self) -> np.dtype[Any]:
        """The arrays that a slab needs for this detector."""
        return self.ranking.lane_dtype(("step", _STEP))

    def _score(
        self,
        slab: Slab,
        rows: NDArray[np.int64],
        values: NDArray[np.float64],
        raw: NDArray[np.float64],
        verdicts: Verdicts,
    ) -> None:
        _walk_persistence(slab["step"], rows, values, raw, verdicts)


@compiled
def _say(n, value, centre, spread, raw, verdicts):
    """The raw score and the band of a value whose distribution has this centre and spread."""
    surprise = (value - centre) / max(spread, LEAST_SCALE * abs(centre) + 1e-30)
    raw[n] = min(abs(surprise), LARGEST_SCORE)
    verdicts.expected[n] = centre
    verdicts.lower[n] = centre - REACH * spread
    verdicts.upper[n] = centre + REACH * spread
    verdicts.surprise[n] = min(max(surprise, -LARGEST_SCORE), LARGEST_SCORE)


@compiled
def _walk_gaussian(moments, windows, rows, values, raw, verdicts):
    size = windows.shape[1]
    for n in range(len(rows)):
        lane, window = moments[rows[n]], windows[rows[n]]
        value = min(max(values[n], -LARGEST_VALUE), LARGEST_VALUE)
        count = min(lane.seen, size)
        if count >= 2:
            _say(n, value, lane.mean, math.sqrt(max(lane.squares, 0.0) / count), raw, verdicts)
        at = lane.seen % size
        oldest = window[at]
        window[at] = value
        lane.seen += 1
        before = lane.squares
        if count < size:  # increment form (West 1979)
            ahead = value - lane.mean
            lane.mean += ahead / (count + 1)
            lane.squares += ahead * (value - lane.mean)
        else:  # the same with one value in and one out
            mean = lane.mean + (value - oldest) / size
            lane.squares += (value - oldest) * ((value - mean) + (oldest - lane.mean))
            lane.mean = mean
        # what rounding has left behind is dropped once a window, and when the values that made it have gone
        if count == size and (at == size - 1 or lane.squares < 1e-6 * before):
            lane.mean, lane.squares = _moments_of(window)


@compiled
def _moments_of(window):
    """(mean, sum of squared deviations from it)."""
    mean = 0.0
    for value in window:
        mean += value
    mean /= len(window)
    squares = 0.0
    for value in window:
        squares += (value - mean) * (value - mean)
    return mean, squares


@compiled
def _walk_persistence(steps, rows, values, raw, verdicts):
    for n in range(len(rows)):
        lane = steps[rows[n]]
        value = min(max(values[n], -LARGEST_VALUE), LARGEST_VALUE)
        if lane.seen > 0:
            step = value - lane.previous
            if lane.seen > 1:
                _say(n, value, lane.previous, math.sqrt(lane.square), raw, verdicts)
            lane.square += max(1.0 / lane.seen, 1.0 / MEMORY) * (step * step - lane.square)
        lane.previous = value
        lane.seen += 1
