"""Streams of (lane, time in seconds), a record each unless said otherwise; lanes are watched from point ten on."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.layout import allocate
from pipeline.silence import LANE_FIELDS, SilenceClock, SilenceRule, watch

RULE = SilenceRule(intervals=20, heard_points=10)


class _Event(NamedTuple):
    """A lane fell silent or was heard again; `at` is the index in the stream of the record that told."""

    lane: int
    at: int
    since_s: float
    began: bool


def _watch(
    stream: Sequence[tuple[int, float]], cuts: Sequence[int] = (), fields: int = 1, rule: SilenceRule = RULE
) -> tuple[list[_Event], SilenceClock]:
    """Events of a stream that is cut before each of the indices.

    Args:
        fields: lanes that a record has points of, counted from the lane that it names.
    """
    slab = allocate(np.dtype(LANE_FIELDS), max(lane for lane, _ in stream) + fields)
    clock, events = SilenceClock(), []
    for start, stop in itertools.pairwise([0, *cuts, len(stream)]):
        piece = stream[start:stop]
        lane = np.array([lane + field for lane, _ in piece for field in range(fields)], np.int64)
        time_us = np.array([round(time * 1e6) for _, time in piece for _ in range(fields)], np.int64)
        found, clock = watch(rule, slab, clock, lane, time_us, np.repeat(np.arange(len(piece)), fields))
        events += [
            _Event(lane, start + record, since / 1e6, began)
            for lane, record, since, began in zip(
                found.lane.tolist(), found.record.tolist(), found.since_us.tolist(), found.began.tolist(), strict=True
            )
        ]
    return events, clock


def _regular(lane: int, pace: float, start: float, stop: float) -> list[tuple[int, float]]:
    return [(lane, float(time)) for time in np.arange(start, stop, pace)]


def _merge(*streams: list[tuple[int, float]]) -> list[tuple[int, float]]:
    return sorted(itertools.chain(*streams), key=lambda point: (point[1], point[0]))


def _began(events: list[_Event]) -> list[int]:
    return [event.lane for event in events if event.began]


QUIET_LANE = _merge(
    _regular(0, 1, 100, 200), _regular(1, 1, 100.5, 200), _regular(2, 1, 100.2, 130), _regular(2, 1, 170.2, 200)
)


def test_a_lane_is_silent_when_the_others_went_on_for_so_many_of_its_intervals() -> None:
    """The first record later than 20 intervals after the lane's last tells it, once; the lane's next record ends it."""
    events, _ = _watch(QUIET_LANE)
    began, ended = events
    assert (began.lane, began.began, ended.lane, ended.began) == (2, True, 2, False)
    assert began.since_s == ended.since_s == pytest.approx(129.2)
    assert QUIET_LANE[began.at] == (1, 149.5)
    assert QUIET_LANE[ended.at] == (2, 170.2)


@settings(max_examples=30)
@given(st.sets(st.integers(1, len(QUIET_LANE) - 1), max_size=30).map(sorted))
def test_silence_does_not_depend_on_the_batches(cuts: list[int]) -> None:
    """However the stream is cut, the same records tell the same silences."""
    assert _watch(QUIET_LANE, cuts) == _watch(QUIET_LANE)


def test_a_young_lane_is_not_watched() -> None:
    """A lane heard too seldom to know its pace is never silent."""
    events, _ = _watch(_merge(_regular(0, 1, 100, 300), _regular(1, 1, 100.5, 109)))
    assert events == []


def test_a_partition_of_one_lane_is_never_silent() -> None:
    """Without others that go on there is no silence, only gaps."""
    assert _watch(_regular(0, 1, 100, 200) + _regular(0, 1, 500, 600))[0] == []


@pytest.mark.parametrize("outage", [5, 9.9, 15, 19.3, 19.9, 20.1, 50, 1e5])
@pytest.mark.parametrize("order", [1, -1])
def test_after_an_outage_of_the_partition_there_is_no_burst(outage: float, order: int) -> None:
    """When all lanes were away together, none is silent when the first of them is heard again, however long it took."""
    streams = []
    for lane in range(10):
        phase = lane / 10
        back = 200 + outage + phase * order % 1
        streams += [_regular(lane, 1, 100 + phase, 200), _regular(lane, 1, back, back + 60)]
    assert _watch(_merge(*streams))[0] == []


def test_a_lane_that_does_not_come_back_from_an_outage_is_noticed() -> None:
    """After an outage every lane has its time again, and one that stays away is told then."""
    lanes = [
        _merge(_regular(lane, 1, 100 + lane / 10, 200), _regular(lane, 1, 500 + lane / 10, 600)) for lane in (0, 1)
    ]
    events, _ = _watch(_merge(*lanes, _regular(2, 1, 100.5, 200)))
    assert _began(events) == [2]
    assert 520 < _merge(*lanes, _regular(2, 1, 100.5, 200))[events[0].at][1] < 522


def test_a_fast_lane_among_slow_ones_is_noticed() -> None:
    """Where the partition's time moves in steps longer than the fast lane's patience, its silence shows too."""
    slow = [_regular(lane, 60, 60, 60 * 80) for lane in range(1, 4)]
    events, _ = _watch(_merge(_regular(0, 1, 60, 1200), *slow))
    assert _began(events) == [0]
    assert _merge(_regular(0, 1, 60, 1200), *slow)[events[0].at][1] < 1200 + 15 * 60


def test_a_lane_that_slows_down_for_good_is_accepted() -> None:
    """A pace that becomes a hundred times slower is a silence or a few, and then the new pace."""
    slow = _regular(1, 100, 1000, 30_000)
    events, _ = _watch(_merge(_regular(0, 1, 100, 30_000), _regular(1, 1, 100.5, 1000), slow))
    assert 1 <= len(_began(events)) <= 10
    assert max(event.since_s for event in events) < 4000


def test_one_silence_hardly_changes_the_pace() -> None:
    """A second silence of the same length is told too, not a third later than the first."""
    spoken = [_regular(1, 1, start + 0.5, start + 100) for start in (100, 300, 500)]
    events, _ = _watch(_merge(_regular(0, 1, 100, 800), *spoken))
    stream = _merge(_regular(0, 1, 100, 800), *spoken)
    waits = [stream[event.at][1] - event.since_s for event in events if event.began]
    assert len(waits) == 3
    assert max(waits) < 1.34 * min(waits)


def test_a_lane_that_lags_behind_is_not_silent() -> None:
    """A lane whose event times are far behind the others' is heard whenever a record of it comes."""
    ahead, behind = _regular(0, 1, 1000, 1300), _regular(1, 1, 100, 400)
    stream = [point for pair in zip(ahead, behind, strict=True) for point in pair]
    assert _watch(stream)[0] == []
    assert _began(_watch([*stream, *_regular(0, 1, 1300, 1400)])[0]) == [1]


