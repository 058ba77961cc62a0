from pathlib import Path

import numpy as np

from pipeline.adapters.report.survey import CONTEXT_POINTS, Survey, survey
from pipeline.adapters.report.verdicts import Points, Verdicts, concatenate
from tests.pipeline.adapters.report.samples import START_US, STEP_US, Fault, SampleLane, write_replay


def _surveyed(tmp_path: Path, lanes: list[SampleLane]) -> tuple[Survey, Points]:
    verdicts = Verdicts(write_replay(tmp_path, lanes) / "verdicts.parquet")
    return survey(verdicts.chunks()), concatenate(list(verdicts.chunks()))


def test_counts_and_worst_of_each_lane(tmp_path: Path) -> None:
    """The survey counts points, flagged ones and warm-up per lane and finds the worst of each."""
    faults = [Fault(100, 104, 9, "low"), Fault(300, 301, 20, "critical")]
    found, points = _surveyed(tmp_path, [SampleLane("a", points=600, faults=faults), SampleLane("b", points=20)])
    assert found.points.tolist() == [600, 20]
    assert found.flagged.tolist() == [7, 0]
    assert found.warming.tolist() == [40, 20]
    assert found.severity.tolist() == [4, 0]
    assert found.peak_score[0] == np.nanmax(points.score)
    assert np.isnan(found.peak_score[1])
    assert found.last_us.tolist() == [START_US + 599 * STEP_US, START_US + 19 * STEP_US]


def test_stretches_reach_a_context_to_both_sides_of_an_episode(tmp_path: Path) -> None:
    """Exactly the episode and its context are whole, and they end where the lane ends."""
    lanes = [SampleLane("a", points=2000, faults=[Fault(500, 510), Fault(1990, 1990)]), SampleLane("b", points=2000)]
    found, points = _surveyed(tmp_path, lanes)
    whole = points.take(found.is_whole(points))
    expected = [*range(500 - CONTEXT_POINTS, 511 + CONTEXT_POINTS), *range(1990 - CONTEXT_POINTS, 2000)]
    assert whole.index.tolist() == expected
    assert (whole.lane == 0).all()
    assert found.whole_points.tolist() == [len(expected), 0]


def test_neighbouring_episodes_share_one_stretch_however_the_file_is_cut(tmp_path: Path) -> None:
    """Overlapping contexts are counted once, also when a chunk ends between them."""
    verdicts = Verdicts(
        write_replay(tmp_path, [SampleLane("a", points=2000, faults=[Fault(500, 505), Fault(600, 605)])])
        / "verdicts.parquet"
    )
    (chunk,) = verdicts.chunks()
    parts = [chunk.take(np.arange(start, min(start + 550, 2000))) for start in range(0, 2000, 550)]
    for found in (survey([chunk]), survey(parts)):
        assert found.whole.tolist() == [[350, 756]]


def test_an_empty_replay_has_no_lanes() -> None:
    """Nothing walked is nothing found."""
    found = survey([])
    assert len(found.points) == 0
    assert found.first_in_all_us == found.last_in_all_us == 0
