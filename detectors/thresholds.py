"""Thresholds that keep a promise: from the false alarms a user can bear to the score that an alert needs.

The promise is a risk: false alarms per 1,000 points of a lane, or per lane and day. How often a score is reached by
chance depends on how much past the lane has to be rare in, so calibration measures it on fault-free streams by age of
the lane, and the table turns (age, rate) into a threshold. A risk per day is a rate per point by the sampling interval
of each lane, which the scoring kernel learns as points come.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.episodes import Decision
from detectors.lookback import DAY_US

AGES = (150, 200, 300, 500, 12_000)
"""Edges of the age groups, in points: a lane that has just left its warm-up has little past to be rare in."""
LOG_RATES = tuple(-8.0 + 0.25 * i for i in range(25))
"""log10 of false alarms per point that the table has a threshold for: 1e-8 to 1e-2."""
RISK_POINTS = 1000
"""Points of a lane that the risk is told for."""
LEAST_ALARMS = 8
"""Alarms that a measured rate needs to count; rarer ones follow from the slope."""


class Rates(NamedTuple):
    """How often a fault-free lane opens an episode with such a score."""

    per_point: NDArray[np.float64]  # (m,) nan where it is not known
    is_most: NDArray[np.bool_]  # (m,) whether it may be rarer still


@dataclass(frozen=True, slots=True)
class ThresholdTable:
    """Threshold by age of the lane and rate of false alarms.

    Attributes:
        ages: points seen, rising.
        log_rates: log10 of false alarms per point, rising.
        thresholds: (ages, log_rates), nowhere rising along a row.

    Raises:
        ValueError: fewer than two ages or rates, an order that does not hold, or shapes that do not fit.
    """

    ages: Sequence[float]
    log_rates: Sequence[float]
    thresholds: Sequence[Sequence[float]]
    _arrays: tuple[NDArray[np.float64], ...] = field(init=False, repr=False, compare=False)  # log10 of ages; the others

    def __post_init__(self) -> None:
        table = np.array(self.thresholds, np.float64)
        knots = [np.array(self.ages, np.float64), np.array(self.log_rates, np.float64)]
        fits = table.ndim == 2 and table.shape == tuple(len(axis) for axis in knots) and min(table.shape) > 1
        if not (fits and all((np.diff(axis) > 0).all() for axis in knots) and (np.diff(table, axis=1) <= 0).all()):
            raise ValueError(
                f"found a threshold table of shape {table.shape}; expected rising ages and rates, thresholds not"
            )
        object.__setattr__(self, "_arrays", (np.log10(np.maximum(knots[0], 1)), knots[1], table))

    def rates(self, points: NDArray[np.int32], scores: NDArray[np.float32]) -> "Rates":
        """How often fault-free lanes of the ages `points` (m,) open an episode with scores such as `scores` (m,).

        That is the rate for which the score would be the threshold; rates beyond the table's ends are held at its ends.
        """
        ages, log_rates, table = self._arrays
        age = np.log10(np.maximum(points, 1))
        row = np.clip(np.searchsorted(ages, age, side="right") - 1, 0, len(ages) - 2)
        along = np.clip((age - ages[row]) / (ages[row + 1] - ages[row]), 0.0, 1.0)[:, None]
        falling = table[row] + (table[row + 1] - table[row]) * along
        column = np.clip((falling > scores[:, None]).sum(axis=1) - 1, 0, len(log_rates) - 2)
        every = np.arange(len(column))
        near, far = falling[every, column], falling[every, column + 1]
        between = np.clip((near - scores) / np.maximum(near - far, 1e-9), 0.0, 1.0)
        rates = 10.0 ** (log_rates[column] + (log_rates[column + 1] - log_rates[column]) * between)
        return Rates(rates, scores >= falling[:, 0])

    def reach(self) -> tuple[float, float]:
        """The least and the most false alarms per point that an old lane can be given.

        The least ends the table; from the most on, a lower threshold has brought no more.
        """
        _, log_rates, table = self._arrays
        return 10.0 ** log_rates[0], 10.0 ** log_rates[table[-1].argmin()]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a bundle."""
        return {
            "ages": list(self.ages),
            "log_rates": list(self.log_rates),
            "thresholds": [list(row) for row in self.thresholds],
        }


def unknown_rates(count: int) -> Rates:
    """Rates (count,) of which nothing is known."""
    return Rates(np.full(count, np.nan), np.zeros(count, np.bool_))