def test_all_fields_of_a_record_are_heard_at_once() -> None:
    """When a key returns just before it would be silent, its own record tells none of its fields silent."""
    stream = _merge(_regular(0, 1, 100, 200), _regular(3, 1, 100.5, 150), [(3, 170.4)], _regular(3, 1, 171, 200))
    slowest = [point for point in stream if not (point[0] == 0 and 169 < point[1] < 170.4)]
    for fields in (1, 3):
        assert _watch(slowest, fields=fields)[0] == []


def test_without_a_rule_nothing_is_silent_and_time_moves_on() -> None:
    """With 0 intervals the watch is off, and still tells the watermark."""
    events, clock = _watch(QUIET_LANE, cuts=[50, 200], rule=SilenceRule(intervals=0))
    assert events == []
    assert clock.watermark_us == round(max(time for _, time in QUIET_LANE) * 1e6)


@pytest.mark.parametrize("intervals", [1e6, 1e18])
def test_a_boundless_patience_is_never_exhausted(intervals: float) -> None:
    """Intervals too many for any time to come are no overflow."""
    assert _watch(QUIET_LANE, rule=SilenceRule(intervals=intervals, heard_points=10))[0] == []


def test_a_row_is_not_watched_before_its_key_comes() -> None:
    """A lane brought in with a later record of the batch, and heard of long ago, is silent only once it is in use."""
    slab = allocate(np.dtype(LANE_FIELDS), 2)
    slab["heard_points"][1], slab["pace_us"][1], slab["heard_us"][1] = 50, 1e6, 1
    lane, time_us = np.zeros(60, np.int64), np.arange(100, 160) * 1_000_000
    since = np.arange(60)
    found, _ = watch(RULE, slab, SilenceClock(), lane, time_us, since, np.where(since < 40, 1, 2))
    assert found.lane.tolist() == [1]
    assert found.record[0] >= 40


def test_a_lane_heard_of_before_the_partition_began_is_given_its_time() -> None:
    """Lanes that come with a past are silent only when they miss their pace within the partition."""
    slab = allocate(np.dtype(LANE_FIELDS), 2)
    slab["heard_points"][:], slab["pace_us"][:], slab["heard_us"][:] = 50, 1e6, 1
    time_us = np.arange(100, 115) * 1_000_000
    found, clock = watch(RULE, slab, SilenceClock(), np.zeros(15, np.int64), time_us, np.arange(15))
    assert not len(found.lane)
    later = np.arange(115, 130) * 1_000_000
    found, _ = watch(RULE, slab, clock, np.zeros(15, np.int64), later, np.arange(15))
    assert found.lane.tolist() == [1]
