import math
from dataclasses import asdict
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.records import Disposition
from pipeline.windows import Aggregate, CountWindows, PartitionClock, TimeWindows, WindowSpec, assign
from tests.pipeline.windows.reference import reference
from tests.pipeline.windows.streams import Point, as_points, bytes_of, empty_slab, run

time_windows = st.builds(
    lambda hop_us, hops, lateness_us, aggregate, silence: TimeWindows(
        hop_us * hops, hop_us, min(lateness_us, 100 * hop_us), aggregate, silence
    ),
    st.integers(1, 20),
    st.integers(1, 5),
    st.integers(0, 60),
    st.sampled_from(get_args(Aggregate)),
    st.integers(0, 6),
)
count_windows = st.builds(lambda hop, more: CountWindows(hop + more, hop), st.integers(1, 5), st.integers(0, 3))
values = st.one_of(
    st.sampled_from([0.0, 1.0, 2.0]), st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf])
)
cuts = st.lists(st.integers(0, 60), max_size=8).map(sorted)


@st.composite
def streams(draw: st.DrawFn) -> list[Point]:
    """Points of four lanes whose times mostly rise, with steps back, repetitions and leaps."""
    moves = st.one_of(st.integers(-40, 40), st.integers(0, 5), st.integers(0, 400))
    now, stream = draw(st.integers(0, 100)), []
    for lane, move, value in draw(st.lists(st.tuples(st.integers(0, 3), moves, values), max_size=60)):
        now = max(now + move, 0)
        stream.append(Point(lane, now, value))
    return stream


@given(st.one_of(time_windows, count_windows), streams(), cuts)
@settings(deadline=None)
def test_any_cut_into_micro_batches_gives_the_same(spec: WindowSpec, stream: list[Point], cuts: list[int]) -> None:
    """Steps, dispositions, clock and state are the same however the stream is cut."""
    whole = run(spec, stream)
    for edges in ([cut for cut in cuts if cut <= len(stream)], range(len(stream))):
        pieces = run(spec, stream, edges)
        assert pieces.steps == whole.steps
        assert pieces.dispositions == whole.dispositions
        assert pieces.clock == whole.clock
        assert bytes_of(pieces.slab) == bytes_of(whole.slab)


@given(st.one_of(time_windows, count_windows), streams(), cuts)
@settings(deadline=None)
def test_an_evicted_row_has_the_steps_of_one_that_stayed(
    spec: WindowSpec, stream: list[Point], cuts: list[int]
) -> None:
    """Rows that are away while their panes close give the same steps on their return, in the same order by lane."""
    stream = [*stream, *(Point(lane, 10**6, 1.0) for lane in range(4))]
    stayed = run(spec, stream)
    evicted = run(spec, stream, [cut for cut in cuts if cut <= len(stream)], evicting=True)
    assert evicted.dispositions == stayed.dispositions
    for lane in range(4):
        assert [step[1:4] for step in evicted.steps if step.lane == lane] == [
            step[1:4] for step in stayed.steps if step.lane == lane
        ]


@given(time_windows, streams())
@settings(deadline=None, max_examples=300)
def test_time_windows_equal_their_definition(spec: TimeWindows, stream: list[Point]) -> None:
    """Steps and dispositions are those of a plain gathering of every pane's points."""
    result = run(spec, stream)
    steps, dispositions = reference(spec, stream)
    assert result.dispositions == dispositions
    assert [step._replace(value=0.0) for step in result.steps] == [step._replace(value=0.0) for step in steps]
    exact = spec.aggregate not in ("mean", "sum")
    for step, expected in zip(result.steps, steps, strict=True):
        assert step.value == (expected.value if exact else pytest.approx(expected.value, rel=1e-14, abs=1e-20))


@given(st.one_of(time_windows, count_windows), streams(), st.integers(0, 60))
@settings(deadline=None)
def test_cutting_the_stream_short_changes_no_earlier_step(spec: WindowSpec, stream: list[Point], end: int) -> None:
    """What came of the first records does not depend on the later ones."""
    whole, short = run(spec, stream), run(spec, stream[:end])
    assert short.dispositions == whole.dispositions[:end]
    assert short.steps == [step for step in whole.steps if step.record < end]


