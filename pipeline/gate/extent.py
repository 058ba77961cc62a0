"""How far a history reaches, and where its newest slice begins."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from pipeline.interfaces import Partition
from pipeline.merging import has_time
from pipeline.records import Batch

Ints = NDArray[np.int64]
MOST_TIMES = 2**20
_PIECE = 10_000


@dataclass(frozen=True, slots=True)
class Extent:
    """Event times of a history.

    Attributes:
        records: with a usable time.
        first_us, last_us: of them.
        times: of every so-many-th record, rising; at most `MOST_TIMES`.
    """

    records: int
    first_us: int
    last_us: int
    times: Ints

    def begin_of(self, held_out: float | timedelta) -> int:
        """Event time from which on records are of the newest slice.

        Args:
            held_out: the share of the records that it is, or how long it is.
        """
        if isinstance(held_out, timedelta):
            return self.last_us - held_out // timedelta(microseconds=1) + 1
        return int(self.times[min(int((1.0 - held_out) * len(self.times)), len(self.times) - 1)])


def measure_extent(
    partitions: Sequence[Partition], end_us: int | None, observe: Callable[[Batch], None], stop: Callable[[], bool]
) -> Extent | None:
    """The extent of a history; None where it has no record with a usable time, or was stopped.

    Args:
        partitions: of the history, which are read once.
        end_us: event time from which on records are left out; None for none.
        observe: told of each piece of the history that was read.
        stop: asked after each piece.
    """
    thinned = _Thinned()
    records, first_us, last_us = 0, np.iinfo(np.int64).max, -1
    for batch in _pieces(partitions):
        times = batch.time_us[kept(batch, end_us) & has_time(batch)]
        if len(times):
            records += len(times)
            first_us, last_us = min(first_us, int(times.min())), max(last_us, int(times.max()))
            thinned.add(times)
        observe(batch)
        if stop():
            return None
    return Extent(records, first_us, last_us, thinned.rising()) if records else None


def kept(batch: Batch, end_us: int | None) -> NDArray[np.bool_]:
    """Which records (n,) lie before the end; those without a usable time do."""
    if end_us is None:
        return np.ones(len(batch), np.bool_)
    return ~(has_time(batch) & (batch.time_us >= end_us))


def _pieces(partitions: Sequence[Partition]) -> Iterator[Batch]:
    for partition in partitions:
        yield from partition.batches(_PIECE)


class _Thinned:
    """Every so-many-th of a sequence of times; the step doubles whenever there are too many."""

    def __init__(self) -> None:
        self._parts: list[Ints] = []
        self._step = 1
        self._seen = 0
        self._kept = 0

    def add(self, times: Ints) -> None:
        self._parts.append(times[-self._seen % self._step :: self._step])
        self._seen += len(times)
        self._kept += len(self._parts[-1])
        while self._kept > MOST_TIMES:
            self._parts = [np.concatenate(self._parts)[::2]]
            self._step *= 2
            self._kept = len(self._parts[0])

    def rising(self) -> Ints:
        return np.sort(np.concatenate(self._parts))
