"""Count windows: every `hop` accepted points of a lane become as many steps, in their order.

A lane's `win_next_us` is one more than its newest accepted time, so that 0 says 'none yet'.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled_allocating
from pipeline.records import Disposition
from pipeline.windows.points import Columns, Points, Steps, empty_columns, select_steps
from pipeline.windows.spec import CountWindows

_SCORED = int(Disposition.SCORED)
_LATE = int(Disposition.LATE)
_DUPLICATE = int(Disposition.DUPLICATE)


class _Held(NamedTuple):
    """Arrays of the slab: accepted points that wait until `hop` are there."""

    points: NDArray[np.int64]  # (lanes,) how many wait
    time_us: NDArray[np.int64]  # (lanes, hop - 1)
    value: NDArray[np.float64]  # (lanes, hop - 1)
    position: NDArray[np.int64]  # (lanes, hop - 1)


def take_by_count(
    spec: CountWindows, slab: Mapping[str, NDArray[Any]], newest_us: int, points: Points, disposition: NDArray[np.int8]
) -> tuple[Steps, int]:
    """Steps that the points release, and the newest event time accepted so far by any lane.

    Args:
        spec: size and hop.
        slab: the rows in use, updated in place.
        newest_us: newest event time accepted before.
        points: in arrival order; with hop 1 the steps may share their arrays.
        disposition: (n,) from `classify`; updated in place to LATE and DUPLICATE.
    """
    next_us = slab["win_next_us"]
    if spec.hop == 1:
        accepted, newest_us = _accept(points.lane, points.time_us, next_us, newest_us, disposition)
        everything = accepted == len(points)
        kept = slice(None) if everything else np.flatnonzero(disposition == _SCORED)
        return select_steps(points.columns, kept), newest_us
    held = _Held(slab["win_held"], slab["win_held_us"], slab["win_held_value"], slab["win_held_position"])
    steps = empty_columns(len(points) + min(len(points), len(next_us)) * (spec.hop - 1))
    made, newest_us = _hold(points.columns, next_us, held, newest_us, disposition, steps)
    return select_steps(steps, slice(made)), newest_us


@compiled_allocating
def _judge(time_us: int, next_us: int) -> int:
    if time_us >= next_us:
        return _SCORED
    return _DUPLICATE if time_us + 1 == next_us else _LATE


@compiled_allocating
def _accept(
    lane: NDArray[np.int64],
    time_us: NDArray[np.int64],
    next_us: NDArray[np.int64],
    newest_us: int,
    disposition: NDArray[np.int8],
) -> tuple[int, int]:
    """Number of points accepted and the newest event time."""
    accepted = 0
    for i in range(lane.size):
        if disposition[i] != _SCORED:
            continue
        row = lane[i]
        disposition[i] = _judge(time_us[i], next_us[row])
        if disposition[i] == _SCORED:
            next_us[row] = time_us[i] + 1
            newest_us = max(newest_us, time_us[i])
            accepted += 1
    return accepted, newest_us


@compiled_allocating
def _hold(
    points: Columns,
    next_us: NDArray[np.int64],
    held: _Held,
    newest_us: int,
    disposition: NDArray[np.int8],
    steps: Columns,
) -> tuple[int, int]:
    """Number of steps written to `steps` and the newest event time."""
    made = 0
    for i in range(points.lane.size):
        if disposition[i] != _SCORED:
            continue
        row, time_us = points.lane[i], points.time_us[i]
        disposition[i] = _judge(time_us, next_us[row])
        if disposition[i] != _SCORED:
            continue
        next_us[row] = time_us + 1
        newest_us = max(newest_us, time_us)
        waiting = held.points[row]
        if waiting < held.time_us.shape[1]:
            held.time_us[row, waiting] = time_us
            held.value[row, waiting] = points.value[i]
            held.position[row, waiting] = points.position[i]
            held.points[row] = waiting + 1
            continue
        end = made + waiting
        steps.time_us[made:end] = held.time_us[row]
        steps.value[made:end] = held.value[row]
        steps.position[made:end] = held.position[row]
        steps.time_us[end] = time_us
        steps.value[end] = points.value[i]
        steps.position[end] = points.position[i]
        steps.lane[made : end + 1] = row
        steps.record[made : end + 1] = points.record[i]
        held.points[row] = 0
        made = end + 1
    return made, newest_us
