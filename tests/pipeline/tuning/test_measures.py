import numpy as np
import pytest

from pipeline.tuning.disturb import Disturbed, PlacedFault
from pipeline.tuning.goal import Goal, alarm_rate, describe, objective_of, value_of
from pipeline.tuning.history import Recording, measure_after
from pipeline.tuning.judging import compare
from pipeline.tuning.measures import Alarms, PartMeasures, measure_part
from tests.pipeline.tuning.samples import recording

#   record   0 ... 149 | 150 ...... 500-520 ........ 900-920 ..... 1500
#            warm-up   |            window           window
WINDOWS = [(500, 520), (900, 920)]
DAYS = (1500 - 1 - 150) * 300 / 86_400


def labelled(name: str = "a") -> Recording:
    """One stream with two anomalies, measured behind its warm-up."""
    return measure_after(recording(keys=(name,), windows={name: WINDOWS}, name=name), 150)


def told(*rows: int) -> Alarms:
    """Alarms of the only stream."""
    return Alarms(np.zeros(len(rows), np.int64), np.array(rows, np.int64))


def measured(*rows: int) -> PartMeasures:
    """Of one stream with these alarms."""
    return measure_part([labelled()], [told(*rows)], (), ())


def test_alarms_are_held_against_labels() -> None:
    """Found within a window, false outside; those of the warm-up count neither way."""
    figures = describe(measured(100, 300, 505, 510, 700), Goal("f1"))
    assert (figures["found"], figures["anomalies"], figures["false_alarms"]) == (1, 2, 2)
    assert figures["recall"] == 0.5
    assert figures["precision"] == pytest.approx(1 / 3)
    assert figures["f1"] == pytest.approx(0.4)
    assert figures["per_lane_and_day"] == pytest.approx(2 / DAYS)
    assert figures["median_delay_s"] == 5 * 300


def test_whatever_keeps_the_budget_is_better_than_what_does_not() -> None:
    """Within it the objective decides, beyond it how far."""
    goal = Goal("recall", budget=1.5 / DAYS)
    values = [value_of(measured(*rows), goal) for rows in ((505, 905), (505, 300), (300,), (505, 905, 300, 310, 320))]
    assert values[:3] == [1.0, 0.5, 0.0]
    assert values[3] < -1.0
    worse = value_of(measured(505, 905, 300, 310, 320, 330), goal)
    assert worse < values[3]


def test_the_benchmarks_score_rewards_early_alarms() -> None:
    """Both anomalies found at once, and nothing else, is a perfect score."""
    early, late = (objective_of(measured(*rows), "nab") for rows in ((500, 900), (515, 915)))
    assert early == pytest.approx(1.0, abs=0.01)
    assert 0.3 < late < 0.9


def test_without_labels_no_labelled_objective_can_be_told() -> None:
    """Which is said, and not taken for 0."""
    plain = measure_after(recording(), 150)
    with pytest.raises(ValueError, match="found nothing to tell f1 by"):
        value_of(measure_part([plain], [told(300)], (), ()), Goal("f1"))


def test_an_alarm_that_comes_without_the_fault_too_is_not_of_the_fault() -> None:
    """Nor is one outside it; the delay counts from its first record."""
    plain = measure_after(recording(), 150)
    faults = tuple(
        PlacedFault(0, "spike", size, first, first + 13) for first, size in ((400, 0.3), (700, 0.9), (1000, 1))
    )
    copy = Disturbed(0, plain, faults)
    measures = measure_part([plain], [told(402)], [copy], [told(402, 705, 1020)])
    assert [outcome.delay_s for outcome in measures.faults] == [None, 5 * 300.0, None]
    assert objective_of(measures, "faults") == pytest.approx(1 / 3)
    assert alarm_rate(measures) == pytest.approx(1 / DAYS)
    figures = describe(measures, Goal("faults"))["faults"]
    assert (figures["small"]["found"], figures["small"]["put_in"]) == (0, 1)
    assert (figures["large"]["found"], figures["large"]["put_in"]) == (1, 2)


def many(*rows: int, streams: int = 20) -> PartMeasures:
    """Of many streams, each with these alarms."""
    recordings = [labelled(f"s{number}") for number in range(streams)]
    return measure_part(recordings, [told(*rows)] * streams, (), ())


def test_tuned_settings_win_only_where_they_are_better() -> None:
    """Not when they are the same, nor when they are worse."""
    goal = Goal("f1")
    assert compare(many(505, 905), many(505), goal, seed=7).is_better
    assert not compare(many(505), many(505), goal, seed=7).is_better
    assert not compare(many(505), many(505, 905), goal, seed=7).is_better


def test_chance_is_told_from_the_streams() -> None:
    """A difference that every stream shows is none of chance; one of few streams cannot be told."""
    sure = compare(many(505, 905), many(505), Goal("f1"), seed=7)
    assert sure.interval is not None
    assert sure.interval[0] > 0
    assert not sure.may_be_chance
    assert compare(many(505, streams=3), many(505, 300, streams=3), Goal("f1"), seed=7).may_be_chance
    mixed = measure_part([labelled(f"s{number}") for number in range(20)], [told(505, 905), *[told(505)] * 19], (), ())
    unsure = compare(mixed, many(505), Goal("f1"), seed=7)
    assert unsure.is_better
    assert unsure.may_be_chance


def test_more_alarms_than_allowed_do_not_win() -> None:
    """Unless chance explains them, or what is configured raises as many."""
    budget = 10 / (20 * DAYS)
    tuned, configured = many(505, 905, 300), many(505)
    beyond = compare(tuned, configured, Goal("recall", budget), seed=7)
    assert beyond.exceeds
    assert not beyond.is_better
    assert compare(tuned, configured, Goal("recall", 1.5 * budget), seed=7).is_better
    assert compare(tuned, many(505, 300), Goal("recall", budget), seed=7).is_better


def test_what_cannot_be_told_is_not_better() -> None:
    """A held-out part without an anomaly decides nothing."""
    plain = measure_part([measure_after(recording(), 150)], [told(300)], (), ())
    comparison = compare(plain, plain, Goal("f1"), seed=7)
    assert (comparison.tuned, comparison.is_better) == (None, False)
