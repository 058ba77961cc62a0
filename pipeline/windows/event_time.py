"""Event-time windows: points gather in panes of `hop_us`, and the partition's watermark closes the panes of all lanes.

Pane p is [p * hop, (p + 1) * hop). The watermark is the newest event time of the partition less the allowed lateness.
It moves before the point that moves it enters a pane, so a lane never has more than `open_panes` panes open, and pane p
lies in slot p % open_panes. Slots hold their pane plus one, so that 0 is a slot never used.

All rows in use close their panes together. The rows of a key that was evicted meanwhile are behind: they catch up
together when the watermark next moves on, or before the next point of the key, so their steps are those of rows that
stayed, only released later. Rows that come from elsewhere, where the watermark had come further, are ahead: what is
before their own first open pane is late.

In use is a row from the record on with which its key comes, whatever else is in the same batch.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled_allocating
from pipeline.records import Disposition
from pipeline.windows.points import Columns, Points, Steps, empty_columns, select_steps
from pipeline.windows.spec import Aggregate, TimeWindows

_SCORED = int(Disposition.SCORED)
_LATE = int(Disposition.LATE)
_DUPLICATE = int(Disposition.DUPLICATE)
_AGGREGATES: tuple[Aggregate, ...] = get_args(Aggregate)
_LAST, _MEAN, _SUM, _MIN, _MAX, _COUNT = range(6)
_LARGEST = float(np.finfo(np.float64).max)


class _Lanes(NamedTuple):
    """Arrays of the slab; those that the aggregate has no use for are empty."""

    next_us: NDArray[np.int64]  # (lanes,) one more than the newest accepted time
    newest_value: NDArray[np.float64]  # (lanes,) the last accepted at that time
    first_open: NDArray[np.int64]  # (lanes,) oldest pane not closed
    last_pane: NDArray[np.int64]  # (lanes,) newest closed pane with points, plus one
    pane: NDArray[np.int64]  # (lanes, open panes) pane in the slot, plus one
    position: NDArray[np.int64]  # (lanes, open panes) of the last point that entered
    value: NDArray[np.float64]  # (lanes, open panes) the aggregate so far; the sum, for a mean
    time_us: NDArray[np.int64]  # (lanes, open panes) of `value`
    carry: NDArray[np.float64]  # (lanes, open panes) what rounding took from the sum
    points: NDArray[np.int64]  # (lanes, open panes)


class _Rule(NamedTuple):
    """A `TimeWindows` as the kernel takes it."""

    hop_us: int
    lateness_us: int
    aggregate: int
    silence_panes: int  # 0 where empty panes are no steps
    width: int  # rows of a key


def take_by_time(
    spec: TimeWindows,
    slab: Mapping[str, NDArray[Any]],
    watermark_us: int,
    points: Points,
    disposition: NDArray[np.int8],
    rows_in_use: NDArray[np.int64],
    width: int = 1,
) -> tuple[Steps, int]:
    """Steps of the panes that the points close, and the watermark after them.

    Args:
        spec: size, hop, lateness and aggregate.
        slab: the rows in use, updated in place; each is looked at when a pane closes.
        watermark_us: of the partition.
        points: in arrival order.
        disposition: (n,) from `classify`; updated in place to LATE and DUPLICATE.
        rows_in_use: (n,) rows in use at each point.
        width: rows of a key, which follow one another.
    """
    rule = _Rule(
        hop_us=spec.hop_us,
        lateness_us=spec.allowed_lateness_us,
        aggregate=_AGGREGATES.index(spec.aggregate),
        silence_panes=spec.silence_panes if spec.counts_empty_panes else 0,
        width=width,
    )
    room = empty_columns(len(points))
    steps, made, watermark_us = _walk(points.columns, _lanes(slab), disposition, rule, watermark_us, rows_in_use, room)
    return select_steps(steps, slice(made)), watermark_us


def _lanes(slab: Mapping[str, NDArray[Any]]) -> _Lanes:
    # An empty array of the same type stands in for an absent one, so that all aggregates share one compiled kernel.
    stand_in = {"last_pane": "win_next_us", "time_us": "win_position", "carry": "win_value", "points": "win_position"}
    return _Lanes._make(
        slab[f"win_{name}"] if f"win_{name}" in slab else slab[stand_in[name]][:0] for name in _Lanes._fields
    )


@compiled_allocating
def _walk(
    points: Columns,
    lanes: _Lanes,
    disposition: NDArray[np.int8],
    rule: _Rule,
    watermark_us: int,
    rows_in_use: NDArray[np.int64],
    steps: Columns,
) -> tuple[Columns, int, int]:
    """The steps (in `steps` or in larger columns), their number, and the watermark."""
    open_panes = lanes.pane.shape[1]
    made = 0
    first_open = watermark_us // rule.hop_us
    for i in range(points.lane.size):
        if disposition[i] != _SCORED:
            continue
        row, time_us, value = points.lane[i], points.time_us[i], points.value[i]
        watermark_us = max(watermark_us, time_us - rule.lateness_us)
        if watermark_us >= (first_open + 1) * rule.hop_us:
            until, rows = watermark_us // rule.hop_us, rows_in_use[i]
            steps, made = _catch_up(lanes, 0, rows, first_open, rule, points.record[i], steps, made)
            steps, made = _close(lanes, 0, rows, first_open, until, rule, points.record[i], steps, made)
            steps, made = _catch_up(lanes, 0, rows, until, rule, points.record[i], steps, made)  # those that were ahead
            first_open = until
        own = lanes.first_open[row]
        if own < first_open:
            key = row // rule.width * rule.width
            steps, made = _catch_up(lanes, key, key + rule.width, first_open, rule, points.record[i], steps, made)
        if time_us < max(own, first_open) * rule.hop_us:
            disposition[i] = _LATE
        elif time_us + 1 == lanes.next_us[row] and value == lanes.newest_value[row]:
            disposition[i] = _DUPLICATE
        else:
            if time_us + 1 >= lanes.next_us[row]:
                lanes.next_us[row] = time_us + 1
                lanes.newest_value[row] = value
            pane = time_us // rule.hop_us
            slot = pane % open_panes
            if lanes.pane[row, slot] != pane + 1:
                lanes.pane[row, slot] = pane + 1
                _start(lanes, row, slot, rule.aggregate)
            _enter(lanes, row, slot, rule.aggregate, time_us, value)
            lanes.position[row, slot] = points.position[i]
    return steps, made, watermark_us


@compiled_allocating
def _start(lanes: _Lanes, row: int, slot: int, aggregate: int) -> None:
    """Make the aggregate in a slot that of no points; a last value is replaced anyway, since its pane was earlier."""
    lanes.value[row, slot] = np.inf if aggregate == _MIN else -np.inf if aggregate == _MAX else 0.0
    if aggregate in (_SUM, _MEAN):
        lanes.carry[row, slot] = 0.0
    if aggregate == _MEAN:
        lanes.points[row, slot] = 0


@compiled_allocating
def _enter(lanes: _Lanes, row: int, slot: int, aggregate: int, time_us: int, value: float) -> None:
    """Add a point to the aggregate in a slot."""
    if aggregate == _LAST:
        if time_us >= lanes.time_us[row, slot]:
            lanes.value[row, slot] = value
            lanes.time_us[row, slot] = time_us
    elif aggregate == _MIN:
        lanes.value[row, slot] = min(value, lanes.value[row, slot])
    elif aggregate == _MAX:
        lanes.value[row, slot] = max(value, lanes.value[row, slot])
    elif aggregate == _COUNT:
        lanes.value[row, slot] += 1.0
    else:
        _add(lanes, row, slot, value)
        if aggregate == _MEAN:
            lanes.points[row, slot] += 1


@compiled_allocating
def _add(lanes: _Lanes, row: int, slot: int, value: float) -> None:
    """Compensated sum (Neumaier 1974): the carry keeps what a large sum would round away."""
    old = lanes.value[row, slot]
    total = old + value
    lanes.value[row, slot] = total
    if abs(total) > _LARGEST:
        # An infinite step would stay in the lane's carried state for ever.
        lanes.value[row, slot] = np.copysign(_LARGEST, total)
    elif abs(old) >= abs(value):
        lanes.carry[row, slot] += (old - total) + value
    else:
        lanes.carry[row, slot] += (value - total) + old


@compiled_allocating
def _result(lanes: _Lanes, row: int, slot: int, aggregate: int) -> float:
    """The aggregate of the points in a slot."""
    value: float = lanes.value[row, slot]
    if aggregate in (_SUM, _MEAN):
        value = min(max(value + lanes.carry[row, slot], -_LARGEST), _LARGEST)
    if aggregate == _MEAN:
        value /= lanes.points[row, slot]
    return value


@compiled_allocating
def _catch_up(
    lanes: _Lanes, start: int, end: int, until: int, rule: _Rule, record: int, steps: Columns, made: int
) -> tuple[Columns, int]:
    """Append the steps of the panes before `until` of the rows [start, end) that have any open, key by key."""
    for row in range(start, end):
        own = lanes.first_open[row]
        if own < until:
            key_end = row // rule.width * rule.width + rule.width
            steps, made = _close(lanes, row, key_end, own, until, rule, record, steps, made)
    return steps, made


@compiled_allocating
def _close(
    lanes: _Lanes, start: int, end: int, first: int, until: int, rule: _Rule, record: int, steps: Columns, made: int
) -> tuple[Columns, int]:
    """Append the steps of the panes before `until` of the rows [start, end), by pane and within it by row.

    Only of those rows of which `first` is the first open pane.
    """
    open_panes = lanes.pane.shape[1]
    # Later panes are empty and past every lane's silence, however far the watermark has leapt.
    for pane in range(first, min(until, first + open_panes + rule.silence_panes)):
        steps = _with_room(steps, made, end - start)
        slot = pane % open_panes
        for row in range(start, end):
            if lanes.first_open[row] != first:
                continue
            if lanes.pane[row, slot] == pane + 1:
                steps.value[made] = _result(lanes, row, slot, rule.aggregate)
                steps.position[made] = lanes.position[row, slot]
                if rule.silence_panes > 0:
                    lanes.last_pane[row] = pane + 1
            elif rule.silence_panes > 0 and pane < lanes.last_pane[row] + rule.silence_panes and lanes.last_pane[row]:
                steps.value[made] = 0.0
                steps.position[made] = -1
            else:
                continue
            steps.lane[made] = row
            steps.time_us[made] = (pane + 1) * rule.hop_us
            steps.record[made] = record
            made += 1
    for row in range(start, end):
        if lanes.first_open[row] == first:
            lanes.first_open[row] = until
    return steps, made


@compiled_allocating
def _with_room(columns: Columns, used: int, room: int) -> Columns:
    """The same entries with space for `room` more."""
    if used + room <= columns.lane.size:
        return columns
    size = 2 * used + room
    return Columns(
        _enlarged(columns.lane, used, size),
        _enlarged(columns.time_us, used, size),
        _enlarged(columns.value, used, size),
        _enlarged(columns.position, used, size),
        _enlarged(columns.record, used, size),
    )


@compiled_allocating
def _enlarged(column: NDArray[Any], used: int, size: int) -> NDArray[Any]:
    larger = np.empty(size, column.dtype)
    larger[:used] = column[:used]
    return larger
