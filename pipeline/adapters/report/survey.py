"""First walk over the verdicts: what each lane holds, which lanes are the worst, and where the episodes lie."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.adapters.report.verdicts import Points
from pipeline.records import Phase

CONTEXT_POINTS = 150
"""Points before and after an episode that are shown in full resolution."""

_Number = TypeVar("_Number", np.int64, np.uint8, np.float64)


@dataclass(frozen=True, slots=True)
class Survey:
    """What one walk over the shown points found, per lane number (lanes,).

    Attributes:
        severity: the highest severity of a flagged point.
        peak_score: the highest score; NaN where nothing was scored.
        warming: points that were not scored yet.
        offset: where each lane begins when all lanes are laid end to end, and the total at the end (lanes + 1,).
        whole: (n, 2), rising and disjoint stretches of that line, end excluded, to be shown in full resolution.
    """

    points: NDArray[np.int64]
    flagged: NDArray[np.int64]
    warming: NDArray[np.int64]
    severity: NDArray[np.uint8]
    peak_score: NDArray[np.float64]
    first_us: NDArray[np.int64]
    last_us: NDArray[np.int64]
    offset: NDArray[np.int64]
    whole: NDArray[np.int64]

    @property
    def first_in_all_us(self) -> int:
        """Event time of the earliest point; 0 when there is none."""
        return int(self.first_us.min()) if len(self.first_us) else 0

    @property
    def last_in_all_us(self) -> int:
        """Event time of the latest point; 0 when there is none."""
        return int(self.last_us.max()) if len(self.last_us) else 0

    @property
    def whole_points(self) -> NDArray[np.int64]:
        """How many points of each lane (lanes,) lie in full-resolution stretches."""
        lane = np.searchsorted(self.offset, self.whole[:, 0], "right") - 1
        lengths = self.whole[:, 1] - self.whole[:, 0]
        return np.bincount(lane, lengths, minlength=len(self.points)).astype(np.int64)

    def is_whole(self, points: Points) -> NDArray[np.bool_]:
        """Whether each point lies in a full-resolution stretch."""
        place = self.offset[points.lane] + points.index
        before = np.searchsorted(self.whole[:, 0], place, "right")
        ends = np.concatenate([[-1], self.whole[:, 1]])
        return np.asarray(place < ends[before], np.bool_)


def survey(chunks: Iterable[Points]) -> Survey:
    """Walks the shown points once, holding a few numbers per lane and two per stretch of episodes."""
    lanes = 0
    points = flagged = warming = first = last = np.zeros(0, np.int64)
    severity, peak = np.zeros(0, np.uint8), np.zeros(0)
    stretches: list[NDArray[np.int64]] = []
    for chunk in chunks:
        lanes = max(lanes, int(chunk.lane.max(initial=-1)) + 1)
        points = _grown(points, lanes, 0) + np.bincount(chunk.lane, minlength=lanes)
        flagged = _grown(flagged, lanes, 0) + np.bincount(chunk.lane[chunk.severity > 0], minlength=lanes)
        warming = _grown(warming, lanes, 0) + np.bincount(chunk.lane[chunk.phase == Phase.WARMING], minlength=lanes)
        first, last = _grown(first, lanes, np.iinfo(np.int64).max), _grown(last, lanes, np.iinfo(np.int64).min)
        np.minimum.at(first, chunk.lane, chunk.time_us)
        np.maximum.at(last, chunk.lane, chunk.time_us)
        severity, peak = _grown(severity, lanes, 0), _grown(peak, lanes, np.nan)
        np.maximum.at(severity, chunk.lane, chunk.severity)
        np.fmax.at(peak, chunk.lane, chunk.score)
        stretches.append(_stretches(chunk))
    offset = np.concatenate([[0], np.cumsum(points)])
    whole = _joined(np.concatenate(stretches or [np.zeros((0, 3), np.int64)]), offset)
    return Survey(points, flagged, warming, severity, peak, first, last, offset, whole)


def _grown(column: NDArray[_Number], size: int, fill: float) -> NDArray[_Number]:
    return np.concatenate([column, np.full(size - len(column), fill, column.dtype)])


def _stretches(chunk: Points) -> NDArray[np.int64]:
    """(n, 3): lane, first and last index of each run of episode points, runs less than two contexts apart joined."""
    lane, index = chunk.lane[chunk.in_episode].astype(np.int64), chunk.index[chunk.in_episode]
    order = np.lexsort((index, lane))
    lane, index = lane[order], index[order]
    opens = (np.diff(lane, prepend=-1) != 0) | (np.diff(index, prepend=0) > 2 * CONTEXT_POINTS)
    return np.stack([lane[opens], index[opens], index[_closes(opens)]], axis=1)


def _joined(stretches: NDArray[np.int64], offset: NDArray[np.int64]) -> NDArray[np.int64]:
    """Stretches widened by their context within their lane, laid on the common line, overlaps merged."""
    lane, first, last = stretches.T
    start = np.maximum(offset[lane] + first - CONTEXT_POINTS, offset[lane])
    end = np.minimum(offset[lane] + last + CONTEXT_POINTS + 1, offset[lane + 1])
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    opens = start > np.concatenate([[-1], end])[:-1]
    return np.stack([start[opens], end[_closes(opens)]], axis=1)


def _closes(opens: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where runs end that begin at `opens`."""
    return np.append(opens, True)[1:]