@given(st.one_of(time_windows, count_windows), streams())
@settings(deadline=None)
def test_every_accepted_point_goes_into_one_step(spec: WindowSpec, stream: list[Point]) -> None:
    """Once everything is closed, the steps hold as many points as were accepted, by lane."""
    if isinstance(spec, TimeWindows):
        spec = TimeWindows(spec.size_us, spec.hop_us, spec.allowed_lateness_us, "count", spec.silence_panes)
        closer = [Point(3, 10**6, 1.0)]
    else:
        closer = []
    result = run(spec, [*stream, *closer])
    for lane in range(4):
        accepted = sum(
            disposition == Disposition.SCORED and point.lane == lane
            for point, disposition in zip(stream, result.dispositions, strict=False)
        )
        steps = result.of(lane)
        if isinstance(spec, CountWindows):
            assert len(steps) == accepted // spec.hop * spec.hop
        else:
            assert sum(value for _, value in steps) == accepted


@given(count_windows, streams())
@settings(deadline=None)
def test_a_lane_of_count_windows_is_the_same_alone(spec: CountWindows, stream: list[Point]) -> None:
    """With count windows the other lanes have no influence at all."""
    together = run(spec, stream)
    for lane in range(4):
        assert run(spec, [point for point in stream if point.lane == lane]).of(lane) == together.of(lane)


@pytest.mark.parametrize("spec", [CountWindows(8, 3), TimeWindows(60, 10, 15, "mean"), TimeWindows(60, 10, 15, "sum")])
def test_saved_rows_and_clock_go_on_where_they_left_off(spec: WindowSpec) -> None:
    """The bytes of the rows and the integers of the clock are all that has to be kept."""
    rng = np.random.default_rng(7)
    stream = [
        Point(lane, max(0, 3 * i - late), value)
        for i, (lane, late, value) in enumerate(
            zip(
                rng.integers(0, 4, 200).tolist(),
                rng.integers(0, 20, 200).tolist(),
                rng.normal(size=200).tolist(),
                strict=True,
            )
        )
    ]
    slab = empty_slab(spec, 4)
    first = assign(spec, slab, PartitionClock(), as_points(stream[:111]))
    saved_rows, saved_clock = {name: array.tobytes() for name, array in slab.items()}, asdict(first.clock)
    assert all(type(value) is int for value in saved_clock.values())
    restored = empty_slab(spec, 4)
    for name, array in restored.items():
        array[...] = np.frombuffer(saved_rows[name], array.dtype).reshape(array.shape)
    second = assign(spec, restored, PartitionClock(**saved_clock), as_points(stream[111:], 111))
    whole = run(spec, stream)
    assert bytes_of(restored) == bytes_of(whole.slab)
    assert second.clock == whole.clock
    assert [*first.steps.value.tolist(), *second.steps.value.tolist()] == [step.value for step in whole.steps]


@pytest.mark.parametrize("spec", [CountWindows(), CountWindows(4, 2), TimeWindows(60, 10, 15, "max")])
def test_only_the_fields_of_the_windows_are_written(spec: WindowSpec) -> None:
    """Points are not changed, and neither are the fields of other owners nor the rows of other lanes."""
    stream = [Point(1, 10 * i, float(i)) for i in range(20)]
    points = as_points(stream)
    slab = empty_slab(spec, 3)
    slab["hidden"][:] = 7.0
    assign(spec, slab, PartitionClock(), points)
    assert (slab["hidden"] == 7.0).all()
    for name in {"win_next_us", "win_pane", "win_value", "win_held", "win_held_value"} & slab.keys():
        assert not slab[name][[0, 2]].any()
    for column, before in zip(points.columns, as_points(stream).columns, strict=True):
        np.testing.assert_array_equal(column, before)
