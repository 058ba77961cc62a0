"""Streams written as lists of points, and the driver that runs them through windows in any cut."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detectors.layout import Slab, allocate
from pipeline.records import Disposition
from pipeline.windows import PartitionClock, Points, WindowSpec, assign, lane_fields

FIRST_POSITION = 100


class Point(NamedTuple):
    """A point of a record with one field; its position is FIRST_POSITION plus its index in the stream."""

    lane: int
    time_us: int
    value: float


class Step(NamedTuple):
    """A step; `record` is the index in the stream of the record that released it."""

    lane: int
    time_us: int
    value: float
    position: int
    record: int


class Run(NamedTuple):
    """What a stream became."""

    steps: list[Step]
    dispositions: list[Disposition]
    slab: Slab
    clock: PartitionClock

    def of(self, lane: int) -> list[tuple[int, float]]:
        """Time and value of the lane's steps."""
        return [(step.time_us, step.value) for step in self.steps if step.lane == lane]


def empty_slab(spec: WindowSpec, lanes: int) -> Slab:
    """Rows of lanes that have seen nothing, with another owner's field among those of the windows."""
    return allocate(np.dtype([("hidden", "f8", (4,)), *lane_fields(spec)]), lanes)


def bytes_of(slab: Slab) -> bytes:
    """All state of all rows."""
    return b"".join(array.tobytes() for array in slab.values())


def as_points(stream: Sequence[Point], first: int = 0) -> Points:
    """The stream as columns, when `first` points came before it."""
    n = len(stream)
    return Points(
        lane=np.array([point.lane for point in stream], np.int64),
        time_us=np.array([point.time_us for point in stream], np.int64),
        value=np.array([point.value for point in stream], np.float64),
        position=FIRST_POSITION + first + np.arange(n),
        record=np.arange(n),
    )


def run(
    spec: WindowSpec, stream: Sequence[Point], cuts: Sequence[int] = (), lanes: int = 4, *, evicting: bool = False
) -> Run:
    """The stream from the beginning, cut into micro-batches before each index in `cuts`.

    Args:
        spec: which windows.
        stream: the points.
        cuts: indices, rising.
        lanes: rows of the slab.
        evicting: take every row away after each batch, and put it back before the next batch with a point of its lane.
    """
    slab, clock = empty_slab(spec, lanes), PartitionClock()
    spill: dict[int, Slab] = {}
    steps: list[Step] = []
    dispositions: list[Disposition] = []
    for start, end in itertools.pairwise([0, *cuts, len(stream)]):
        for lane in {point.lane for point in stream[start:end]} & spill.keys():
            for name, array in slab.items():
                array[lane] = spill[lane][name]
        done = assign(spec, slab, clock, as_points(stream[start:end], start))
        if evicting:
            for lane in {point.lane for point in stream[start:end]}:
                spill[lane] = {name: array[lane].copy() for name, array in slab.items()}
            for array in slab.values():
                array[...] = 0
        clock = done.clock
        dispositions += [Disposition(one) for one in done.disposition.tolist()]
        columns = [column.tolist() for column in dataclasses.astuple(done.steps)]
        steps += [Step(*step)._replace(record=start + step[-1]) for step in zip(*columns, strict=True)]
    return Run(steps, dispositions, slab, clock)
