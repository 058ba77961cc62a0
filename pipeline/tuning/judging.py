"""Whether tuned settings are better than those configured, on what had no part in the search."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

from pipeline.tuning.goal import Goal, alarm_rate, lane_days, objective_of
from pipeline.tuning.measures import PartMeasures

RESAMPLES = 2000
LEAST_STREAMS = 5
"""Fewer tell nothing of chance."""
CHANCE = 0.05
"""Of a rate of alarms at the budget to be taken for one above it."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Tuned against configured settings on the held-out part.

    Attributes:
        tuned, configured: the objective of each; None where it cannot be told.
        interval: middle 90 % of tuned minus configured, over streams drawn again and again; None if not to be told.
        exceeds: whether the tuned settings exceed the budget by more than chance, and the configured ones by less.
        is_better: whether to use the tuned settings.
    """

    tuned: float | None
    configured: float | None
    interval: tuple[float, float] | None
    exceeds: bool
    is_better: bool

    @property
    def may_be_chance(self) -> bool:
        """Whether no difference would surprise nobody; where it cannot be told, it may."""
        return self.interval is None or self.interval[0] <= 0.0 <= self.interval[1]


def compare(tuned: PartMeasures, configured: PartMeasures, goal: Goal, *, seed: int) -> Comparison:
    """Which settings to use.

    The tuned ones only where their objective is larger, and where their alarms do not exceed the budget by more than
    chance explains: a Poisson count at the budget is higher in one case of twenty.

    Args:
        tuned, configured: of the same part.
        goal: of the search.
        seed: of the draws.
    """
    try:
        ours, theirs = (objective_of(one, goal.objective) for one in (tuned, configured))
    except ValueError:
        return Comparison(None, None, None, exceeds=False, is_better=False)
    exceeds = _exceeds(tuned, goal.budget) and not _exceeds(configured, goal.budget)
    both = _exceeds(tuned, goal.budget) and _exceeds(configured, goal.budget)
    is_better = ours > theirs and not exceeds and not (both and alarm_rate(tuned) > alarm_rate(configured))
    interval = None if goal.objective == "nab" else _interval(tuned, configured, goal, seed)
    return Comparison(ours, theirs, interval, exceeds, is_better)


def _exceeds(measures: PartMeasures, budget: float | None) -> bool:
    if budget is None:
        return False
    alarms = sum(outcome.false_alarms for outcome in measures.outcomes)
    return bool(alarms > poisson.ppf(1.0 - CHANCE, budget * lane_days(measures)))


def _interval(tuned: PartMeasures, configured: PartMeasures, goal: Goal, seed: int) -> tuple[float, float] | None:
    """By the bootstrap over streams, both settings on the same draws."""
    tables = [_per_stream(one, goal) for one in (tuned, configured)]
    count = len(tables[0])
    if count < LEAST_STREAMS:
        return None
    draws = np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
    ratio = _f1 if goal.objective == "f1" else _recall
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw without any anomaly tells nothing
        difference = ratio(tables[0][draws].sum(axis=1)) - ratio(tables[1][draws].sum(axis=1))
    low, high = np.nanquantile(difference, [0.05, 0.95])
    return float(low), float(high)


def _per_stream(measures: PartMeasures, goal: Goal) -> NDArray[np.float64]:
    """(streams, 3): found, to be found, false alarms."""
    if goal.objective == "faults":
        faults: dict[str, list[bool]] = defaultdict(list)
        for outcome in measures.faults:
            faults[outcome.stream].append(outcome.delay_s is not None)
        return np.array([(sum(found), len(found), 0) for found in faults.values()], np.float64).reshape(-1, 3)
    rows = [(one.is_detected.sum(), len(one.windows), one.false_alarms) for one in measures.outcomes]
    return np.array(rows, np.float64).reshape(-1, 3)


def _f1(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    f1: NDArray[np.float64] = 2 * sums[:, 0] / (sums[:, 0] + sums[:, 2] + sums[:, 1])
    return np.where(sums[:, 1] > 0, f1, np.nan)


def _recall(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    recall: NDArray[np.float64] = sums[:, 0] / sums[:, 1]
    return recall
