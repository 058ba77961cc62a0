"""Drift that a training may cure: a lasting rise of the one-step residuals of a partition.

Residuals are in standard deviations of their lanes, whose normalisers follow a change of level or scale: what stays
high is what the network does not know. Points are taken in blocks. Of each block two quantiles count, in logarithms, so
that what matters is by which share they rise. A quantile is put into units of its spread over the first blocks, and
these into [0, 1], since the bound of ADWIN (adaptive windowing; Bifet and Gavalda 2007, here of river) is for values of
a range of 1, of which raw ones use little.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from river.drift import ADWIN

from pipeline.residuals import BOUNDS, LARGEST, Residuals, no_residuals

QUANTILES = (0.5, 0.9)
"""The middle tells of all lanes, the upper one of those that are hard to forecast, or of a few."""
LOWEST, HIGHEST = -2.0, 4.0
"""Ends of the range of ADWIN, in spreads from the usual level: most of it is for rises, which alone matter."""
LEAST_SPREAD = 0.05
"""Of a logarithm; steadier than that is luck."""
RECENT = 5
"""Blocks that the statistic shown is of."""
_KEPT = 512
_EDGES = np.log([BOUNDS[0] / 2, *BOUNDS, LARGEST])


@dataclass(frozen=True, slots=True)
class DriftRule:
    """How drift is told.

    Attributes:
        block_points: points of a block at the least.
        block_us: event time of a block at the least, so that a day is a few dozen of them however many points there
            are: what comes and goes with the time of day is spread then, and no change.
        usual_blocks: first blocks, which tell the usual level and its spread.
        least_rise: of a quantile, as a factor, for a change to matter.
        delta: of ADWIN, the chance of a false alarm that it allows at a time.
    """

    block_points: int = 500
    block_us: int = 1_800_000_000
    usual_blocks: int = 30
    least_rise: float = 1.1
    delta: float = 0.002


class Drift(NamedTuple):
    """A rise of a quantile of residuals.

    Attributes:
        quantile: which.
        before, behind: its level, in standard deviations of the lanes.
        since_us: event time from which on it is the level behind, so far as can be told.
    """

    quantile: float
    before: float
    behind: float
    since_us: int


@dataclass(slots=True)
class PartitionDrift:
    """Watches the residuals of one partition under one bundle."""

    rule: DriftRule
    _levels: tuple["_Level", ...] = field(init=False)
    _block: Residuals = field(init=False)
    _since_us: int | None = field(default=None, init=False)
    _begins_us: deque[int] = field(init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Another bundle scores: what is usual has to be learned anew."""
        self._levels = tuple(_Level(self.rule) for _ in QUANTILES)
        self._block, self._since_us = no_residuals(), None
        self._begins_us = deque(maxlen=_KEPT)

    @property
    def rise(self) -> float | None:
        """The newest blocks against the usual level, as a factor, of the quantile that has risen most; None early."""
        known = [level.rise for level in self._levels if level.rise is not None]
        return max(known, default=None)

    def add(self, residuals: Residuals, watermark_us: int) -> Drift | None:
        """Take some points that were scored; a drift, once, at the block that tells it.

        Args:
            watermark_us: newest event time of the partition.
        """
        self._block = self._block.plus(residuals)
        if self._since_us is None:
            self._since_us = watermark_us
        if self._block.points < self.rule.block_points or watermark_us - self._since_us < self.rule.block_us:
            return None
        self._begins_us.append(self._since_us)
        done, self._block, self._since_us = self._block, no_residuals(), watermark_us
        for quantile, level in zip(QUANTILES, self._levels, strict=True):
            risen = level.add(log_quantile(done.buckets, quantile))
            if risen is not None:
                before, behind, blocks = risen
                since_us = self._begins_us[-blocks]
                self.reset()
                return Drift(quantile, before, behind, since_us)
        return None


def log_quantile(buckets: NDArray[np.int64], quantile: float) -> float:
    """Logarithm of a quantile of residuals, which are taken to lie evenly, by logarithms, within their bucket.

    Args:
        buckets: see `Residuals`; there is at least one residual.
    """
    below = np.concatenate([[0], np.cumsum(buckets)])
    rank = quantile * below[-1]
    at = min(int(np.searchsorted(below, rank, side="left")), len(buckets))
    at = max(at, 1)
    share = (rank - below[at - 1]) / max(below[at] - below[at - 1], 1)
    return float(_EDGES[at - 1] + share * (_EDGES[at] - _EDGES[at - 1]))


class _Level:
    """One quantile over the blocks."""

    def __init__(self, rule: DriftRule) -> None:
        self._rule = rule
        self._usual: list[float] = []
        self._anchor: float | None = None
        self._recent: deque[float] = deque(maxlen=_KEPT)
        self._mean, self._spread = 0.0, 1.0
        self._adwin = ADWIN(delta=rule.delta, clock=1)

    @property
    def rise(self) -> float | None:
        if self._anchor is None or not self._recent:
            return None
        return float(np.exp(np.mean([*self._recent][-RECENT:]) - self._anchor))

    def add(self, value: float) -> tuple[float, float, int] | None:
        """The level before and behind, and how many values that is for, where this value tells that it has risen."""
        self._recent.append(value)
        if len(self._usual) < self._rule.usual_blocks:
            self._usual.append(value)
            if len(self._usual) == self._rule.usual_blocks:
                self._begin()
            return None
        self._adwin.update(self._scaled(value))
        if not self._adwin.drift_detected or self._anchor is None:
            return None
        newest = _behind_change(np.array(self._recent))
        behind = float(newest.mean())
        if behind - self._anchor >= np.log(self._rule.least_rise):
            return float(np.exp(self._anchor)), float(np.exp(behind)), len(newest)
        # a change for the better, or too small: what is usual is learned anew
        self._usual = []
        self._recent = deque(newest.tolist(), maxlen=_KEPT)
        return None

    def _begin(self) -> None:
        self._mean = float(np.mean(self._usual))
        self._spread = max(float(np.std(self._usual, ddof=1)), LEAST_SPREAD)
        # small rises one after another add up to one that matters, so the first level stays what they are measured by
        self._anchor = self._mean if self._anchor is None else self._anchor
        self._adwin = ADWIN(delta=self._rule.delta, clock=1)
        for value in self._usual:
            self._adwin.update(self._scaled(value))

    def _scaled(self, value: float) -> float:
        """In [0, 1]."""
        spreads = (value - self._mean) / self._spread
        return (min(max(spreads, LOWEST), HIGHEST) - LOWEST) / (HIGHEST - LOWEST)


def _behind_change(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values behind the one change of their mean that explains most (Page 1954).

    ADWIN tells that there is a change before it has dropped all that came before it.
    """
    count = np.arange(1, len(values))
    sums = np.cumsum(values)[:-1]
    gap = np.abs(sums / count - (values.sum() - sums) / (len(values) - count))
    weight = np.sqrt(count * (len(values) - count) / len(values))
    return values[1 + int((gap * weight).argmax()) :]
