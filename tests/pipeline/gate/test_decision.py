"""What a challenger has to fulfil."""

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.gate.decision import Rule, alarm_interval, decide, gain_of
from pipeline.gate.tally import STRETCHES, Tally

LANES, EACH = 20, 960
Change = Callable[[Tally], None]


def tally(*changes: Change, labelled: bool = False) -> Tally:
    """Twenty lanes of 960 points, in which the challenger is 0.05 nats better all over and alike in all else."""
    made = Tally(0, 10**9, {} if labelled else None)
    made.lanes = {(f"key-{lane}", "value"): lane for lane in range(LANES)}
    made.points[:LANES] = made.judged[:LANES] = EACH
    noise = np.random.default_rng(7).normal(0, 0.02, (LANES, STRETCHES)) * EACH / STRETCHES
    champion = np.full((LANES, STRETCHES), EACH / STRETCHES)
    by_cell = np.stack([champion, champion * 0.95 + noise])
    made.loss[:, :LANES], made.time_loss[:] = by_cell.sum(axis=2), by_cell.sum(axis=1)
    made.time_judged[:] = LANES * EACH // STRETCHES
    made.covered[:] = 0.95 * LANES * EACH
    made.alarms[:, 0] = made.false_alarms[:] = 10
    for change in changes:
        change(made)
    return made


def missed(made: Tally, rule: Rule | None = None) -> list[str]:
    """Names of the criteria that are not met."""
    return [one.name for one in decide(made, rule or Rule()) if not one.passed]


def test_better_all_over_passes() -> None:
    """Every criterion is met, and tells what was found."""
    criteria = decide(tally(), Rule())
    assert all(one.passed for one in criteria)
    assert [one.told.partition(";")[0] for one in criteria] == [
        "19,200 points with a forecast",
        "+0.0508 nats per point",
        "at least +0.0496 nats per point in 97.5 of 100 cases",
        "10 alarms",
        "95.0% of the points in the 95 % band, 0.0% off",
    ]


def test_a_small_gain_is_not_enough() -> None:
    """It has to reach the margin that is asked for."""
    assert missed(tally(), Rule(margin=0.05)) == []
    assert missed(tally(), Rule(margin=0.06)) == ["better forecasts"]


def _in_one_lane(made: Tally) -> None:
    made.loss[1, :LANES] = made.loss[0, :LANES]
    made.loss[1, 0] -= 0.05 * LANES * EACH


def _in_one_hour(made: Tally) -> None:
    made.time_loss[1] = made.time_loss[0]
    made.time_loss[1, 3] -= 0.05 * LANES * EACH


@pytest.mark.parametrize("change", [_in_one_lane, _in_one_hour])
def test_a_gain_of_one_lane_or_one_hour_may_be_chance(change: Change) -> None:
    """However large it is in the mean."""
    assert gain_of(tally(change)).mean > 0.04
    assert missed(tally(change)) == ["by more than chance"]


def _of_one_lane(made: Tally) -> None:
    for name in ("points", "judged"):
        getattr(made, name)[0] = LANES * EACH
        getattr(made, name)[1:] = 0
    made.loss[:, 0] = made.loss.sum(axis=1)
    made.loss[:, 1:] = 0


def _at_one_time(made: Tally) -> None:
    made.time_judged[0] = made.time_judged.sum()
    made.time_judged[1:] = 0
    made.time_loss[:, 0] = made.time_loss.sum(axis=1)
    made.time_loss[:, 1:] = 0


def test_one_lane_is_judged_by_time_and_one_moment_by_lanes() -> None:
    """A lane of one moment cannot be judged."""
    assert missed(tally(_of_one_lane)) == []
    assert missed(tally(_at_one_time)) == []
    assert missed(tally(_of_one_lane, _at_one_time)) == ["by more than chance"]


def test_alarms_are_allowed_by_the_risk_or_by_what_the_champion_raised() -> None:
    """And by chance: a Poisson count of 19.2 exceeds 30 in one of a hundred cases."""

    def alarms(champion: int, challenger: int) -> Change:
        def change(made: Tally) -> None:
            made.false_alarms[:] = champion, challenger

        return change

    assert missed(tally(alarms(0, 30))) == []
    assert missed(tally(alarms(0, 31))) == ["alarms within budget"]
    assert missed(tally(alarms(60, 79))) == []
    assert missed(tally(alarms(60, 80))) == ["alarms within budget"]
    assert missed(tally(alarms(0, 6)), Rule(alarms_per_point=1e-4)) == []
    assert missed(tally(alarms(0, 7)), Rule(alarms_per_point=1e-4)) == ["alarms within budget"]


@pytest.mark.parametrize(
    ("champion", "challenger", "met"),
    [(0.95, 0.931, True), (0.95, 0.929, False), (0.95, 0.971, False), (0.90, 0.885, True), (0.99, 0.90, True)],
)
def test_the_band_must_not_be_farther_off(champion: float, challenger: float, *, met: bool) -> None:
    """Than the champion's, by more than the tolerance; too wide is off as too narrow is."""

    def cover(made: Tally) -> None:
        made.covered[:] = np.round(np.array([champion, challenger]) * LANES * EACH).astype(np.int64)

    assert (missed(tally(cover)) == []) == met


def _labelled(found: int) -> Tally:
    made = tally(labelled=True)
    made._spans = {f"key-{lane}": [(10**8, 2 * 10**8)] for lane in range(LANES)}
    for side, count in enumerate((LANES - 2, found)):
        for lane in range(count):
            made._alerts[side][f"key-{lane}"].append(15 * 10**7)
    return made


def test_known_anomalies_have_to_be_found() -> None:
    """One of twenty less is tolerated, two are not; without any in the slice nothing is asked."""
    assert missed(_labelled(LANES - 3)) == []
    assert missed(_labelled(LANES - 4)) == ["known anomalies found"]
    assert missed(tally(labelled=True)) == []


def test_nothing_judged_is_refused() -> None:
    """Neither a slice without points nor one with a few passes."""
    assert missed(Tally(0, 10)) == [
        "enough points", "better forecasts", "by more than chance", "band as wide as it says"
    ]  # fmt: skip

    def few(made: Tally) -> None:
        made.judged[:LANES] //= 20

    assert missed(tally(few)) == ["enough points"]


def test_the_interval_of_a_count() -> None:
    """As tables of the Poisson distribution have it."""
    assert alarm_interval(0) == pytest.approx((0.0, 3.689), abs=1e-3)
    assert alarm_interval(10) == pytest.approx((4.795, 18.390), abs=1e-3)
