"""How far two runs agree on the points that both have: sums in numbers that do not grow with the runs."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.adapters.report.diff.aligning import Aligned
from pipeline.adapters.report.verdicts import Points

LARGEST = 20
"""Points with the largest differences of scores that are told."""
BIN_WIDTH, BINS = 0.02, 500
"""Of scores, for their distribution: up to 10, and beyond."""
_SAME = ("value", "expected", "lower", "upper", "score", "threshold")
_COUNTS = ("both", "only_a", "only_b", "differing", "flagged_a", "flagged_b", "flagged_both", "judged")
_SUMS = ("error_a", "error_b", "apart")


@dataclass(frozen=True, slots=True)
class Largest:
    """Points whose scores differ most, the largest first; columns (n,)."""

    lane: NDArray[np.int64]
    time_us: NDArray[np.int64]
    a: NDArray[np.float64]
    b: NDArray[np.float64]


def _no_largest() -> Largest:
    return Largest(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


@dataclass(slots=True)
class Agreement:
    """What has been added up so far.

    Attributes:
        counts: by lane (names, lanes): points of both and of one run alone, those of both of which anything differs,
            flagged ones, and those that both forecast.
        sums: by lane (names, lanes): absolute errors of the forecasts of both, and absolute difference of the scores.
        apart: by lane (lanes,), the largest difference of scores; 0 for none.
        scored: points that both have scored.
        moments: of their scores (5,): sums of a, b, a², b² and ab.
        histogram: of all scores of each run (2, bins), the last one of those beyond.
        closer: points whose forecast was closer to what came in a, in b, and equally close (3,).
        covered: points in the band of each run (2,), of those that both forecast.
        largest: of the differences.
    """

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((len(_COUNTS), 0), np.int64))
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros((len(_SUMS), 0)))
    apart: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    scored: int = 0
    moments: NDArray[np.float64] = field(default_factory=lambda: np.zeros(5))
    histogram: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, BINS + 1), np.int64))
    closer: NDArray[np.int64] = field(default_factory=lambda: np.zeros(3, np.int64))
    covered: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2, np.int64))
    largest: Largest = field(default_factory=_no_largest)

    def count(self, name: str) -> NDArray[np.int64]:
        """One of the counts by lane (lanes,)."""
        counts: NDArray[np.int64] = self.counts[_COUNTS.index(name)]
        return counts

    def sum(self, name: str) -> NDArray[np.float64]:
        """One of the sums by lane (lanes,)."""
        sums: NDArray[np.float64] = self.sums[_SUMS.index(name)]
        return sums

    @property
    def correlation(self) -> float | None:
        """Of the scores of both; None where there are fewer than two, or one run's are all the same."""
        a, b, aa, bb, ab = self.moments / max(self.scored, 1)
        spread = (aa - a * a) * (bb - b * b)
        return float((ab - a * b) / np.sqrt(spread)) if self.scored > 1 and spread > 1e-18 else None

    def quantile(self, side: int, share: float) -> float | None:
        """Of the scores of a run, to the width of a bin; None without scores, or beyond the last bin."""
        rising = np.cumsum(self.histogram[side])
        place = int(np.searchsorted(rising, share * rising[-1])) if rising[-1] else BINS
        return None if place >= BINS else float((place + 1) * BIN_WIDTH)

    def add(self, aligned: Aligned, lanes: int) -> None:
        """Take points into account.

        Args:
            lanes: as many as have a number by now.
        """
        grow = ((0, 0), (0, lanes - self.counts.shape[1]))
        self.counts, self.sums = np.pad(self.counts, grow), np.pad(self.sums, grow)
        self.apart = np.pad(self.apart, grow[1])
        a, b = aligned.a, aligned.b
        flagged_a, flagged_b = a.severity > 0, b.severity > 0
        self._count("both", a)
        self._count("only_a", aligned.only_a)
        self._count("only_b", aligned.only_b)
        self._count("differing", a, ~_is_same(a, b))
        self._count("flagged_a", a, flagged_a)
        self._count("flagged_a", aligned.only_a, aligned.only_a.severity > 0)
        self._count("flagged_b", b, flagged_b)
        self._count("flagged_b", aligned.only_b, aligned.only_b.severity > 0)
        self._count("flagged_both", a, flagged_a & flagged_b)
        for side, parts in enumerate(((a, aligned.only_a), (b, aligned.only_b))):
            for points in parts:
                self._spread(side, points)
        self._compare_forecasts(a, b)
        self._compare_scores(a, b)

    def _count(self, name: str, points: Points, which: NDArray[np.bool_] | None = None) -> None:
        lane = points.lane if which is None else points.lane[which]
        self.counts[_COUNTS.index(name)] += np.bincount(lane, minlength=self.counts.shape[1])

    def _add(self, name: str, lane: NDArray[np.int32], values: NDArray[np.float64]) -> None:
        self.sums[_SUMS.index(name)] += np.bincount(lane, values, minlength=self.sums.shape[1])

    def _spread(self, side: int, points: Points) -> None:
        scores = points.score[np.isfinite(points.score)]
        place = np.clip(scores / BIN_WIDTH, 0, BINS).astype(np.int64)
        self.histogram[side] += np.bincount(place, minlength=BINS + 1)

    def _compare_forecasts(self, a: Points, b: Points) -> None:
        judged = np.isfinite(a.value) & np.isfinite(a.expected) & np.isfinite(b.expected)
        a, b = a.take(judged), b.take(judged)
        with np.errstate(over="ignore"):
            errors = [np.abs(one.value - one.expected) for one in (a, b)]
        self._count("judged", a)
        self._add("error_a", a.lane, errors[0])
        self._add("error_b", a.lane, errors[1])
        nearer = errors[0] < errors[1], errors[1] < errors[0], errors[0] == errors[1]
        self.closer += np.array([int(one.sum()) for one in nearer])
        self.covered += np.array([int(((one.lower <= one.value) & (one.value <= one.upper)).sum()) for one in (a, b)])

    def _compare_scores(self, a: Points, b: Points) -> None:
        both = np.isfinite(a.score) & np.isfinite(b.score)
        lane, time_us, ours, theirs = a.lane[both], a.time_us[both], a.score[both], b.score[both]
        apart = np.abs(ours - theirs)
        self.scored += len(ours)
        self.moments += np.array([ours.sum(), theirs.sum(), ours @ ours, theirs @ theirs, ours @ theirs])
        self._add("apart", lane, apart)
        np.maximum.at(self.apart, lane, apart)
        most = np.argsort(-apart, kind="stable")[:LARGEST]
        most = most[apart[most] > 0]
        found = self.largest
        columns = [
            np.concatenate([one, other[most]])
            for one, other in ((found.lane, lane), (found.time_us, time_us), (found.a, ours), (found.b, theirs))
        ]
        keep = np.lexsort((columns[1], -np.abs(columns[2] - columns[3])))[:LARGEST]
        self.largest = Largest(*(column[keep] for column in columns))


def _is_same(a: Points, b: Points) -> NDArray[np.bool_]:
    """Whether all that is said of each point is the same, to the bit."""
    same = (a.severity == b.severity) & (a.phase == b.phase) & (a.in_episode == b.in_episode)
    for name in _SAME:
        ours, theirs = getattr(a, name), getattr(b, name)
        same &= (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    return np.asarray(same, np.bool_)
