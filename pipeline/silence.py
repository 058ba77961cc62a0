"""Noticing that a stream has fallen silent, because the others of its partition went on.

A lane is silent when the partition's watermark has moved on by `intervals` of the lane's own pace since it was last
heard of. The watermark is the newest event time of the partition; the wall clock plays no part. When the watermark
itself leaps, by half of what any lane may be silent and by more than it is used to, the whole partition was away: every
lane is then given its time again, so that an outage raises no burst. It all happens record by record, so it does not
depend on how the stream is cut into batches.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled_allocating

LANE_FIELDS: list[tuple[str, str]] = [
    ("heard_us", "i8"),  # watermark when it was last heard of: a lane may lag behind the others for good
    ("pace_us", "f4"),  # usual time between points
    ("heard_points", "u2"),  # points heard, saturating
    ("silent", "u1"),  # 1 while silent
]
"""What the watch adds to a lane's row."""
_PACE_MEMORY = 64
_MOST_POINTS = np.iinfo(np.uint16).max
_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class SilenceRule:
    """When a lane is silent.

    Attributes:
        intervals: of its own pace; 0 turns the watch off.
        heard_points: points before a lane is watched.
    """

    intervals: float = 20.0
    heard_points: int = 150


@dataclass(frozen=True, slots=True)
class SilenceClock:
    """What the watch remembers of a partition.

    Attributes:
        watermark_us: newest event time.
        resumed_us: event time at which the partition last came back from an outage.
        check_us: watermark at which a lane may have fallen silent at the earliest.
        horizon_us: shortest silence of any lane.
        advances_us: sum of the newest 64 advances of the watermark, those longer ago fading out.
    """

    watermark_us: int = 0
    resumed_us: int = 0
    check_us: int = _NEVER
    horizon_us: int = _NEVER
    advances_us: int = 0


@dataclass(frozen=True, slots=True)
class SilenceEvents:
    """Lanes that fell silent or were heard again, in order.

    Attributes:
        lane: row in the slab.
        record: index in the batch of the record that moved the watermark, or that was heard.
        since_us: watermark when the lane was last heard of before the silence.
        began: True where the lane fell silent, False where it was heard again.
        pace_us: its usual time between points.
    """

    lane: NDArray[np.int64]
    record: NDArray[np.int64]
    since_us: NDArray[np.int64]
    began: NDArray[np.bool_]
    pace_us: NDArray[np.int64]


class _Watch(NamedTuple):
    """Arrays of the slab, (lanes,)."""

    heard_us: NDArray[np.int64]
    pace_us: NDArray[np.float32]
    heard_points: NDArray[np.uint16]
    silent: NDArray[np.uint8]


class _Event(NamedTuple):
    lane: int
    record: int
    since_us: int
    began: int
    pace_us: int


def watch(
    rule: SilenceRule,
    slab: dict[str, NDArray[Any]],
    clock: SilenceClock,
    lane: NDArray[np.int64],
    time_us: NDArray[np.int64],
    record: NDArray[np.int64],
    rows_in_use: NDArray[np.int64] | None = None,
) -> tuple[SilenceEvents, SilenceClock]:
    """What the accepted points (n,) of a batch, in order, tell of silences; updates the lanes in use.

    Args:
        rows_in_use: (n,) how many rows, from the first on, are in use at each point; None for all rows at all points.
    """
    if not rule.intervals:
        watermark_us = max(clock.watermark_us, int(time_us.max(initial=0)))
        return _as_columns([]), replace(clock, watermark_us=watermark_us)
    state = np.array(
        [clock.watermark_us, clock.resumed_us, clock.check_us, clock.horizon_us, clock.advances_us], np.int64
    )
    lanes = _Watch(*(slab[name] for name in _Watch._fields))
    enough = min(rule.heard_points, _MOST_POINTS)
    if rows_in_use is None:
        rows_in_use = np.full(len(lane), len(lanes.silent))
    events = _walk(lanes, lane, time_us, record, rows_in_use, float(rule.intervals), enough, state)
    return _as_columns(events), SilenceClock(*state.tolist())


def _as_columns(events: list[_Event]) -> SilenceEvents:
    columns = np.array(events, np.int64).reshape(len(events), len(_Event._fields)).T
    lane, record, since_us, began, pace_us = columns
    return SilenceEvents(lane, record, since_us, began.astype(np.bool_), pace_us)


