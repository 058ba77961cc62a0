import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.episodes import Decision, threshold_of
from detectors.thresholds import (
    AGES,
    LEAST_ALARMS,
    LOG_RATES,
    ThresholdTable,
    fit_thresholds,
    fixed_decision,
    linear_decision,
    make_decision,
)

TABLE = ThresholdTable((100, 1000, 10_000), (-5.0, -4.0, -3.0), ((3.0, 2.5, 2.0), (2.8, 2.2, 1.9), (2.4, 2.0, 1.7)))
GROUPS = len(AGES) - 1


FIVE_MINUTES = 3e8


def _threshold(risk: float, points: int) -> float:
    return _at(make_decision(TABLE, risk), points, FIVE_MINUTES)


def _daily_threshold(risk_per_day: float, points: int, interval_us: float) -> float:
    return _at(make_decision(TABLE, risk_per_day=risk_per_day), points, interval_us)


def _at(decision: Decision, points: int, interval_us: float) -> float:
    return float(threshold_of(decision, points, np.float32(interval_us)))


@pytest.mark.parametrize(("column", "risk"), [(0, 0.01), (1, 0.1), (2, 1.0)])
@pytest.mark.parametrize(("row", "points"), [(0, 100), (1, 1000), (2, 10_000)])
def test_the_table_is_met_at_its_knots(column: int, risk: float, row: int, points: int) -> None:
    """At an age and a rate of the table the threshold is the table's."""
    assert _threshold(risk, points) == pytest.approx(TABLE.thresholds[row][column])


def test_between_knots_the_threshold_is_linear_in_log_age_and_log_rate() -> None:
    """Half way between two ages and two rates, in logarithms, lies the mean of the four."""
    assert _threshold(10**-1.5, 316) == pytest.approx((3.0 + 2.5 + 2.8 + 2.2) / 4, abs=1e-3)


def test_beyond_the_table_its_ends_hold() -> None:
    """Younger, older, rarer or more frequent than the table goes, its outermost thresholds hold."""
    assert _threshold(1e-9, 1) == _threshold(0.01, 100)
    assert _threshold(500, 10**9) == pytest.approx(_threshold(1.0, 10_000))
    assert _threshold(1.0, 0) == _threshold(1.0, 100)


@given(st.floats(1e-4, 10), st.floats(1e-4, 10), st.integers(1, 10**6))
def test_more_risk_never_means_a_higher_threshold(a: float, b: float, points: int) -> None:
    """The threshold falls with the risk at any age."""
    assert _threshold(max(a, b), points) <= _threshold(min(a, b), points)


@given(st.floats(0.01, 1.0), st.integers(1, 10**6))
def test_a_score_at_the_threshold_has_the_rate_that_was_asked_for(risk: float, points: int) -> None:
    """At any age, `rates` turns the threshold of a risk back into the risk."""
    found = TABLE.rates(np.array([points]), np.array([_threshold(risk, points)]))
    assert found.per_point[0] == pytest.approx(risk / 1000, rel=1e-6)


def test_rates_are_held_at_the_ends_of_the_table() -> None:
    """A score beyond the rarest is told as at most that rare; one below the most frequent has its rate."""
    points = np.array([50, 10_000, 10_000, 10_000, 10**6], np.int32)
    found = TABLE.rates(points, np.array([9.0, 9.0, 2.4, 2.39, 0.1], np.float64))
    assert found.per_point == pytest.approx([1e-5, 1e-5, 1e-5, 1e-5, 1e-3], rel=0.1)
    assert found.is_most.tolist() == [True, True, True, False, False]


@given(st.floats(0.0, 4.0), st.floats(0.0, 4.0), st.integers(1, 10**5))
def test_a_higher_score_is_never_more_frequent(a: float, b: float, points: int) -> None:
    """The rate falls with the score at any age."""
    low, high = TABLE.rates(np.full(2, points), np.array([min(a, b), max(a, b)])).per_point
    assert high <= low


def test_a_table_reaches_from_its_rarest_rate_to_the_last_that_lowers_the_threshold() -> None:
    """What an old lane can be given ends where the threshold does not fall any more."""
    held = ThresholdTable((150, 500), (-5.0, -4.0, -3.0, -2.0), ((3.0, 2.5, 2.0, 1.9), (2.4, 2.0, 1.7, 1.7)))
    assert held.reach() == pytest.approx((1e-5, 1e-3))
    assert TABLE.reach() == pytest.approx((1e-5, 1e-3))


def test_a_fixed_decision_has_one_threshold() -> None:
    """Its threshold is the same at any age."""
    assert {_at(fixed_decision(1.7), points, 0) for points in (0, 1, 7, 150, 10**6)} == {1.7}


