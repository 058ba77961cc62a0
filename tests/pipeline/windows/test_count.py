import numpy as np
import pytest

from pipeline.records import Disposition
from pipeline.windows import CountWindows
from tests.pipeline.windows.streams import FIRST_POSITION, Point, Step, run

S, L, D = Disposition.SCORED, Disposition.LATE, Disposition.DUPLICATE


def test_hop_one_makes_each_accepted_point_a_step_at_once() -> None:
    """With hop 1 a step is the point itself, released by its own record."""
    # record  0  1  2  3
    # a       1     3
    # b          2     4
    stream = [Point(0, 10, 1.0), Point(1, 10, 2.0), Point(0, 20, 3.0), Point(1, 25, 4.0)]
    result = run(CountWindows(4, 1), stream)
    assert result.steps == [Step(*point, FIRST_POSITION + i, i) for i, point in enumerate(stream)]


def test_a_window_closes_when_hop_points_are_there() -> None:
    """The hop new points of a closing window become steps in their order, all released by the record that closed it."""
    # record   0  1  2  3  4  5  6
    # a        1  2     3     4  5
    # a's hops [        ]  [         ... a third point is still awaited
    # b              9     8
    stream = [
        Point(0, 10, 1.0),
        Point(0, 20, 2.0),
        Point(1, 20, 9.0),
        Point(0, 30, 3.0),
        Point(1, 35, 8.0),
        Point(0, 40, 4.0),
        Point(0, 50, 5.0),
    ]
    result = run(CountWindows(6, 3), stream)
    assert result.steps == [
        Step(0, 10, 1.0, FIRST_POSITION + 0, record=3),
        Step(0, 20, 2.0, FIRST_POSITION + 1, record=3),
        Step(0, 30, 3.0, FIRST_POSITION + 3, record=3),
    ]
    assert result.dispositions == [S] * 7


@pytest.mark.parametrize("hop", [1, 2])
def test_time_going_backwards_is_late_and_standing_still_is_duplicate(hop: int) -> None:
    """Before the lane's newest accepted time is LATE, at it is DUPLICATE and the first one wins."""
    # arrival  1   2   3   4   5   6
    # time     10  20  20  19  21  20
    # value    1   2   7   8   3   9
    times, values = [10, 20, 20, 19, 21, 20], [1.0, 2.0, 7.0, 8.0, 3.0, 9.0]
    stream = [Point(0, time_us, value) for time_us, value in zip(times, values, strict=True)]
    result = run(CountWindows(4, hop), [*stream, Point(0, 30, 4.0)])
    assert result.dispositions == [S, S, D, L, S, L, S]
    assert result.of(0) == [(10, 1.0), (20, 2.0), (21, 3.0), (30, 4.0)]


@pytest.mark.parametrize("hop", [1, 2])
def test_lateness_is_each_lane_s_own_affair(hop: int) -> None:
    """A lane far ahead moves the partition's clock and makes no other lane late."""
    # a  10      1000
    # b      20        30
    stream = [Point(0, 10, 1.0), Point(1, 20, 1.0), Point(0, 1000, 1.0), Point(1, 30, 1.0)]
    result = run(CountWindows(4, hop), stream)
    assert result.dispositions == [S] * 4
    assert result.clock.watermark_us == 1000


@pytest.mark.parametrize("hop", [1, 2, 3, 5])
def test_overlapping_windows_show_no_point_twice(hop: int) -> None:
    """Every accepted point of a closed hop is in exactly one step."""
    rng = np.random.default_rng(7)
    lanes, times = rng.integers(0, 3, 300).tolist(), rng.integers(0, 400, 300).tolist()
    stream = [Point(lane, time_us, float(i)) for i, (lane, time_us) in enumerate(zip(lanes, times, strict=True))]
    result = run(CountWindows(5, hop), stream)
    for lane in range(3):
        accepted = [
            point.value
            for point, disposition in zip(stream, result.dispositions, strict=True)
            if disposition == S and point.lane == lane
        ]
        closed = len(accepted) // hop * hop
        assert [value for _, value in result.of(lane)] == accepted[:closed]
