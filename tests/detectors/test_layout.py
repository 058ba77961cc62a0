import numpy as np
import pytest

from detectors.layout import allocate, lane_dtype, make_plan, view_lanes
from detectors.profiles import PROFILES, RING_LENGTHS, Profile
from detectors.streams import STREAMS

RINGS = [name for name in make_plan(PROFILES["balanced"], 1, 1)._fields if name in RING_LENGTHS] + [
    "day", "week", "forecast_32", "forecast_96", "log_scale_32", "log_scale_96",
]  # fmt: skip


@pytest.mark.parametrize(("name", "most"), [("balanced", 4096), ("dense", 1280)])
def test_a_lane_is_bounded(name: str, most: int) -> None:
    """With the network that ships, of 64 units, a lane of the profile stays within its promise."""
    assert lane_dtype(PROFILES[name], 1, 64).itemsize <= most


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_rings_fill_the_row_without_overlap(profile: Profile) -> None:
    """The rings of a row follow one another without hole or overlap, each as long as its horizon and stride ask."""
    plan = make_plan(profile, 1, 64)
    lengths = {
        "day": profile.day_slots, "week": profile.week_slots,
        "forecast_32": 32 // profile.stride_32, "log_scale_32": 32 // profile.stride_32,
        "forecast_96": 96 // profile.stride_96, "log_scale_96": 96 // profile.stride_96,
    } | RING_LENGTHS  # fmt: skip
    starts = sorted((getattr(plan, name), lengths[name]) for name in RINGS if getattr(plan, name) >= 0)
    end = 0
    for start, length in starts:
        assert start == end
        end = start + length
    assert end == plan.rings == lane_dtype(profile, 1, 64)["rings"].shape[0]


def test_a_profile_without_a_stream_spares_its_rings() -> None:
    """What only a missing stream needs takes no room."""
    plan = make_plan(Profile("small", streams=("value", "residual_32"), segment_streams=("value",)), 1, 4)
    assert plan.forecast_32 >= 0
    assert plan.log_scale_32 == plan.forecast_96 == plan.forecast_8 == plan.mean_residual_32 == -1


@pytest.mark.parametrize(
    "changes",
    [
        {"streams": ("value", "velocity")},
        {"streams": ()},
        {"segment_streams": ("value", "residual_96")},
        {"segment_streams": ()},
        {"window": 39},
        {"stride_32": 3},
        {"stride_96": 7},
    ],
)
def test_an_impossible_profile_is_refused(changes: dict[str, object]) -> None:
    """Unknown or no streams, too short a window and strides that do not divide raise with what was found."""
    with pytest.raises(ValueError, match=r"found .*expected"):
        Profile("broken", **changes)  # type: ignore[arg-type]


def test_streams_are_named_once() -> None:
    """Every stream has a name of its own, and the profiles use known ones."""
    assert len(set(STREAMS)) == len(STREAMS) == 22
    assert set(PROFILES["dense"].streams) < set(STREAMS)


def test_a_slab_holds_its_rows_and_views_share_its_memory() -> None:
    """A slab has a row per lane for each array, all zeros; the kernel's view of it is the same memory."""
    row = np.dtype(
        [*((name, lane_dtype(PROFILES["dense"], 2, 5)[name]) for name in ("scalars", "hidden")), ("own", "i8")]
    )
    slab = allocate(row, 3)
    assert slab["hidden"].shape == (3, 2 * 2 * 5)
    assert slab["own"].shape == (3,)
    assert not any(array.view(np.uint8).any() for array in slab.values())
    whole = allocate(lane_dtype(PROFILES["dense"], 2, 5), 3)
    view_lanes(whole).scalars["points"][1] = 5
    assert whole["scalars"]["points"].tolist() == [0, 5, 0]
