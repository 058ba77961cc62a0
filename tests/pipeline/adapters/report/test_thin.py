from pathlib import Path

import numpy as np
import pytest

from pipeline.adapters.report.limits import Limits
from pipeline.adapters.report.survey import survey
from pipeline.adapters.report.thin import fair_shares, thin
from pipeline.adapters.report.verdicts import Points, Verdicts, concatenate
from tests.pipeline.adapters.report.samples import Fault, SampleLane, write_replay


def _thinned(
    tmp_path: Path, lanes: list[SampleLane], parts: int = 1, **limits: int
) -> tuple[dict[int, Points], Points]:
    verdicts = Verdicts(write_replay(tmp_path, lanes) / "verdicts.parquet")
    points = concatenate(list(verdicts.chunks()))
    chunks = [points.take(rows) for rows in np.array_split(np.arange(len(points)), parts)]
    return thin(chunks, survey(chunks), np.arange(len(lanes)), Limits(**limits)), points


def test_what_fits_the_budget_is_kept_whole(tmp_path: Path) -> None:
    """Short lanes lose nothing."""
    kept, points = _thinned(tmp_path, [SampleLane("a", points=700), SampleLane("b", points=300)])
    assert [len(lane) for lane in kept.values()] == [700, 300]
    np.testing.assert_array_equal(kept[0].value, points.value[points.lane == 0])


@pytest.mark.parametrize("parts", [1, 7])
def test_extremes_flagged_points_and_context_outlive_thinning(tmp_path: Path, parts: int) -> None:
    """A long lane keeps its extremes, its highest score, every flagged point and all points around episodes."""
    fault = Fault(9000, 9040, by=0.5)
    kept, points = _thinned(tmp_path, [SampleLane("a", points=30_000, faults=[fault])], parts, ordinary_points=1200)
    lane = kept[0]
    assert 1000 < len(lane) < 1200 + 341 + 100
    assert np.all(np.diff(lane.time_us) > 0)
    assert lane.value.min() == points.value.min()
    assert lane.value.max() == points.value.max()
    assert np.nanmax(lane.score) == np.nanmax(points.score)
    assert lane.index[lane.severity > 0].tolist() == list(range(9000, 9041))
    assert np.isin(np.arange(8850, 9191), lane.index).all()
    for start in range(0, 30_000, 500):  # also the extremes of every stretch that a screen shows as one
        seen = points.value[start : start + 500]
        near = lane.value[(lane.index >= start) & (lane.index < start + 500)]
        assert near.max() >= np.sort(seen)[-20]
        assert near.min() <= np.sort(seen)[20]


def test_the_same_points_are_kept_however_the_file_is_cut(tmp_path: Path) -> None:
    """Chunks leave no trace, and the budget holds with many of them."""
    limits = {"ordinary_points": 900, "whole_points": 0, "flagged_points": 0}
    lanes = [SampleLane("a", points=6000), SampleLane("b", points=4000)]
    once, _ = _thinned(tmp_path, lanes, **limits)
    often, _ = _thinned(tmp_path, lanes, 40, **limits)
    assert sum(len(lane) for lane in often.values()) < 1000
    for number in (0, 1):
        np.testing.assert_array_equal(once[number].index, often[number].index)


def test_a_replay_in_which_everything_is_flagged_stays_within_bounds(
    tmp_path: Path,
) -> None:
    """A useless threshold makes a useless report, but not an endless one; the highest score is still there."""
    lane = SampleLane("a", points=20_000, faults=[Fault(40, 19_999)])
    kept, points = _thinned(tmp_path, [lane], flagged_points=600)
    assert len(kept[0]) < 800
    assert np.nanmax(kept[0].score) == np.nanmax(points.score)


def test_only_the_lanes_asked_for_are_kept(tmp_path: Path) -> None:
    """Lanes without a plot cost nothing."""
    verdicts = Verdicts(write_replay(tmp_path, [SampleLane(key, points=50) for key in "abc"]) / "verdicts.parquet")
    kept = thin(verdicts.chunks(), survey(verdicts.chunks()), np.array([2, 0]), Limits())
    assert list(kept) == [2, 0]
    assert set(kept[2].lane.tolist()) == {2}


@pytest.mark.parametrize(
    ("counts", "total", "shares"),
    [
        ([10, 20, 30], 60, [10, 20, 30]),
        ([10, 20, 30], 45, [10, 17, 17]),
        ([100, 100], 60, [30, 30]),
        ([0, 5, 1000], 105, [0, 5, 100]),
        ([], 10, []),
    ],
)
def test_short_lanes_leave_their_share_to_long_ones(counts: list[int], total: int, shares: list[int]) -> None:
    """Each gets the same, and what one does not need goes to the others."""
    assert fair_shares(np.array(counts, np.int64), total).tolist() == shares
