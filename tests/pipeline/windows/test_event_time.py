import math
import sys

import numpy as np
import pytest

from pipeline.records import Disposition
from pipeline.windows import Aggregate, PartitionClock, TimeWindows, assign
from tests.pipeline.windows.streams import FIRST_POSITION, Point, Step, as_points, empty_slab, run

S, L, D = Disposition.SCORED, Disposition.LATE, Disposition.DUPLICATE
HOP = 10


def windows(aggregate: Aggregate = "sum", lateness_us: int = 0, silence_panes: int = 96) -> TimeWindows:
    """Windows of six panes of 10 us."""
    return TimeWindows(6 * HOP, HOP, lateness_us, aggregate, silence_panes)


@pytest.mark.parametrize(
    ("aggregate", "first", "second"),
    [
        ("last", 4.0, 7.0),
        ("mean", 3.0, 7.0),
        ("sum", 9.0, 7.0),
        ("min", 2.0, 7.0),
        ("max", 4.0, 7.0),
        ("count", 3.0, 1.0),
    ],
)
def test_a_pane_becomes_its_aggregate(aggregate: Aggregate, first: float, second: float) -> None:
    """A pane closes when the watermark reaches its end, and is one step at that end."""
    # time  0         10        20
    # pane  [0        )[1       )[2
    # a       3  2   4   7       1
    stream = [Point(0, 2, 3.0), Point(0, 5, 2.0), Point(0, 9, 4.0), Point(0, 13, 7.0), Point(0, 20, 1.0)]
    assert run(windows(aggregate), stream).steps == [
        Step(0, 10, first, FIRST_POSITION + 2, record=3),
        Step(0, 20, second, FIRST_POSITION + 3, record=4),
    ]


def test_a_point_at_the_edge_belongs_to_the_later_pane() -> None:
    """Panes hold their start and not their end; the watermark closes a pane when it reaches the end."""
    # time  0        10        20
    # pane  [0       )[1       )[2
    # a             9 10      19 20
    stream = [Point(0, 9, 1.0), Point(0, 10, 2.0), Point(0, 19, 4.0), Point(0, 20, 8.0)]
    assert run(windows(), stream).steps == [
        Step(0, 10, 1.0, FIRST_POSITION, record=1),
        Step(0, 20, 6.0, FIRST_POSITION + 2, record=3),
    ]


def test_a_silent_lane_is_closed_by_the_others() -> None:
    """Panes of a lane that went silent close in order of pane, then row, because the other lanes went on."""
    # time  0         10        20
    # pane  [0        )[1       )[2
    # a       5
    # b     4           6         8
    stream = [Point(1, 0, 4.0), Point(0, 2, 5.0), Point(1, 12, 6.0), Point(1, 21, 8.0)]
    assert run(windows("last"), stream).steps == [
        Step(0, 10, 5.0, FIRST_POSITION + 1, record=2),
        Step(1, 10, 4.0, FIRST_POSITION + 0, record=2),
        Step(1, 20, 6.0, FIRST_POSITION + 2, record=3),
    ]


