"""Points that go into windows and steps that come out, as columns; and the rule for what no window can take."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.records import Batch, Disposition

TIME_END_US = 9_214_646_400_000_000
"""2262-01-01 UTC: event times lie in [0, TIME_END_US), which fits 64-bit nanoseconds too."""


class Columns(NamedTuple):
    """The columns of points or steps as the kernels take and give them; each (n,) and contiguous."""

    lane: NDArray[np.int64]
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    position: NDArray[np.int64]
    record: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Points:
    """Points of one partition in arrival order; every column is (n,) and contiguous.

    Attributes:
        lane: row in the slab, unchecked.
        time_us: event time, microseconds since 1970-01-01 UTC.
        value: NaN where missing.
        position: of the point's record: row of the file or offset of the partition.
        record: index of the point's record in the batch.
    """

    lane: NDArray[np.int64]
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    position: NDArray[np.int64]
    record: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lane)

    @property
    def columns(self) -> Columns:
        """The same arrays, for a kernel."""
        return Columns(self.lane, self.time_us, self.value, self.position, self.record)


@dataclass(frozen=True, slots=True)
class Steps:
    """Steps in the order in which the scoring kernel executes them; every column is (n,) and contiguous.

    Attributes:
        lane: row in the slab.
        time_us: of the point (count windows) or the end of its pane (time windows).
        value: finite.
        position: of the step's own point (count windows), of the last point that entered the pane (time windows), or -1
            for an empty pane.
        record: index in the batch of the record that released the step, never falling. The step's points may have come
            in earlier batches.
    """

    lane: NDArray[np.int64]
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    position: NDArray[np.int64]
    record: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lane)


def empty_columns(size: int) -> Columns:
    """Columns of `size` entries to be written."""
    return Columns(
        lane=np.empty(size, np.int64),
        time_us=np.empty(size, np.int64),
        value=np.empty(size, np.float64),
        position=np.empty(size, np.int64),
        record=np.empty(size, np.int64),
    )


def select_steps(columns: Columns, which: slice | NDArray[np.int64]) -> Steps:
    """The chosen entries as steps."""
    return Steps(
        lane=columns.lane[which],
        time_us=columns.time_us[which],
        value=columns.value[which],
        position=columns.position[which],
        record=columns.record[which],
    )


def classify(points: Points) -> NDArray[np.int8]:
    """Disposition of each point by its own value and time alone: SCORED where a window may take it.

    A time outside [0, TIME_END_US) and an infinite value are DEAD_LETTERED, a NaN is MISSING.
    """
    disposition = np.zeros(len(points), np.int8)
    timely = (points.time_us >= 0) & (points.time_us < TIME_END_US)
    finite = np.isfinite(points.value)
    if not (timely & finite).all():
        disposition[~finite] = Disposition.DEAD_LETTERED
        disposition[np.isnan(points.value)] = Disposition.MISSING
        disposition[~timely] = Disposition.DEAD_LETTERED
    return disposition


def points_of(batch: Batch, base: NDArray[np.int64], width: int) -> Points:
    """A point for each field of each record, record by record.

    Args:
        batch: the records.
        base: (n,) row of the first field of each record's key.
        width: fields of a record.
    """
    record = np.arange(len(batch))
    if width == 1:
        return Points(base, batch.time_us, batch.values[:, 0].copy(), batch.position, record)
    return Points(
        lane=(base[:, None] + np.arange(width)).ravel(),
        time_us=np.repeat(batch.time_us, width),
        value=batch.values.ravel(),
        position=np.repeat(batch.position, width),
        record=np.repeat(record, width),
    )


def place_empty(steps: Steps) -> Steps:
    """The steps, with minus their event time as the position of those of empty windows, which no record has."""
    if not (steps.position < 0).any():
        return steps
    return replace(steps, position=np.where(steps.position < 0, -steps.time_us, steps.position))


def steps_before(points: Points, steps: Steps) -> NDArray[np.int64]:
    """(points,) steps of the point's lane that earlier records of the batch released."""
    lane = np.concatenate([points.lane, steps.lane])
    record = np.concatenate([points.record, steps.record])
    is_step = np.zeros(len(lane), np.bool_)
    is_step[len(points) :] = True
    order = np.lexsort((is_step, record, lane))
    running: NDArray[np.int64] = np.cumsum(is_step[order]) - is_step[order]
    starts = np.flatnonzero(np.diff(lane[order], prepend=-1))
    running -= np.repeat(running[starts], np.diff(starts, append=len(order)))
    counted = np.empty(len(lane), np.int64)
    counted[order] = running
    return counted[: len(points)]
