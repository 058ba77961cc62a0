"""What a replay asks of the order of its records: a file in the wrong order would be late from end to end."""

import numpy as np

from pipeline.engine import Outcome, PartitionEngine
from pipeline.episodes import iso_time
from pipeline.errors import InputError
from pipeline.records import Disposition

LATE_SHARE = 0.5
LATE_RECORDS = 100
"""A partition with more than this share of late records, once there are so many, is taken to be in the wrong order."""


def require_order(path: str, outcome: Outcome) -> None:
    """Refuse a batch with a late record.

    Raises:
        InputError: names the first.
    """
    if outcome.counts.points["late"]:
        position, time_us = first_point(outcome, Disposition.LATE)
        raise InputError(
            path,
            row=position,
            found=f"time {iso_time(time_us)}, earlier than the row before it of the same key",
            expected="times that do not go back; sort the file, or leave out --strict to count such records as late",
        )


def require_mostly_in_order(path: str, engine: PartitionEngine, least: int) -> None:
    """Refuse a partition most of whose records so far are late, once at least so many are.

    Raises:
        InputError: they are.
    """
    late, consumed = engine.counts.records["late"], engine.counts.consumed
    if late >= least and late > LATE_SHARE * consumed:
        raise InputError(
            path,
            found=f"times that go back: {late} of the first {consumed} records are earlier than one before them",
            expected="times that rise; sort the file by time, oldest first",
        )


def first_point(outcome: Outcome, disposition: Disposition) -> tuple[int, int]:
    """(position, time in microseconds) of the first point of a disposition in the batch.

    Raises:
        ValueError: there is none.
    """
    for table in outcome.verdicts:
        found = np.flatnonzero(table.disposition == disposition)
        if len(found):
            return int(table.position[found[0]]), int(table.time_us[found[0]])
    raise ValueError(f"found no point that is {disposition.name}; expected one")
