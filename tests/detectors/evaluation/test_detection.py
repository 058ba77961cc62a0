import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.evaluation.detection import LaneAlerts, judge, summarise

SECOND_US = 1_000_000
DAY_S = 86_400


def lane(alerts_s: list[int], windows_s: list[tuple[int, int]], end_s: int = DAY_S, name: str = "a") -> LaneAlerts:
    """A lane covered from 0 to `end_s` seconds."""
    return LaneAlerts(
        lane=name,
        start_us=0,
        end_us=end_s * SECOND_US,
        alerts_us=np.array(alerts_s, dtype=np.int64) * SECOND_US,
        windows=np.array(windows_s, dtype=np.int64).reshape(-1, 2) * SECOND_US,
    )


def test_counts_of_one_lane() -> None:
    """Found and missed windows, false alarms and the delay of the first alert are counted per event."""
    #  windows      100====200        300====400     500====600
    #  alerts   50      150  180                250                700
    outcome = judge(lane([700, 180, 50, 150, 250], [(300, 400), (100, 200), (500, 600)]))
    assert outcome.is_detected.tolist() == [True, False, False]
    assert outcome.delay_s[0] == 50.0
    assert np.isnan(outcome.delay_s[1:]).all()
    assert (outcome.alerts, outcome.false_alarms) == (5, 3)
    total = summarise([outcome])
    assert (total.lanes, total.windows, total.detected, total.alerts, total.false_alarms) == (1, 3, 1, 5, 3)
    assert total.precision == pytest.approx(1 / 4)
    assert total.recall == pytest.approx(1 / 3)
    assert total.f1 == pytest.approx(2 / (4 + 3))
    assert total.false_alarms_per_lane_day == pytest.approx(3.0)


def test_edges_of_a_window_lie_within() -> None:
    """An alert at the first or last moment of a window detects it, one a microsecond outside is false."""
    for alert_us, detected in ((99_999_999, False), (100_000_000, True), (200_000_000, True), (200_000_001, False)):
        outcome = judge(LaneAlerts("a", 0, 10**9, np.array([alert_us]), [(100_000_000, 200_000_000)]))
        assert outcome.is_detected.tolist() == [detected]
        assert outcome.false_alarms == int(not detected)


def test_a_window_counts_as_far_as_the_lane_goes() -> None:
    """One that reaches over the lane's beginning or end can be found within it; one wholly outside is no miss."""
    outcome = judge(
        LaneAlerts("a", 1_000, 2_000, np.array([1_050, 1_950]), [(0, 1_100), (1_900, 9_000), (2_001, 3_000)])
    )
    assert outcome.is_detected.tolist() == [True, True]
    assert outcome.false_alarms == 0


def test_lanes_together() -> None:
    """Delays are pooled over lanes, and false alarms are spread over the days of all lanes, unlabelled ones too."""
    lanes = [
        lane([110], [(100, 200)], name="a"),
        lane([120, 350], [(100, 200), (300, 400)], name="b"),
        lane([5, 6, 7], [], end_s=2 * DAY_S, name="unlabelled"),
    ]
    total = summarise([judge(each) for each in lanes])
    assert total.mean_delay_s == pytest.approx((10 + 20 + 50) / 3)
    assert total.median_delay_s == pytest.approx(20.0)
    assert total.false_alarms == 3
    assert total.false_alarms_per_lane_day == pytest.approx(3 / 4)
    assert total.recall == 1.0
    assert total.precision == pytest.approx(3 / 6)


def test_windows_outside_the_time_covered_do_not_count() -> None:
    """A window that no point could fall into is neither found nor missed; one that is partly covered counts."""
    outcome = judge(lane([], [(-20, -10), (-10, 10), (DAY_S + 1, DAY_S + 9)]))
    assert outcome.windows.tolist() == [[-10 * SECOND_US, 10 * SECOND_US]]
    assert outcome.is_detected.tolist() == [False]


def test_overlapping_windows() -> None:
    """One alert detects every window that it lies in, and is no false alarm while any is open."""
    outcome = judge(lane([150, 350], [(100, 400), (120, 200)]))
    assert outcome.delay_s.tolist() == [50.0, 30.0]
    assert outcome.false_alarms == 0


def test_nothing_to_measure_is_none() -> None:
    """Without alerts there is no precision, without windows no recall, without lanes nothing."""
    silent = summarise([judge(lane([], [(100, 200)]))])
    assert (silent.precision, silent.recall, silent.f1, silent.mean_delay_s) == (None, 0.0, 0.0, None)
    unlabelled = summarise([judge(lane([5], []))])
    assert (unlabelled.precision, unlabelled.recall, unlabelled.f1) == (0.0, None, None)
    empty = summarise([])
    assert (empty.lanes, empty.alerts, empty.false_alarms_per_lane_day, empty.median_delay_s) == (0, 0, None, None)


def test_unusable_spans() -> None:
    """A window or lane that ends before it starts is refused, with what was found."""
    with pytest.raises(ValueError, match="b: found a window from 9000000 to 8000000 us"):
        judge(lane([], [(1, 2), (9, 8)], name="b"))
    with pytest.raises(ValueError, match="b: found points from 0 to -1000000 us"):
        judge(lane([], [], end_s=-1, name="b"))


@given(
    st.lists(st.integers(0, 100), max_size=12),
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)).map(lambda pair: (min(pair), max(pair))), max_size=5),
)
def test_every_alert_is_true_or_false(alerts_s: list[int], windows_s: list[tuple[int, int]]) -> None:
    """Alerts and windows, taken one by one, give the same counts and delays."""
    outcome = judge(lane(alerts_s, windows_s))
    expected = [
        min((alert - start for alert in alerts_s if start <= alert <= end), default=None)
        for start, end in sorted(windows_s, key=lambda window: window[0])
    ]
    assert [None if np.isnan(delay) else delay for delay in outcome.delay_s] == expected
    is_false = [not any(start <= alert <= end for start, end in windows_s) for alert in alerts_s]
    assert outcome.false_alarms == sum(is_false)


def test_lanes_that_are_labelled_together() -> None:
    """Alerts of two lanes with the same labels find a window once; false alarms are spread over the days of both."""
    together = judge(
        LaneAlerts("a", 0, DAY_S * SECOND_US, np.array([5, 150, 160]) * SECOND_US, [(10**8, 2 * 10**8)], 2)
    )
    total = summarise([together])
    assert (total.lanes, total.detected, total.false_alarms) == (2, 1, 1)
    assert total.false_alarms_per_lane_day == pytest.approx(0.5)
