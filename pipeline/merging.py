"""Partitions merged into one stream in order of event time, a bounded piece of each in memory at a time."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline.interfaces import Partition
from pipeline.records import Batch
from pipeline.windows.points import TIME_END_US

_VALUES = 4_000_000
"""Held of all partitions at a time, about; 32 MB, and as much again for times and keys."""
_LEAST, _MOST = 256, 10_000
_OPEN = 128
"""Partitions that are open at a time, at most: processes may have few files open."""


def has_time(batch: Batch) -> NDArray[np.bool_]:
    """Which records (n,) have an event time that can be relied on."""
    return (batch.time_us >= 0) & (batch.time_us < TIME_END_US) & ~batch.unusable


def merge_by_time(
    partitions: Sequence[Partition], fields: int, chosen: Callable[[Batch], NDArray[np.bool_]]
) -> Iterator[Batch]:
    """The records of all partitions, in batches, in order of event time.

    Records of one partition stay in their order: one that is earlier than one before it comes right behind that one,
    and so does one without a usable time. Of equal times those of the partition named first come first. The order does
    not depend on how much is read at a time.

    Args:
        fields: of a record.
        chosen: which records of a batch are taken.
    """
    if not partitions:
        return
    size = max(_LEAST, min(_MOST, _VALUES // (fields * len(partitions))))
    lines = [_Line(partition, size, chosen) for partition in partitions]
    held: OrderedDict[int, _Line] = OrderedDict()
    while True:
        for number, line in enumerate(lines):
            if line.wants_more:
                line.fill()
                held[number] = line
                held.move_to_end(number)
                if len(held) > _OPEN:
                    held.popitem(last=False)[1].close()
        unfinished = [(line.last_us, number) for number, line in enumerate(lines) if not line.is_read]
        if not unfinished:
            break
        # of the line whose waiting records end first all can go, and of the others what comes before its last
        until, at = min(unfinished)
        yield from _merged([line.take(until, within=number <= at) for number, line in enumerate(lines)])
    yield from _merged([line.take(TIME_END_US, within=True) for line in lines])


class _Line:
    """A partition: its records that wait to be merged, and how far it has been read."""

    def __init__(self, partition: Partition, size: int, chosen: Callable[[Batch], NDArray[np.bool_]]) -> None:
        self._partition = partition
        self._size = size
        self._chosen = chosen
        self._batches: Iterator[Batch] | None = None
        self._after = 0
        self._waiting: Batch | None = None
        self._order = np.zeros(0, np.int64)  # of the waiting records: newest event time up to each
        self._newest_us = 0
        self.is_read = False

    @property
    def wants_more(self) -> bool:
        return not self.is_read and 2 * len(self._order) < self._size

    @property
    def last_us(self) -> int:
        """Where the waiting records end; there is at least one."""
        return int(self._order[-1])

    def fill(self) -> None:
        """Read until `size` records wait, or to the end."""
        parts = [] if self._waiting is None else [self._waiting]
        orders = [self._order]
        length = len(self._order)
        while length < self._size and not self.is_read:
            batch = self._next()
            if batch is None:
                self.is_read = True
                break
            batch = select(batch, self._chosen(batch))
            if len(batch):
                times = np.where(has_time(batch), batch.time_us, 0)
                orders.append(np.maximum.accumulate(np.maximum(times, self._newest_us)))
                self._newest_us = int(orders[-1][-1])
                parts.append(batch)
                length += len(batch)
        self._waiting = _joined(parts) if parts else None
        self._order = np.concatenate(orders)

    def _next(self) -> Batch | None:
        if self._batches is None:
            self._batches = self._partition.batches(self._size, after_row=self._after)
        batch = next(self._batches, None)
        if batch is not None and len(batch):
            self._after = int(batch.position[-1])
        return batch

    def close(self) -> None:
        """Let go of the file; what comes next opens it again."""
        close = getattr(self._batches, "close", None)
        if close is not None:
            close()
        self._batches = None

    def take(self, until_us: int, *, within: bool) -> tuple[Batch, NDArray[np.int64]] | None:
        """The records before a time, `within` it too, and their places in the order; they wait no longer."""
        if self._waiting is None:
            return None
        count = int(np.searchsorted(self._order, until_us, side="right" if within else "left"))
        if not count:
            return None
        whole, order = self._waiting, self._order
        self._waiting = whole.slice(count, len(whole)) if count < len(whole) else None
        self._order = order[count:]
        return whole.slice(0, count), order[:count]


def _merged(taken: Sequence[tuple[Batch, NDArray[np.int64]] | None]) -> Iterator[Batch]:
    parts = [part for part in taken if part is not None]
    if not parts:
        return
    whole = _joined([batch for batch, _ in parts])
    yield _permuted(whole, np.argsort(np.concatenate([order for _, order in parts]), kind="stable"))


def select(batch: Batch, chosen: NDArray[np.bool_]) -> Batch:
    """The chosen records (n,) of a batch."""
    return batch if chosen.all() else _permuted(batch, np.flatnonzero(chosen))


def _permuted(batch: Batch, which: NDArray[np.int64]) -> Batch:
    """The chosen records in this order."""
    place = np.full(len(batch), -1)
    place[which] = np.arange(len(which))
    problems = [
        replace(problem, index=int(place[problem.index])) for problem in batch.problems if place[problem.index] >= 0
    ]
    return Batch(
        batch.key_names,
        batch.key_codes[which],
        batch.time_us[which],
        batch.values[which],
        batch.position[which],
        tuple(sorted(problems, key=lambda problem: (problem.index, problem.field))),
    )


def _joined(parts: Sequence[Batch]) -> Batch:
    """Batches behind one another."""
    if len(parts) == 1:
        return parts[0]
    names: dict[str, int] = {}
    codes, problems, start = [], [], 0
    for part in parts:
        numbers = np.array([names.setdefault(name, len(names)) for name in part.key_names], np.int32)
        codes.append(numbers[part.key_codes])
        problems += [replace(problem, index=problem.index + start) for problem in part.problems]
        start += len(part)
    return Batch(
        list(names),
        np.concatenate(codes),
        np.concatenate([part.time_us for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.position for part in parts]),
        tuple(problems),
    )