@compiled_allocating
def _walk(
    lanes: _Watch,
    lane: NDArray[np.int64],
    time_us: NDArray[np.int64],
    record: NDArray[np.int64],
    rows_in_use: NDArray[np.int64],
    intervals: float,
    enough: int,
    state: NDArray[np.int64],
) -> list[_Event]:
    """The events; `state` is the clock, updated in place."""
    events = [_Event(0, 0, 0, 0, 0)][:0]
    watermark, resumed, check, horizon, advances = state[0], state[1], state[2], state[3], state[4]
    for n in range(len(lane)):
        row, now = lane[n], time_us[n]
        if now > watermark:
            if watermark > 0:
                advance = now - watermark
                used_to = _patience(intervals, advances / _PACE_MEMORY)
                if advance > max(horizon, used_to) // 2:
                    resumed = now
                advances += min(advance, used_to) - advances // _PACE_MEMORY if advances else advance * _PACE_MEMORY
            else:
                resumed = now  # lanes may have been heard of elsewhere before the partition began
            watermark = now
            if watermark >= check:
                speaking = lane[n : _end_of_record(record, n)]
                check, horizon = _find_silent(
                    lanes, rows_in_use[n], speaking, watermark, resumed, intervals, enough, record[n], events
                )
        if lanes.silent[row]:
            lanes.silent[row] = 0
            events.append(_Event(row, record[n], lanes.heard_us[row], 0, int(lanes.pace_us[row])))
        _hear(lanes, row, watermark, intervals)
        if lanes.heard_points[row] >= enough:
            patience = _patience(intervals, lanes.pace_us[row])
            horizon = min(horizon, patience)
            check = min(check, watermark + patience + 1)
    state[0], state[1], state[2], state[3], state[4] = watermark, resumed, check, horizon, advances
    return events


@compiled_allocating
def _patience(intervals: float, pace_us: float) -> int:
    """Microseconds of `intervals` paces, held to what times can be added to."""
    return int(min(intervals * pace_us, 2.0**62))


@compiled_allocating
def _end_of_record(record: NDArray[np.int64], n: int) -> int:
    """Index of the first point behind the record of point `n`."""
    end = n + 1
    while end < len(record) and record[end] == record[n]:
        end += 1
    return end


@compiled_allocating
def _hear(lanes: _Watch, row: int, watermark: int, intervals: float) -> None:
    """Take a point into its lane's pace.

    A silence counts as the longest pace that is none, so that one hardly matters and a stream slowed for good is
    accepted.
    """
    points, pace = lanes.heard_points[row], lanes.pace_us[row]
    elapsed = np.float64(max(watermark - lanes.heard_us[row], 0))  # elsewhere the watermark may have come further
    if pace > 0:
        elapsed = min(elapsed, intervals * pace)
    if points > 0:
        lanes.pace_us[row] = pace + (elapsed - pace) / min(points, _PACE_MEMORY)
    lanes.heard_us[row] = watermark
    if points < _MOST_POINTS:
        lanes.heard_points[row] = points + 1


@compiled_allocating
def _find_silent(
    lanes: _Watch,
    rows: int,
    speaking: NDArray[np.int64],
    watermark: int,
    resumed: int,
    intervals: float,
    enough: int,
    record: int,
    events: list[_Event],
) -> tuple[int, int]:
    """Mark the lanes that are silent by now, but for those that speak; gives the next time to look and the horizon.

    Args:
        rows: those in use.
    """
    check = horizon = _NEVER
    for row in range(rows):
        if lanes.silent[row] or lanes.heard_points[row] < enough:
            continue
        patience = _patience(intervals, lanes.pace_us[row])
        due = max(lanes.heard_us[row], resumed) + patience + 1
        horizon = min(horizon, patience)
        if due > watermark:
            check = min(check, due)
        elif not _is_among(row, speaking):
            lanes.silent[row] = 1
            events.append(_Event(row, record, lanes.heard_us[row], 1, int(lanes.pace_us[row])))
    return check, horizon


@compiled_allocating
def _is_among(row: int, rows: NDArray[np.int64]) -> bool:
    for other in rows:
        if other == row:
            return True
    return False
