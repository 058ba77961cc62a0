"""Episodes under many rules from one walk: the same as from a walk for each."""

import numpy as np
import pytest

from detectors.detector import Detector
from detectors.episodes import OPENED, Decision
from detectors.false_alarms import Points, open_episodes
from detectors.layout import allocate
from detectors.profiles import PROFILES
from detectors.synthetic import generate
from detectors.thresholds import ThresholdTable, fixed_decision, make_decision
from tests.fakes import make_network

LANES, LENGTH = 12, 1500
TABLE = ThresholdTable((150, 400, 900), (-4.0, -2.0), ((3.4, 2.0), (2.6, 1.7), (2.3, 1.4)))
RULES = (*map(fixed_decision, (1.2, 1.6, 2.0, 2.4, 3.0, 9.0)), make_decision(TABLE, 1.0), make_decision(TABLE, 5.0))


def _points() -> Points:
    """Of streams with faults, so that there are clear incidents, side by side."""
    made = generate(np.random.default_rng(7), LANES, LENGTH)
    return Points(np.tile(np.arange(LANES), LENGTH), made.time_us.T.ravel(), made.values.T.ravel())


def _walked(decision: Decision, points: Points) -> list[int]:
    detector = Detector(make_network(), PROFILES["dense"], decision)
    slab = allocate(detector.lane_dtype, LANES)
    verdicts = detector.score(slab, *points, np.arange(len(points.lane)))
    return sorted(verdicts.points[verdicts.event == OPENED].tolist())


def test_each_rule_opens_what_a_walk_of_its_own_opens() -> None:
    """High and low thresholds, the same for all ages or not, give the very episodes that the detector opens."""
    points = _points()
    opened = open_episodes(make_network(), PROFILES["dense"], RULES, LANES, points)
    expected = [_walked(decision, points) for decision in RULES]
    assert [sorted(ages.tolist()) for ages in opened.ages] == expected
    assert len(expected[0]) > 20
    assert expected[5] == []
    assert opened.points.tolist() == np.repeat(np.arange(LENGTH), LANES).tolist()


def test_what_is_not_learned_changes_later_scores() -> None:
    """There are lanes with clear incidents among them, so that both ways to an answer are taken."""
    points = _points()
    free = Detector(make_network(), PROFILES["dense"], fixed_decision(1e9))
    scores = free.score(allocate(free.lane_dtype, LANES), *points, np.arange(len(points.lane))).score
    highest = np.nanmax(scores.reshape(LENGTH, LANES), axis=0)
    assert 0 < np.count_nonzero(highest >= 2.0 + RULES[2].clear) < LANES


@pytest.mark.parametrize(
    "rules",
    [
        (fixed_decision(2.0), fixed_decision(2.0, warm_up=60)),
        (make_decision(TABLE, risk_per_day=0.1),),
        (),
    ],
)
def test_rules_that_do_not_go_together_are_refused(rules: tuple[Decision, ...]) -> None:
    """Several warm-ups, thresholds by the sampling interval, or no rule at all, are told in one line."""
    with pytest.raises(ValueError, match="expected one warm-up and thresholds of one rate each"):
        open_episodes(make_network(), PROFILES["dense"], rules, LANES, _points())
