"""What is judged but not learned: an incident hides none that is like it, and a lasting change is accepted."""

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.episodes import OPENED
from detectors.kernel import Verdicts
from detectors.layout import allocate
from tests.fakes import INTERVAL_US, make_detector


def judge(profile: str, values: NDArray[np.float64]) -> Verdicts:
    """Verdicts of one lane."""
    detector = make_detector(profile, threshold=1.75)
    count = len(values)
    slab, rows = allocate(detector.lane_dtype, 1), np.zeros(count, np.int64)
    return detector.score(slab, rows, INTERVAL_US * np.arange(count), values, np.arange(count))


@pytest.mark.parametrize("profile", ["balanced", "dense"])
def test_an_incident_does_not_hide_the_next_one_like_it(profile: str) -> None:
    """Three equal incidents far apart are each flagged at their first point, the last as clearly as the first."""
    values = np.random.default_rng(7).normal(size=4000)
    starts = [1500, 2500, 3500]
    for start in starts:
        values[start : start + 12] -= 30.0
    verdicts = judge(profile, values)
    opened = np.flatnonzero(verdicts.event == OPENED)
    assert set(starts) <= set(opened.tolist())
    assert verdicts.score[starts[-1]] > verdicts.score[starts[0]] - 0.2


@pytest.mark.parametrize("profile", ["balanced", "dense"])
def test_an_incident_while_warming_does_not_hide_the_next(profile: str) -> None:
    """A drop within the warm-up, which cannot be flagged, leaves the same drop later as novel as it is."""
    values = np.random.default_rng(7).normal(size=1200)
    for start in (90, 800):
        values[start : start + 12] -= 30.0
    verdicts = judge(profile, values)
    assert not verdicts.flagged[:150].any()
    assert verdicts.event[800] == OPENED


@pytest.mark.parametrize("profile", ["balanced", "dense"])
def test_a_change_that_lasts_is_learned(profile: str) -> None:
    """After a clear change of level for good, the new level is flagged for a while, then no longer."""
    values = np.random.default_rng(7).normal(size=3000)
    values[1500:] += 30.0
    flagged = judge(profile, values).flagged
    assert flagged[1500]
    assert not flagged[1700:].any()
