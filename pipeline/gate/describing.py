"""A trial and its decision as plain values: what is kept with the bundle, printed, and drawn."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.episodes import iso_time
from pipeline.gate.decision import (
    Criterion,
    Gain,
    Rule,
    alarm_interval,
    alarm_limit,
    allowed_alarms,
    coverage_of,
    decide,
    gain_of,
)
from pipeline.gate.extent import Extent
from pipeline.gate.tally import PROBABILITY_BINS, STRETCHES, Tally
from pipeline.gate.trial import Trial

FORMAT = 1
SIDES = ("champion", "challenger")
LANES = 10
"""Lanes in which the challenger gains most, and as many in which it loses most, that are told."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A bundle that is judged.

    Attributes:
        id: of it.
        named: as the user named it.
        created_by: what made it.
        parent: id of the bundle that it was trained on from; None for none.
    """

    id: str
    named: str
    created_by: str
    parent: str | None


def describe(
    trial: Trial,
    rule: Rule,
    subjects: tuple[Subject, Subject],
    extent: Extent,
    history: dict[str, Any],
    settings: dict[str, Any],
) -> dict[str, Any]:
    """All that a trial came to; see docs/gate.md for what each value means.

    Args:
        trial: that was run.
        rule: by which it is judged.
        subjects: champion and challenger.
        extent: of the history.
        history: what else is known of it.
        settings: under which both scored.
    """
    tally = trial.tally
    criteria, gain = decide(tally, rule), gain_of(tally)
    passed = all(criterion.passed for criterion in criteria)
    figures = [_figures(trial, rule, side) for side in (0, 1)]
    return {
        "format": FORMAT,
        "passed": passed,
        "told": _told(criteria, gain, tally, passed=passed),
        "criteria": [asdict(criterion) | _rounded(criterion) for criterion in criteria],
        **{
            name: asdict(subject) | {"figures": told}
            for name, subject, told in zip(SIDES, subjects, figures, strict=True)
        },
        "gain": {
            "nats_per_point": _round(gain.mean),
            "by_lane_95": _both(gain.by_lane),
            "by_time_95": _both(gain.by_time),
        },
        "alarm_limit": alarm_limit(tally, rule),
        "history": history
        | {
            "first_time": iso_time(extent.first_us),
            "slice_from": iso_time(tally.start_us),
            "last_time": iso_time(extent.last_us),
            "records_before": trial.before,
            "records": {"consumed": trial.within.consumed, **trial.within.to_dict()["records"]},
            "lanes": int((tally.points > 0).sum()),
            "lane_days": _round(tally.lane_days),
            "points": int(tally.points.sum()),
            "judged": int(tally.judged.sum()),
        },
        "feedback": _feedback(tally),
        "settings": settings | asdict(rule),
        "over_time": _over_time(tally),
        "lanes": _lanes(tally),
        "speed": {
            name: {"points_per_s": _per_second(trial, side), "bytes_per_lane": trial.bytes_per_lane[side]}
            for side, name in enumerate(SIDES)
        },
    }


def _told(criteria: Sequence[Criterion], gain: Gain, tally: Tally, *, passed: bool) -> str:
    """One line, for people and for the history of the registry."""
    judged = max(int(tally.judged.sum()), 1)
    losses = [float(tally.loss[side].sum()) / judged for side in (0, 1)]
    kind = "false alarms" if tally.is_labelled else "alarms"
    told = (
        f"loss {losses[1]:.4f} against {losses[0]:.4f} nats per point (gain {gain.mean:+.4f}) on {judged:,} points of "
        f"{int((tally.judged > 0).sum()):,} lanes, {int(tally.false_alarms[1]):,} {kind} against "
        f"{int(tally.false_alarms[0]):,}"
    )
    if passed:
        return f"passed: {told}"
    missed = [criterion.name for criterion in criteria if not criterion.passed]
    return f"refused, not met: {', '.join(missed)}; {told}"


def _figures(trial: Trial, rule: Rule, side: int) -> dict[str, Any]:
    tally = trial.tally
    judged, points = int(tally.judged.sum()), int(tally.points.sum())
    alarms = int(tally.alarms[side].sum())
    thousands = points / 1000
    coverage = coverage_of(tally, side)
    return {
        "loss": _round(float(tally.loss[side].sum()) / judged) if judged else None,
        "residual": _round(float(tally.residual[side]) / judged) if judged else None,
        "band_coverage": None if coverage is None else _round(coverage),
        "probability_distance": _distance_from_uniform(tally, side),
        "probabilities": (tally.probabilities[side] / judged).round(6).tolist() if judged else None,
        "alarms": alarms,
        "alarms_per_1000": _round(alarms / thousands) if points else None,
        "alarms_per_1000_95": [_round(end / thousands) for end in alarm_interval(alarms)] if points else None,
        "alarms_asked_per_1000": _round(allowed_alarms(tally, rule) / thousands) if points else None,
        "alarms_per_lane_day": _round(alarms / tally.lane_days) if tally.lane_days else None,
        "labelled": _labelled(tally, side),
    }


def _distance_from_uniform(tally: Tally, side: int) -> float | None:
    """Largest distance of the distribution of the probabilities from the uniform one (Kolmogorov), at the bins' ends.

    0 for a calibrated forecaster.
    """
    counts = tally.probabilities[side]
    if not counts.sum():
        return None
    share = np.cumsum(counts) / counts.sum()
    return _round(float(np.abs(share - np.arange(1, PROBABILITY_BINS + 1) / PROBABILITY_BINS).max()))


def _labelled(tally: Tally, side: int) -> dict[str, Any] | None:
    if not tally.is_labelled:
        return None
    detection = tally.detection(side)
    return {
        "anomalies": detection.windows,
        "found": detection.detected,
        "recall": detection.recall,
        "false_alarms": int(tally.false_alarms[side]),
        "median_delay_s": detection.median_delay_s,
    }


def _feedback(tally: Tally) -> dict[str, Any] | None:
    if not len(tally.feedback):
        return None
    return {
        "digest": tally.feedback.digest(),
        "records": tally.feedback.counts(),
        "alarms_left_out": dict(zip(SIDES, tally.left_out.tolist(), strict=True)),
    }


def _over_time(tally: Tally) -> list[dict[str, Any]]:
    """By stretch; a loss or coverage of no points is None."""
    edges = np.linspace(tally.start_us, tally.end_us + 1, STRETCHES + 1).astype(np.int64).tolist()
    told = []
    for number in range(STRETCHES):
        judged = int(tally.time_judged[number])
        told.append(
            {
                "from": iso_time(edges[number]),
                "judged": judged,
                "loss": [_round(float(one) / judged) for one in tally.time_loss[:, number]] if judged else None,
                "coverage": [_round(int(one) / judged) for one in tally.time_covered[:, number]] if judged else None,
                "alarms": tally.time_alarms[:, number].tolist(),
            }
        )
    return told


def _lanes(tally: Tally) -> list[dict[str, Any]]:
    """The lanes that make the most of the gain, then those that take most of it away, the extremes at the ends."""
    gains = tally.loss[0] - tally.loss[1]
    order = sorted(
        (-float(gains[lane]), key, field, lane) for (key, field), lane in tally.lanes.items() if tally.judged[lane]
    )
    chosen = order if len(order) <= 2 * LANES else order[:LANES] + order[-LANES:]
    return [
        {
            "key": key,
            "field": field,
            "judged": int(tally.judged[lane]),
            "loss": [_round(float(one) / int(tally.judged[lane])) for one in tally.loss[:, lane]],
            "alarms": tally.alarms[:, lane].tolist(),
        }
        for _, key, field, lane in chosen
    ]


def _per_second(trial: Trial, side: int) -> int | None:
    seconds = trial.seconds[side]
    return round(sum(trial.within.points.values()) / seconds) if seconds else None


def _rounded(criterion: Criterion) -> dict[str, Any]:
    return {
        "found": None if criterion.found is None else _round(criterion.found),
        "expected": _round(criterion.expected),
    }


def _both(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else [_round(end) for end in interval]


def _round(number: float) -> float:
    """As told: what depends on how the history was cut into batches is far behind the sixth digit."""
    return round(number, 6) + 0.0  # 0 has a sign, which a sum takes away