def make_decision(
    table: ThresholdTable, risk: float | None = None, *, risk_per_day: float | None = None, **rules: float
) -> Decision:
    """The decision rule for a risk, given in one of two ways.

    Args:
        table: from calibration. Rates beyond its ends are held at its ends.
        risk: expected false alarms per 1,000 points of a lane.
        risk_per_day: expected false alarms per lane and day, by the sampling interval of each lane.
        rules: other fields of `Decision`.

    Raises:
        ValueError: none or both of the risks, one that is not a positive number, or an unknown rule.
    """
    rate, rate_per_us = rates_of(risk, risk_per_day)
    log_rates, thresholds = np.array(table.log_rates, np.float64), np.array(table.thresholds, np.float64)
    if rate > 0:  # the same for all lanes, so it is looked up here and once
        log_rate = np.log10(rate)
        thresholds = np.array([[np.interp(log_rate, log_rates, row)] for row in thresholds])
        log_rates = np.array([log_rate])
    return _with_rules(Decision(np.log10(np.array(table.ages, np.float64)), log_rates, thresholds, rate_per_us), rules)


def rates_of(risk: float | None, risk_per_day: float | None) -> tuple[float, float]:
    """False alarms (per point, per microsecond) of a risk given in one of two ways; the other is 0.

    Raises:
        ValueError: none or both were given, or one that is not a positive number.
    """
    if (risk is None) == (risk_per_day is None):
        raise ValueError(f"found a risk of {risk} and one per day of {risk_per_day}; expected one of them")
    if risk is not None:
        if not 0 < risk < np.inf:
            raise ValueError(f"found a risk of {risk}; expected a positive number of false alarms per 1,000 points")
        return risk / RISK_POINTS, 0.0
    if risk_per_day is None or not 0 < risk_per_day < np.inf:
        raise ValueError(f"found a risk of {risk_per_day} per day; expected a positive number of false alarms")
    return 0.0, risk_per_day / DAY_US


def fixed_decision(threshold: float, **rules: float) -> Decision:
    """A decision rule with one threshold on the score, for experiments and calibration."""
    return _with_rules(Decision(np.array([0.0, 1.0]), np.zeros(1), np.full((2, 1), float(threshold)), 0.0), rules)


def linear_decision(rate_per_us: float, log_rates: tuple[float, float], **rules: float) -> Decision:
    """A decision rule for scores that are -log10 of the chance of a point as strange.

    Args:
        rate_per_us: false alarms per microsecond of a lane.
        log_rates: log10 of the lowest and highest false alarms per point; beyond them the threshold is held.
        rules: other fields of `Decision`.
    """
    rates = np.array(log_rates)
    return _with_rules(Decision(np.array([0.0, 1.0]), rates, np.tile(-rates, (2, 1)), rate_per_us), rules)


def _with_rules(decision: Decision, rules: Mapping[str, float]) -> Decision:
    """The decision with other rules, each of the type of its default: the kernel is compiled for no other."""
    defaults = Decision._field_defaults
    if unknown := rules.keys() - defaults:
        raise ValueError(f"found the rules {sorted(unknown)}; expected some of {list(defaults)}")
    typed: dict[str, Any] = {name: type(defaults[name])(value) for name, value in rules.items()}
    return decision._replace(**typed)


def fit_thresholds(thresholds: Sequence[float], alarms: NDArray[np.int64], points: NDArray[np.int64]) -> ThresholdTable:
    """The table that follows from counted false alarms.

    Within an age group log10 of the rate falls nearly linearly with the threshold; between measured thresholds it is
    interpolated, below the rarest rate that was measured it goes on with the slope of the last decade that was: the
    rarer, the steeper. Lowering the threshold adds alarms only to where points are flagged so often that episodes run
    into one another, so beyond the highest rate the threshold that had it is held. The row of a group stands for the
    middle, in logarithms, of its ages; that of the last for all of them.

    Args:
        thresholds: (T,) tried, rising.
        alarms: (T, len(AGES) - 1) alarms counted in each age group.
        points: (len(AGES) - 1,) points scored in each age group.

    Raises:
        ValueError: an age group with too few alarms to tell a slope.
    """
    rows = []
    for group, scored in enumerate(points):
        most = int(alarms[:, group].argmax())
        # a higher threshold cannot mean more alarms; where rest and chance say so, they are evened out
        fewest = np.minimum.accumulate(alarms[most:, group])
        told = (fewest >= LEAST_ALARMS) & (np.diff(fewest, prepend=scored + 1) < 0)
        if told.sum() < 2:
            raise ValueError(f"found {alarms[:, group].tolist()} alarms in age group {group}; expected more streams")
        tried, log_rate = np.array(thresholds[most:])[told][::-1], np.log10(fewest[told] / scored)[::-1]
        # of a decade, but for where the rate already levels off
        last = max(1, int(np.count_nonzero(log_rate <= min(log_rate[0] + 1.0, log_rate[-1] - 0.5))) - 1)
        slope = (tried[last] - tried[0]) / (log_rate[last] - log_rate[0])
        row = np.interp(LOG_RATES, log_rate, tried) + slope * np.minimum(np.array(LOG_RATES) - log_rate[0], 0.0)
        rows.append(row.round(4).tolist())
    ages = [*(round(math.sqrt(youngest * oldest)) for youngest, oldest in pairwise(AGES[:-1])), AGES[-2]]
    return ThresholdTable(ages, LOG_RATES, rows)
