from collections import Counter

import pytest

from pipeline.accounting import Counts
from pipeline.cli.budget import AlarmBudget
from tests.pipeline.cli.samples import configured

DAY_US = 86_400_000_000


def test_the_risk_is_of_a_thousand_points() -> None:
    """By points scored alone, and by no time that passes."""
    budget = AlarmBudget.of(configured(detector__risk=0.5), 1)
    assert budget.of_points(Counts(points=Counter(scored=4_000, warming=9_000))) == pytest.approx(2.0)
    assert budget.of_time(7, DAY_US) == 0.0


def test_the_risk_per_day_is_of_a_lane() -> None:
    """By lanes and event time alone; time that goes back takes nothing away."""
    budget = AlarmBudget.of(configured(detector__risk_per_day=0.3), 1)
    assert budget.of_points(Counts(points=Counter(scored=4_000))) == 0.0
    assert budget.of_time(10, DAY_US // 2) == pytest.approx(1.5)
    assert budget.of_time(10, -DAY_US) == 0.0


def test_joint_lanes_alarm_too() -> None:
    """A key of three fields has four lanes that may alarm, for the points of three."""
    counts = Counts(points=Counter(scored=3_000))
    joint, alone = (AlarmBudget.of(configured(detector__risk=0.5, detector__joint=told), 3) for told in (True, False))
    assert joint.of_points(counts) == pytest.approx(2.0)
    assert alone.of_points(counts) == pytest.approx(1.5)