def test_out_of_order_within_the_lateness_is_accepted_and_behind_it_late() -> None:
    """With lateness a pane stays open until the watermark, not the newest event, has passed its end."""
    # lateness  8
    # arrival   1  2   3  4   5  6   7
    # time      3  14  8  17  9  18  7
    # watermark -  6   6  9   9  10  10     pane 0 closes at 10
    times, values = [3, 14, 8, 17, 9, 18, 7], [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
    stream = [Point(0, time_us, value) for time_us, value in zip(times, values, strict=True)]
    result = run(windows(lateness_us=8), stream)
    assert result.dispositions == [S, S, S, S, S, S, L]
    assert result.steps == [Step(0, 10, 21.0, FIRST_POSITION + 4, record=5)]
    assert result.clock.watermark_us == 10


def test_behind_the_watermark_but_in_an_open_pane_is_accepted() -> None:
    """LATE is what belongs to a closed pane; the watermark within a pane closes nothing."""
    # pane  [0        )[1
    # a       2    7
    # then        5
    result = run(windows(), [Point(0, 2, 1.0), Point(0, 7, 2.0), Point(0, 5, 4.0), Point(0, 10, 0.0)])
    assert result.dispositions == [S] * 4
    assert result.of(0) == [(10, 7.0)]


def test_last_is_the_newest_by_event_time_then_by_arrival() -> None:
    """Out-of-order arrival does not change which value is last; of several at one time the last to arrive is."""
    # time   7  7  3     value  1  2  3
    stream = [Point(0, 7, 1.0), Point(0, 7, 2.0), Point(0, 3, 3.0), Point(0, 10, 0.0)]
    assert run(windows("last"), stream).steps == [Step(0, 10, 2.0, FIRST_POSITION + 2, record=3)]


def test_only_an_identical_repetition_of_the_newest_point_is_a_duplicate() -> None:
    """Several values at one time are what aggregates are for; the newest point over again is not."""
    # time   5  5  5  4  5  10
    # value  1  1  2  2  2  0
    times, values = [5, 5, 5, 4, 5, 10], [1.0, 1.0, 2.0, 2.0, 2.0, 0.0]
    result = run(windows(), [Point(0, time_us, value) for time_us, value in zip(times, values, strict=True)])
    assert result.dispositions == [S, D, S, S, D, S]
    assert result.of(0) == [(10, 5.0)]


def test_a_repetition_after_its_pane_has_closed_is_late() -> None:
    """A point whose pane has closed is LATE, whatever it repeats."""
    # pane  [0        )[1
    # a       5
    # b                 10
    # a       5
    assert run(windows(), [Point(0, 5, 1.0), Point(1, 10, 1.0), Point(0, 5, 1.0)]).dispositions == [S, S, L]


@pytest.mark.parametrize("aggregate", ["sum", "count"])
def test_empty_panes_count_as_zero_until_the_silence_is_over(aggregate: Aggregate) -> None:
    """A lane's empty panes are steps of 0 without a position from its first point on, for `silence_panes` panes."""
    # pane   0  1  2  3  4  5  6  7  8
    # a            1              1       from pane 2 on; silent from pane 5 on
    # b      1                          1
    stream = [Point(1, 0, 1.0), Point(0, 20, 1.0), Point(0, 70, 1.0), Point(1, 85, 1.0)]
    result = run(windows(aggregate, silence_panes=2), stream)
    assert result.of(0) == [(30, 1.0), (40, 0.0), (50, 0.0), (80, 1.0)]
    assert [step.position for step in result.steps if step.lane == 0] == [101, -1, -1, 102]
    assert result.of(1) == [(10, 1.0), (20, 0.0), (30, 0.0)]


@pytest.mark.parametrize("aggregate", ["last", "mean", "min", "max"])
def test_empty_panes_are_no_steps_where_nothing_was_measured(aggregate: Aggregate) -> None:
    """Without points there is no last, mean, least or greatest value, so there is no step."""
    # pane   0  1  2  3
    # a      1        1
    assert run(windows(aggregate), [Point(0, 0, 1.0), Point(0, 30, 1.0)]).of(0) == [(10, 1.0)]


def test_a_returning_lane_does_not_fill_its_silence_afterwards() -> None:
    """Panes that are still open when a long silent lane returns stay without steps if they lie in the silence."""
    # lateness 3 panes, silence 1 pane
    # pane   0  1  ...  20  21  22  23  24  25
    # a      1                      1
    # b                     1              1      closes panes up to 22
    stream = [Point(0, 0, 1.0), Point(1, 210, 1.0), Point(0, 235, 1.0), Point(1, 280, 1.0)]
    result = run(windows(lateness_us=30, silence_panes=1), stream)
    assert result.of(0) == [(10, 1.0), (20, 0.0), (240, 1.0), (250, 0.0)]


def test_a_leap_of_the_watermark_costs_no_more_than_the_silence() -> None:
    """Centuries without a record close in an instant and give no more than `silence_panes` zeros."""
    # pane   0  1 ... 96  97 ...................... 10^13
    # a      1  0 ...  0                            1
    result = run(windows(), [Point(0, 0, 1.0), Point(0, 10**14, 1.0)])
    assert result.of(0) == [(10, 1.0), *((10 * pane, 0.0) for pane in range(2, 98))]


def test_the_watermark_moves_record_by_record() -> None:
    """In one batch a record that arrives after the one that closed its pane is late, and before it is not."""
    # arrival  1  2   3
    # time     5  10  6
    assert run(windows(), [Point(0, 5, 1.0), Point(1, 10, 1.0), Point(2, 6, 1.0)]).dispositions == [S, S, L]


def test_the_fields_of_a_record_share_its_effect_on_the_clock() -> None:
    """Each field of the record that moves the watermark enters the new pane, and the closed panes come first."""
    # pane     [0      )[1
    # x          1       4
    # y          2       8
    spec = windows()
    stream = [Point(0, 3, 1.0), Point(1, 3, 2.0), Point(0, 12, 4.0), Point(1, 12, 8.0), Point(1, 20, 0.0)]
    points = as_points(stream)
    points.record[:] = [0, 0, 1, 1, 2]
    slab = empty_slab(spec, 2)
    steps = assign(spec, slab, PartitionClock(), points).steps
    assert steps.value.tolist() == [1.0, 2.0, 4.0, 8.0]
    assert steps.record.tolist() == [1, 1, 2, 2]


def test_a_row_from_where_the_watermark_had_come_further_is_ahead() -> None:
    """A row that comes with a past takes nothing before its own first open pane, and what it had open closes once."""
    # pane     [0      )[1      )[2      )[3
    # a, before             12        21
    # b           5    8       15         25    31
    # a, now           9       16          26
    spec = windows()
    past = run(spec, [Point(0, 12, 1.0), Point(0, 21, 2.0)], lanes=1)
    slab = empty_slab(spec, 2)
    for name, array in slab.items():
        array[1] = past.slab[name][0]
    now = [
        Point(0, 5, 10.0), Point(0, 8, 10.0), Point(1, 9, 4.0), Point(0, 15, 20.0), Point(1, 16, 4.0),
        Point(0, 25, 30.0), Point(1, 26, 4.0), Point(0, 31, 40.0),
    ]  # fmt: skip
    done = assign(spec, slab, PartitionClock(), as_points(now))
    assert done.disposition.tolist() == [S, S, L, S, L, S, S, S]
    steps = zip(done.steps.lane.tolist(), done.steps.time_us.tolist(), done.steps.value.tolist(), strict=True)
    assert list(steps) == [(0, 10, 20.0), (0, 20, 20.0), (0, 30, 30.0), (1, 30, 6.0)]


def test_a_row_is_closed_by_nothing_before_its_key_comes() -> None:
    """Panes that a returning row had open are released by its own record, not by one before it in the batch."""
    spec = windows("last")
    past = run(spec, [Point(0, 5, 1.0)], lanes=1)
    slab = empty_slab(spec, 2)
    for name, array in slab.items():
        array[1] = past.slab[name][0]
    points = as_points([Point(0, 12, 2.0), Point(0, 25, 2.0), Point(1, 26, 4.0)])
    steps = assign(spec, slab, PartitionClock(), points, np.array([1, 1, 2])).steps
    assert steps.record.tolist() == [1, 2]


def test_mean_keeps_small_noise_on_a_large_level() -> None:
    """The mean of 100,000 values around 1e9 is right to the last place."""
    values = 1e9 + 0.3 + 1e-3 * np.random.default_rng(7).normal(size=100_000)
    stream = [Point(0, i, value) for i, value in enumerate(values.tolist())]
    spec = TimeWindows(200_000, 200_000, aggregate="mean")
    ((_, mean),) = run(spec, [*stream, Point(0, 200_000, 0.0)]).of(0)
    assert mean == math.fsum(values) / len(values)


@pytest.mark.parametrize(("aggregate", "first", "second"), [("sum", 2.0, 5.0), ("mean", 0.5, 5.0)])
def test_sums_keep_what_cancellation_would_lose(aggregate: Aggregate, first: float, second: float) -> None:
    """Large values that cancel leave the small ones between them, and nothing in the next pane."""
    # pane  [0                  )[1  )[2
    # a       1  1e16  1  -1e16    5    0
    times, values = [1, 2, 3, 4, 11, 20], [1.0, 1e16, 1.0, -1e16, 5.0, 0.0]
    stream = [Point(0, time_us, value) for time_us, value in zip(times, values, strict=True)]
    assert run(windows(aggregate), stream).of(0) == [(10, first), (20, second)]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("aggregate", "points"), [("sum", 1), ("mean", 4)])
