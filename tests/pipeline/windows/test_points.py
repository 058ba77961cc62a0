import numpy as np
import pytest

from pipeline.records import Disposition
from pipeline.windows import CountWindows, TimeWindows, WindowSpec
from pipeline.windows.points import TIME_END_US
from tests.pipeline.windows.streams import Point, run

BOTH_KINDS: list[WindowSpec] = [
    CountWindows(),
    CountWindows(4, 2),
    TimeWindows(10, 10),
    TimeWindows(10, 10, 10, "sum"),
]
NOWHERE = [-(2**63), -1, TIME_END_US, 2**63 - 1]


def test_the_end_of_time() -> None:
    """Times are accepted up to the last microsecond of 2261."""
    assert np.datetime64(TIME_END_US, "us") == np.datetime64("2262-01-01")


@pytest.mark.parametrize("spec", BOTH_KINDS)
@pytest.mark.parametrize(
    ("odd", "disposition"),
    [
        (Point(0, 50, np.nan), Disposition.MISSING),
        (Point(0, 50, np.inf), Disposition.DEAD_LETTERED),
        (Point(0, 50, -np.inf), Disposition.DEAD_LETTERED),
        *((Point(0, time_us, 1.0), Disposition.DEAD_LETTERED) for time_us in NOWHERE),
        *((Point(0, time_us, np.nan), Disposition.DEAD_LETTERED) for time_us in NOWHERE),
    ],
)
def test_unusable_points_leave_no_trace(spec: WindowSpec, odd: Point, disposition: Disposition) -> None:
    """A missing or infinite value and a time out of range are told apart, and change neither state, clock nor steps."""
    # a  1  2  ?  3  4
    usable = [Point(0, 10 * i, float(i)) for i in range(8)]
    clean, odd_run = run(spec, usable), run(spec, [*usable[:4], odd, *usable[4:]])
    assert odd_run.dispositions[4] == disposition
    assert [one for i, one in enumerate(odd_run.dispositions) if i != 4] == [Disposition.SCORED] * 8
    assert [step[:3] for step in odd_run.steps] == [step[:3] for step in clean.steps]
    assert odd_run.clock == clean.clock
    assert odd_run.slab["win_next_us"].tobytes() == clean.slab["win_next_us"].tobytes()


@pytest.mark.parametrize("spec", BOTH_KINDS)
def test_the_edges_of_time_are_inside(spec: WindowSpec) -> None:
    """The first microsecond of 1970 and the last of 2261 are accepted."""
    assert run(spec, [Point(0, 0, 1.0), Point(0, TIME_END_US - 1, 1.0)]).dispositions == [Disposition.SCORED] * 2


@pytest.mark.parametrize("spec", BOTH_KINDS)
def test_an_empty_stream_gives_nothing(spec: WindowSpec) -> None:
    """No points, no steps, and a clock at its start."""
    result = run(spec, [])
    assert (result.steps, result.dispositions, result.clock.watermark_us) == ([], [], 0)
