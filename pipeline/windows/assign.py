"""The driver of the windows: points of a partition in, steps and a disposition for every point out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.windows.count import take_by_count
from pipeline.windows.event_time import take_by_time
from pipeline.windows.points import Points, Steps, classify
from pipeline.windows.spec import CountWindows, WindowSpec


@dataclass(frozen=True, slots=True)
class PartitionClock:
    """How far event time has come in a partition: all that the windows remember besides the lanes.

    Attributes:
        watermark_us: newest event time accepted, less the allowed lateness of time windows; 0 at the start.
    """

    watermark_us: int = 0


@dataclass(frozen=True, slots=True)
class Assignment:
    """What became of a batch of points.

    Attributes:
        steps: for the scoring kernel, in order.
        disposition: (n,) int8 of `Disposition`, one per point. SCORED is accepted: the point is or will be in exactly
            one step.
        clock: of the partition after the batch.
    """

    steps: Steps
    disposition: NDArray[np.int8]
    clock: PartitionClock


def assign(
    spec: WindowSpec,
    slab: Mapping[str, NDArray[Any]],
    clock: PartitionClock,
    points: Points,
    rows_in_use: NDArray[np.int64] | None = None,
    width: int = 1,
) -> Assignment:
    """Steps that the points release; the same steps however the points are cut into batches.

    Args:
        spec: which windows.
        slab: arrays of the rows in use, among them the fields of `lane_fields(spec)`; updated in place.
        clock: of the partition before the batch.
        points: in arrival order. With count windows of hop 1 the steps may share their arrays.
        rows_in_use: (n,) how many rows, from the first on, are in use at each point; None for all rows at all points.
        width: rows of a key, which follow one another; a key that was evicted catches up with all of them at once.
    """
    disposition = classify(points)
    if isinstance(spec, CountWindows):
        steps, watermark_us = take_by_count(spec, slab, clock.watermark_us, points, disposition)
    else:
        if rows_in_use is None:
            rows_in_use = np.full(len(points), len(slab["win_next_us"]))
        steps, watermark_us = take_by_time(spec, slab, clock.watermark_us, points, disposition, rows_in_use, width)
    return Assignment(steps, disposition, PartitionClock(int(watermark_us)))
