"""What settings are chosen by: one number of a part's measures, within a budget of false alarms."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from detectors.evaluation.detection import Detection, summarise
from detectors.evaluation.nab import score_at
from detectors.faults import KINDS
from pipeline.tuning.measures import FaultOutcome, PartMeasures

Objective = Literal["f1", "recall", "nab", "faults"]
LABELLED: tuple[Objective, ...] = ("f1", "recall", "nab")
"""What needs labels; 'faults' is for histories without."""
SMALL = 0.55
"""Faults up to this size, in ranges of their stream, are told apart from larger ones: the middle of the sizes drawn."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted.

    Attributes:
        objective: to be as large as possible: 'f1' and 'recall' of labelled anomalies, 'nab' the standard score of that
            benchmark at the alarms as they are raised, over 100, and 'faults' the share found of those put in.
        budget: most false alarms per lane and day; without labels, every alarm counts as one. None for no bound.
    """

    objective: Objective
    budget: float | None = None


def value_of(measures: PartMeasures, goal: Goal) -> float:
    """The objective, where the budget is kept; below 0 where it is not, the lower the further it is exceeded.

    So whatever keeps the budget is better than whatever does not, and a search finds its way back to it.

    Raises:
        ValueError: nothing is labelled, or no fault was put in.
    """
    rate = alarm_rate(measures)
    if goal.budget is not None and rate > goal.budget:
        return -1.0 - (math.log10(rate / goal.budget) if goal.budget > 0 else rate)
    return objective_of(measures, goal.objective)


def objective_of(measures: PartMeasures, objective: Objective) -> float:
    """The number to be large, whatever the budget.

    Raises:
        ValueError: nothing is labelled, or no fault was put in.
    """
    if objective == "faults":
        found = _share([outcome.delay_s is not None for outcome in measures.faults])
    elif objective == "nab":
        # above -1, where what exceeds a budget begins
        return max(score_at(measures.nab, {"standard": 0.5})["standard"] / 100, -1.0)
    else:
        detection = summarise(measures.outcomes)
        found = detection.f1 if objective == "f1" else detection.recall
    if found is None:
        raise ValueError(f"found nothing to tell {objective} by")
    return found


def alarm_rate(measures: PartMeasures) -> float:
    """False alarms per lane and day; without labels, all alarms."""
    return summarise(measures.outcomes).false_alarms_per_lane_day or 0.0


def lane_days(measures: PartMeasures) -> float:
    """Time measured, over all lanes."""
    return sum(outcome.days for outcome in measures.outcomes)


def describe(measures: PartMeasures, goal: Goal) -> dict[str, Any]:
    """The measures as plain values; what has no cases is None."""
    detection: Detection = summarise(measures.outcomes)
    labelled = goal.objective != "faults"
    told: dict[str, Any] = {
        "lanes": detection.lanes,
        "lane_days": lane_days(measures),
        "alarms": detection.alerts,
        "false_alarms": detection.false_alarms if labelled else None,
        "per_lane_and_day": alarm_rate(measures),
        "within_budget": None if goal.budget is None else alarm_rate(measures) <= goal.budget,
    }
    if labelled:
        told |= {
            "anomalies": detection.windows,
            "found": detection.detected,
            "recall": detection.recall,
            "precision": detection.precision,
            "f1": detection.f1,
            "median_delay_s": detection.median_delay_s,
            "nab_standard": _nab(measures),
        }
    else:
        told |= {"faults": _describe_faults(measures.faults)}
        told["faults"]["by_kind"] = {
            kind: _describe_faults([one for one in measures.faults if one.kind == kind]) for kind in KINDS
        }
        told["faults"]["small"] = _describe_faults([one for one in measures.faults if one.size <= SMALL])
        told["faults"]["large"] = _describe_faults([one for one in measures.faults if one.size > SMALL])
    return told


def _nab(measures: PartMeasures) -> float | None:
    try:
        return score_at(measures.nab, {"standard": 0.5})["standard"]
    except ValueError:
        return None  # no labelled window has a row behind NAB's probation


def _describe_faults(faults: Sequence[FaultOutcome]) -> dict[str, Any]:
    delays = [outcome.delay_s for outcome in faults if outcome.delay_s is not None]
    return {
        "put_in": len(faults),
        "found": len(delays),
        "recall": _share([outcome.delay_s is not None for outcome in faults]),
        "median_delay_s": float(np.median(delays)) if delays else None,
    }


def _share(found: Sequence[bool]) -> float | None:
    return sum(found) / len(found) if found else None