def test_sums_beyond_the_largest_number_stay_finite(sign: int, aggregate: Aggregate, points: int) -> None:
    """A step is always finite: a sum that overflows, also by its carry, stops at the largest number."""
    values = [1.7e308, 1.7e308, 9e291, 9e291]
    stream = [Point(0, i, sign * value) for i, value in enumerate(values)]
    ((_, value),) = run(windows(aggregate), [*stream, Point(0, 10, 0.0)]).of(0)
    assert value == sign * sys.float_info.max / points


def test_an_evicted_row_catches_up_before_its_next_point() -> None:
    """A row that was away when its pane closed gives that step, and its zeros, on the record with which it returns."""
    # pane  [0     )[1       )[2     )[3
    # a       1      (away)      8
    # b       1        2         4      0
    stream = [Point(0, 1, 1.0), Point(1, 1, 1.0), Point(1, 11, 2.0), Point(1, 21, 4.0), Point(0, 22, 8.0)]
    result = run(windows(), [*stream, Point(1, 31, 0.0)], cuts=[2, 4], evicting=True)
    assert [step for step in result.steps if step.lane == 0] == [
        Step(0, 10, 1.0, FIRST_POSITION, record=4),
        Step(0, 20, 0.0, -1, record=4),
        Step(0, 30, 8.0, FIRST_POSITION + 4, record=5),
    ]
