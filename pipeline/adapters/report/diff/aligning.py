"""Walks the verdicts of two runs side by side, so that rows of the same point meet, whatever either has besides."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.adapters.report.verdicts import Points, Verdicts, concatenate


class Aligned(NamedTuple):
    """Points of both runs: `a` and `b` are the same points, row by row; the others are those that one run has alone."""

    a: Points
    b: Points
    only_a: Points
    only_b: Points


def align(a: Verdicts, b: Verdicts) -> Iterator[Aligned]:
    """All points of both, each once.

    A point is the same by lane and event time, of which a lane has one each. Where the rows of both runs go in step
    they are taken as they come; elsewhere what has not met its like yet waits, until the other run has gone past it in
    the same lane. So memory holds a few chunks, unless one run has a lane much earlier than the other.

    Args:
        a, b: with lane numbers in common.
    """
    ours, theirs = _Side(a), _Side(b)
    while ours.more or theirs.more:
        behind = ours if ours.more and (ours.read <= theirs.read or not theirs.more) else theirs
        behind.fetch()
        if len(ours.waiting) and len(theirs.waiting):
            yield from _meet(ours, theirs)
    empty = ours.waiting.take(np.zeros(0, np.int64))
    yield Aligned(empty, empty, ours.waiting, theirs.waiting)


class _Side:
    """One run, as far as it has been read.

    Attributes:
        waiting: points that have not met their like yet.
        read: about what share of the points has been fetched so far.
        last_us: by lane, the newest event time fetched.
        more: whether there are chunks left.
    """

    def __init__(self, verdicts: Verdicts) -> None:
        self._chunks = verdicts.chunks()
        self._rows = max(verdicts.rows, 1)
        self._lanes = verdicts.lanes
        self.waiting = EMPTY
        self.read = 0.0
        self.last_us = np.zeros(0, np.int64)
        self.more = True

    def fetch(self) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            self.more = False
            return
        self.read += len(chunk) / self._rows
        self.waiting = concatenate([self.waiting, chunk])
        grown = np.full(len(self._lanes) - len(self.last_us), np.iinfo(np.int64).min)
        self.last_us = np.concatenate([self.last_us, grown])
        np.maximum.at(self.last_us, chunk.lane, chunk.time_us)

    def has_gone_past(self, points: Points) -> NDArray[np.bool_]:
        """Whether the newest point of the same lane is as new as each of these, so that their like cannot come."""
        if not self.more:
            return np.ones(len(points), np.bool_)
        known = points.lane < len(self.last_us)
        last = np.where(known, self.last_us[np.where(known, points.lane, 0)], np.iinfo(np.int64).min)
        return np.asarray(last >= points.time_us, np.bool_)


def _meet(ours: _Side, theirs: _Side) -> Iterator[Aligned]:
    a, b = ours.waiting, theirs.waiting
    nothing = a.take(np.zeros(0, np.int64))
    together = min(len(a), len(b))
    if (a.lane[:together] == b.lane[:together]).all() and (a.time_us[:together] == b.time_us[:together]).all():
        ours.waiting, theirs.waiting = a.take(np.arange(together, len(a))), b.take(np.arange(together, len(b)))
        yield Aligned(a.take(np.arange(together)), b.take(np.arange(together)), nothing, nothing)
        return
    in_a, in_b = _common(a, b)
    rest_a, rest_b = (points.take(np.setdiff1d(np.arange(len(points)), met)) for points, met in ((a, in_a), (b, in_b)))
    gone_a, gone_b = theirs.has_gone_past(rest_a), ours.has_gone_past(rest_b)
    ours.waiting, theirs.waiting = rest_a.take(~gone_a), rest_b.take(~gone_b)
    yield Aligned(a.take(in_a), b.take(in_b), rest_a.take(gone_a), rest_b.take(gone_b))


def _common(a: Points, b: Points) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where in each the points are that both have, in the same order."""
    times = np.unique(np.concatenate([a.time_us, b.time_us]))
    codes = [points.lane.astype(np.int64) * len(times) + np.searchsorted(times, points.time_us) for points in (a, b)]
    _, in_a, in_b = np.intersect1d(codes[0], codes[1], return_indices=True)
    order = np.argsort(in_a)
    return in_a[order], in_b[order]


def _empty() -> Points:
    floats, whole = np.zeros(0), np.zeros(0, np.int64)
    return Points(
        lane=np.zeros(0, np.int32), index=whole, time_us=whole, value=floats, expected=floats, lower=floats,
        upper=floats, score=floats, threshold=floats, severity=np.zeros(0, np.uint8), phase=np.zeros(0, np.uint8),
        in_episode=np.zeros(0, np.bool_),
    )  # fmt: skip


EMPTY = _empty()
"""No points."""
