import re
from typing import get_args

import numpy as np
import pytest

from pipeline import windows
from pipeline.windows import Aggregate, CountWindows, TimeWindows, WindowSpec, bytes_per_lane, lane_fields


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0, "hop": 0}, "found a window of 0 points with hop 0; expected size >= hop >= 1"),
        ({"size": 4, "hop": 5}, "found a window of 4 points with hop 5; expected size >= hop >= 1"),
        ({"size": 4, "hop": 0}, "found a window of 4 points with hop 0; expected size >= hop >= 1"),
    ],
)
def test_count_windows_out_of_range_say_what_was_found_and_expected(arguments: dict[str, int], message: str) -> None:
    """A hop that is not between one point and the window's size is refused."""
    with pytest.raises(ValueError, match=re.escape(message)):
        CountWindows(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size_us": 10, "hop_us": 0}, "hop 0 us, expected"),
        ({"size_us": 10, "hop_us": 20}, "hop 20 us, expected"),
        ({"size_us": 2**60, "hop_us": 1}, "expected 9214646400000000 >= size >= hop >= 1"),
        ({"size_us": 25, "hop_us": 10}, "expected a multiple of the hop"),
        ({"size_us": 10, "hop_us": 10, "allowed_lateness_us": -1}, "found an allowed lateness of -1 us"),
        ({"size_us": 10, "hop_us": 10, "allowed_lateness_us": 1271}, "expected a lateness of at most 127 hops"),
        ({"size_us": 10, "hop_us": 10, "aggregate": "median"}, "found aggregate 'median'; expected one of last, mean,"),
        ({"size_us": 10, "hop_us": 10, "silence_panes": -1}, "found -1 silence panes; expected 0 or more"),
    ],
)
def test_time_windows_out_of_range_say_what_was_found_and_expected(arguments: dict[str, int], message: str) -> None:
    """Lengths, lateness, aggregate and silence are each held to their range."""
    with pytest.raises(ValueError, match=re.escape(message)):
        TimeWindows(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("lateness_us", "panes"), [(0, 1), (1, 2), (10, 2), (11, 3), (1270, 128)])
def test_open_panes_cover_the_lateness(lateness_us: int, panes: int) -> None:
    """A lane keeps the newest pane and as many before it as the lateness reaches into."""
    assert TimeWindows(10, 10, lateness_us).open_panes == panes


@pytest.mark.parametrize(
    "spec",
    [
        CountWindows(),
        CountWindows(64, 2),
        CountWindows(64, 64),
        *(TimeWindows(60, 10, 25, aggregate) for aggregate in get_args(Aggregate)),
    ],
)
def test_fields_are_aligned_named_and_add_up(spec: WindowSpec) -> None:
    """The fields of the windows are 8 bytes wide, carry the prefix, and their bytes are those reported."""
    row = np.dtype(lane_fields(spec))
    assert all(name.startswith("win_") for name in row.names or ())
    assert {row[name].base.itemsize for name in row.names or ()} == {8}
    assert row.itemsize == bytes_per_lane(spec)


def test_the_usual_windows_are_small() -> None:
    """Count windows of hop 1 take 8 bytes of a lane, time windows without lateness at most 64."""
    assert bytes_per_lane(CountWindows()) == 8
    assert max(bytes_per_lane(TimeWindows(60, 10, 0, aggregate)) for aggregate in get_args(Aggregate)) <= 64


def test_public_names() -> None:
    """The package offers these names and no others."""
    assert windows.__all__ == [
        "Aggregate",
        "Assignment",
        "CountWindows",
        "PartitionClock",
        "Points",
        "Steps",
        "TimeWindows",
        "WindowSpec",
        "assign",
        "bytes_per_lane",
        "lane_fields",
        "place_empty",
        "points_of",
        "steps_before",
    ]
    assert all(hasattr(windows, name) for name in windows.__all__)
