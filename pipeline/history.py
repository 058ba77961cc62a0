"""Recorded history put through an engine, so that lanes can begin where it ends.

All partitions of a history are one stream in order of event time, whatever files or partitions it lies in, and one
engine takes it. What is left of it is the rows of its keys: whoever meets one of these keys for the first time, in
whatever partition, begins with its rows. Points of the history have no place in the stream that follows, so their
position is minus their event time, as that of empty windows is.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.accounting import Counts
from pipeline.engine import PartitionEngine
from pipeline.errors import InputError
from pipeline.interfaces import Partition
from pipeline.merging import has_time, merge_by_time
from pipeline.records import Batch

PROBE_RECORDS = 1_000
"""Records at the beginning of each partition among which its first event time is looked for."""
LATE_SHARE = 0.5
_NOWHERE = -1
"""Position of a point that has none; the engine puts minus the event time of the step in its place."""


@dataclass(frozen=True, slots=True)
class Past:
    """What a history has left.

    Attributes:
        rows: of its keys, in order; readable until the spill that holds them is closed.
        keys: how many.
        counts: of its records; those at or behind the end are not among them.
        left_out: records at or behind the end.
        first_us, last_us: range of event time; None without records.
    """

    rows: Iterable[tuple[str, bytes]]
    keys: int
    counts: Counts
    left_out: int
    first_us: int | None
    last_us: int | None


def first_time(partitions: Sequence[Partition]) -> int | None:
    """Earliest event time among the first records of each partition; None where there are none."""
    firsts = [batch.time_us[has_time(batch)] for batch in map(_first_batch, partitions) if batch is not None]
    return min((int(times.min()) for times in firsts if len(times)), default=None)


def _first_batch(partition: Partition) -> Batch | None:
    return next(iter(partition.batches(PROBE_RECORDS)), None)


def take_history(
    partitions: Sequence[Partition],
    engine: PartitionEngine,
    *,
    told: str,
    end_us: int | None,
    micro_batch: int,
    observe: Callable[[int], None],
    stop: Callable[[], bool],
) -> Past | None:
    """What is left of a history; None when it was stopped.

    Args:
        partitions: of the history; each in order of time, for the most part.
        engine: a fresh one, of no use afterwards.
        told: names the history in errors.
        end_us: event time from which on records are left out; None for none.
        micro_batch: records per call of the engine.
        observe: told how many records were taken, after each call.
        stop: asked after each call.

    Raises:
        InputError: most of the records are late: the history is in the wrong order.
    """
    left_out, first_us, last_us = 0, None, None

    def is_before_end(batch: Batch) -> NDArray[np.bool_]:
        nonlocal left_out
        if end_us is None:
            return np.ones(len(batch), np.bool_)
        behind = has_time(batch) & (batch.time_us >= end_us)
        left_out += int(behind.sum())
        return ~behind

    for batch in _in_size(merge_by_time(partitions, len(engine.fields), is_before_end), micro_batch):
        times = batch.time_us[has_time(batch)]
        if len(times):
            first, last = int(times.min()), int(times.max())
            first_us = first if first_us is None else min(first_us, first)
            last_us = last if last_us is None else max(last_us, last)
        engine.process(replace(batch, position=np.full(len(batch), _NOWHERE)))
        observe(len(batch))
        if stop():
            return None
    counts = engine.counts
    late = counts.records["late"]
    if late > LATE_SHARE * counts.consumed:
        raise InputError(
            told,
            found=f"times that go back: {late} of {counts.consumed} records are earlier than one before them",
            expected="a history each of whose files is sorted by time, oldest first",
        )
    keys = engine.lanes.keys_seen
    engine.lanes.put_away()
    return Past(engine.save().spilled, keys, counts, left_out, first_us, last_us)


def _in_size(batches: Iterator[Batch], most: int) -> Iterator[Batch]:
    for batch in batches:
        for start in range(0, len(batch), most):
            yield batch.slice(start, min(start + most, len(batch)))