@pytest.mark.parametrize(("interval_us", "points_per_day"), [(6e7, 1440), (FIVE_MINUTES, 288), (3.6e9, 24)])
@given(st.floats(1e-3, 5), st.integers(0, 10**5))
def test_a_risk_per_day_is_one_per_point_by_the_interval(
    interval_us: float, points_per_day: int, risk_per_day: float, points: int
) -> None:
    """A lane's threshold is that of the day's risk shared out among its points of a day."""
    assert _daily_threshold(risk_per_day, points, interval_us) == pytest.approx(
        _threshold(1000 * risk_per_day / points_per_day, points), abs=1e-5
    )


@given(st.floats(1e-4, 1e4), st.floats(1.0, 1e12), st.floats(1.0, 1e12), st.integers(0, 10**6))
def test_a_longer_interval_never_means_a_higher_threshold(risk_per_day: float, a: float, b: float, points: int) -> None:
    """The fewer points bear the risk of a day, the lower their threshold, and beyond the table its ends hold."""
    rare, frequent = (_daily_threshold(risk_per_day, points, interval_us) for interval_us in sorted((a, b)))
    assert _threshold(500, points) <= frequent <= rare <= _threshold(1e-9, points)


def test_a_lane_without_an_interval_is_judged_as_for_the_lowest_rate() -> None:
    """Until there are two points no alarm is more likely than the table's rarest."""
    assert _daily_threshold(5.0, 1000, 0.0) == _threshold(1e-9, 1000)


def test_a_linear_decision_asks_for_a_chance() -> None:
    """Its threshold is -log10 of the rate per point, held at both ends of what can be asked for."""
    decision = linear_decision(0.01 / 60e6, (-9.0, -2.0))
    assert _at(decision, 500, 60e6 / 10) == pytest.approx(3.0, abs=1e-6)
    assert [_at(decision, 500, interval_us) for interval_us in (1e-6, 1e12)] == [9.0, 2.0]


@pytest.mark.parametrize("risk", [0.0, -1.0, float("nan"), float("inf")])
def test_a_risk_must_be_a_positive_number(risk: float) -> None:
    """Other risks are refused with what was found, in either way of giving one."""
    with pytest.raises(ValueError, match=r"found a risk of .* expected a positive number"):
        make_decision(TABLE, risk)
    with pytest.raises(ValueError, match=r"found a risk of .* per day; expected a positive number"):
        make_decision(TABLE, risk_per_day=risk)


@pytest.mark.parametrize("given", [{}, {"risk": 1.0, "risk_per_day": 1.0}])
def test_a_risk_is_given_in_one_way(given: dict[str, float]) -> None:
    """None and two are refused."""
    with pytest.raises(ValueError, match=r"found a risk of .* and one per day of .*; expected one of them"):
        make_decision(TABLE, **given)


def test_rules_keep_the_types_of_their_defaults() -> None:
    """A rule given as another type of number is converted, so that no other kernel is compiled for it."""
    decision = make_decision(TABLE, 1.0, rest=50.0, margin=1, warm_up=60)
    assert decision.rest == 50
    defaults = Decision._field_defaults
    assert {name: type(getattr(decision, name)) for name in defaults} == {
        name: type(value) for name, value in defaults.items()
    }


def test_an_unknown_rule_is_refused() -> None:
    """A rule of another name raises with the names there are."""
    with pytest.raises(ValueError, match=r"found the rules .*'resst'.* expected some of .*'rest'"):
        make_decision(TABLE, 1.0, resst=5)


@pytest.mark.parametrize(
    "table",
    [
        ((1, 2), (-5.0, -4.0), ((3.0, 2.0),)),
        ((1, 2), (-5.0, -4.0), ((3.0, 2.0), (3.0, 3.1))),
        ((2, 1), (-5.0, -4.0), ((3.0, 2.0), (3.0, 2.0))),
        ((1, 2), (-4.0, -5.0), ((3.0, 2.0), (3.0, 2.0))),
        ((1,), (-5.0, -4.0), ((3.0, 2.0),)),
        ((1, 2), (-5.0, -4.0), ((3.0, float("nan")), (3.0, 2.0))),
    ],
)
def test_a_table_that_rises_or_does_not_fit_is_refused(
    table: tuple[tuple[float, ...], tuple[float, ...], tuple[tuple[float, ...], ...]],
) -> None:
    """Ages and rates rise, thresholds nowhere do along rates, shapes fit, and nothing is NaN."""
    with pytest.raises(ValueError, match="found a threshold table of shape"):
        ThresholdTable(*table)


def test_a_table_survives_a_round_trip_through_plain_values() -> None:
    """A table made of what `to_dict` gave decides alike."""
    again = ThresholdTable(**TABLE.to_dict())
    assert _at(make_decision(again, 0.3), 700, FIVE_MINUTES) == _threshold(0.3, 700)


def test_fitted_thresholds_give_back_a_log_linear_rate() -> None:
    """Where log10 of the rate falls linearly with the threshold, so does the table, up to the highest rate measured."""
    tried = np.arange(1.0, 3.01, 0.25)
    counted = np.round(1e8 * 10.0 ** (-2 - tried)).astype(np.int64)
    alarms = np.tile(counted[:, None], GROUPS)
    table = fit_thresholds(tried.tolist(), alarms, np.full(GROUPS, 10**8))
    assert tuple(table.log_rates) == LOG_RATES
    for row in table.thresholds:
        np.testing.assert_allclose(row, np.maximum(-2 - np.array(LOG_RATES), 1.0), atol=1e-3)


def test_what_was_not_counted_goes_on_with_the_last_decade() -> None:
    """Rates that fall ever steeper go on as steeply as they ended, not as they fell on the whole."""
    tried = [1.0, 2.0, 2.5, 3.0]
    alarms = np.array([1_000_000, 10_000, 1000, 100]).repeat(GROUPS).reshape(4, GROUPS)  # 2 decades in 1, then 1 in 0.5
    alarms[1:, 0] = 100_000, 3000, 300
    table = fit_thresholds(tried, alarms, np.full(GROUPS, 10**8))
    rarer = [np.interp(-8.0, LOG_RATES, row) for row in table.thresholds]
    assert rarer[1:] == pytest.approx([4.0] * (GROUPS - 1), abs=1e-3)  # two decades below 1e-6, half a unit each
    assert rarer[0] == pytest.approx(3.0 + 0.5 * (8 - 5.523), abs=1e-3)


def test_a_rate_that_levels_off_says_nothing_of_rarer_ones() -> None:
    """Where all that was counted lies within a decade, its flat beginning is left out."""
    alarms = np.array([1000, 900, 300, 100]).repeat(GROUPS).reshape(4, GROUPS)
    table = fit_thresholds([1.0, 1.5, 2.0, 2.5], alarms, np.full(GROUPS, 10**6))
    slope = 0.5 / np.log10(3)
    assert np.interp(-6.0, LOG_RATES, table.thresholds[0]) == pytest.approx(2.5 + 2 * slope, abs=1e-3)


def test_rows_stand_for_the_middle_of_their_ages() -> None:
    """A row is as far from one edge of its group as from the other in logarithms; the last holds from its first age."""
    table = fit_thresholds([1.0, 2.0], np.array([[1000] * GROUPS, [100] * GROUPS]), np.full(GROUPS, 10**6))
    for age, youngest, oldest in zip(table.ages, AGES[:-2], AGES[1:-1], strict=False):
        assert age / youngest == pytest.approx(oldest / age, rel=0.01)
    assert table.ages[-1] == AGES[-2]


def test_chance_bumps_are_evened_out() -> None:
    """More alarms at a higher threshold, which only chance can bring, leave the table without a rise."""
    alarms = np.array([1000, 300, 320, 100, 30]).repeat(GROUPS).reshape(5, GROUPS)
    table = fit_thresholds([1.0, 1.5, 2.0, 2.5, 3.0], alarms, np.full(GROUPS, 10**6))
    assert (np.diff(np.array(table.thresholds), axis=1) <= 0).all()


def test_a_rate_that_cannot_be_had_is_held_at_the_most() -> None:
    """Below the threshold with the most alarms episodes run into one another, so no risk leads there."""
    alarms = np.array([200, 1000, 800, 100]).repeat(GROUPS).reshape(4, GROUPS)
    table = fit_thresholds([0.5, 1.0, 1.5, 2.0], alarms, np.full(GROUPS, 10**6))
    assert {row[-1] for row in table.thresholds} == {1.0}


@pytest.mark.parametrize("counted", [[LEAST_ALARMS, 0, 0], [0, 0, 0], [50, 50, 50], [20, LEAST_ALARMS - 1, 0]])
def test_too_few_alarms_to_tell_a_slope_are_refused(counted: list[int]) -> None:
    """An age group needs two different rates that each rest on enough alarms."""
    alarms = np.array([[1000, 300, 90]] * GROUPS).T.copy()
    alarms[:, 1] = counted
    with pytest.raises(ValueError, match="alarms in age group 1; expected more streams"):
        fit_thresholds([1.0, 1.5, 2.0], alarms, np.full(GROUPS, 10**5))
