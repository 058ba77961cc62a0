"""Whether a challenger passes: criteria, each with what was found, what was expected, and whether that is so.

It has to be better by a margin and by more than chance, and must not be worse in what an operator minds: alarms, the
band, and anomalies that are known.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import chi2, poisson

from detectors.evaluation.forecasts import LEAST_CLUSTERS, mean_with_interval
from pipeline.gate.tally import STRETCHES, Tally

BAND = 0.95
"""Nominal coverage of the band."""
LEAST_POINTS = 1_000
BLOCKS = 24
"""Blocks of time by which chance is judged: long enough to hang together within more than across."""
ALARM_CHANCE = 0.01
"""Of as many alarms as that at the rate allowed, for them to be taken for more."""

Interval = tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Rule:
    """What a challenger has to fulfil.

    Attributes:
        margin: nats per point that its forecasts have to be better by; 0.01 is about one per cent in accuracy.
        coverage_tolerance: how much farther than the champion's the coverage of its band may be from 0.95.
        recall_tolerance: how much smaller a share of the labelled anomalies it may find.
        alarms_per_point, alarms_per_lane_day: that the risk allows, given in one of the two ways; the other is 0.
    """

    margin: float = 0.01
    coverage_tolerance: float = 0.02
    recall_tolerance: float = 0.05
    alarms_per_point: float = 0.001
    alarms_per_lane_day: float = 0.0


class Gain(NamedTuple):
    """How much better the challenger forecasts, in nats per point.

    Attributes:
        mean: champion's loss minus the challenger's.
        by_lane, by_time: where the mean lies in 95 of 100 cases, by its spread over lanes, and over blocks of time;
            None where there are too few.
    """

    mean: float
    by_lane: Interval
    by_time: Interval

    @property
    def least(self) -> float | None:
        """The lower end that is lower; None where neither is known."""
        ends = [interval[0] for interval in (self.by_lane, self.by_time) if interval is not None]
        return min(ends, default=None)


@dataclass(frozen=True, slots=True)
class Criterion:
    """One thing that is required.

    Attributes:
        name: of it.
        found: None where it cannot be told.
        relation: of what is found to what is expected.
        passed: whether it is so.
        told: found and expected, in words.
    """

    name: str
    found: float | None
    relation: Literal["at least", "more than", "at most"]
    expected: float
    passed: bool
    told: str


def gain_of(tally: Tally) -> Gain:
    """The challenger's gain over the slice; 0 where nothing was judged."""
    judged = int(tally.judged.sum())
    better = tally.loss[0] - tally.loss[1]
    if not judged:
        return Gain(0.0, None, None)
    blocks = (BLOCKS, STRETCHES // BLOCKS)
    return Gain(
        float(better.sum() / judged),
        mean_with_interval(better, tally.judged.astype(np.float64)),
        mean_with_interval(
            (tally.time_loss[0] - tally.time_loss[1]).reshape(blocks).sum(axis=1),
            tally.time_judged.reshape(blocks).sum(axis=1).astype(np.float64),
        ),
    )


def decide(tally: Tally, rule: Rule) -> tuple[Criterion, ...]:
    """All criteria; the challenger passes if each is met."""
    gain = gain_of(tally)
    return (
        _points(tally),
        _at_least("better forecasts", gain.mean, rule.margin, "nats per point"),
        _beyond_chance(gain),
        _alarms(tally, rule),
        _coverage(tally, rule),
        *([_recall(tally, rule)] if tally.is_labelled else []),
    )


def coverage_of(tally: Tally, side: int) -> float | None:
    """Share of the judged points within the band of a side; None without any."""
    judged = int(tally.judged.sum())
    return int(tally.covered[side]) / judged if judged else None


def allowed_alarms(tally: Tally, rule: Rule) -> float:
    """Alarms that the risk allows among what was judged."""
    return rule.alarms_per_point * int(tally.points.sum()) + rule.alarms_per_lane_day * tally.lane_days


def alarm_limit(tally: Tally, rule: Rule) -> int:
    """Alarms that chance hardly exceeds at the rate that the risk allows, or at the champion's where that is higher."""
    expected = max(allowed_alarms(tally, rule), float(tally.false_alarms[0]))
    return int(poisson.ppf(1.0 - ALARM_CHANCE, expected))


def alarm_interval(alarms: int, *, coverage: float = 0.95) -> tuple[float, float]:
    """Alarms that may be expected where so many were counted: the exact interval of a Poisson mean (Garwood 1936)."""
    tail = (1.0 - coverage) / 2
    low = float(chi2.ppf(tail, 2 * alarms)) / 2 if alarms else 0.0
    return low, float(chi2.ppf(1.0 - tail, 2 * alarms + 2)) / 2


def _at_least(name: str, found: float, expected: float, unit: str) -> Criterion:
    return Criterion(
        name, found, "at least", expected, found >= expected, f"{found:+.4f} {unit}; expected at least {expected:g}"
    )


def _points(tally: Tally) -> Criterion:
    judged = int(tally.judged.sum())
    told = f"{judged:,} points with a forecast; expected at least {LEAST_POINTS:,}"
    return Criterion("enough points", judged, "at least", LEAST_POINTS, judged >= LEAST_POINTS, told)


def _beyond_chance(gain: Gain) -> Criterion:
    least = gain.least
    if least is None:
        told = f"fewer than {LEAST_CLUSTERS} lanes and blocks of time; expected {LEAST_CLUSTERS} to tell chance by"
    else:
        told = f"at least {least:+.4f} nats per point in 97.5 of 100 cases; expected more than 0"
    return Criterion("by more than chance", least, "more than", 0.0, least is not None and least > 0, told)


def _alarms(tally: Tally, rule: Rule) -> Criterion:
    found, limit = int(tally.false_alarms[1]), alarm_limit(tally, rule)
    kind = "false alarms" if tally.is_labelled else "alarms"
    asked = allowed_alarms(tally, rule)
    told = (
        f"{found:,} {kind}; expected at most {limit:,} (the risk allows {asked:.1f}, the champion raised "
        f"{int(tally.false_alarms[0]):,})"
    )
    return Criterion("alarms within budget", found, "at most", limit, found <= limit, told)


def _coverage(tally: Tally, rule: Rule) -> Criterion:
    ours, theirs = (coverage_of(tally, side) for side in (0, 1))
    if ours is None or theirs is None:
        told = "no forecast to judge the band by; expected some"
        return Criterion("band as wide as it says", None, "at most", rule.coverage_tolerance, passed=False, told=told)
    off, limit = abs(theirs - BAND), abs(ours - BAND) + rule.coverage_tolerance
    told = f"{theirs:.1%} of the points in the 95 % band, {off:.1%} off; expected at most {limit:.1%} off"
    return Criterion("band as wide as it says", off, "at most", limit, off <= limit, told)


def _recall(tally: Tally, rule: Rule) -> Criterion:
    ours, theirs = (tally.detection(side) for side in (0, 1))
    if ours.recall is None or theirs.recall is None:
        told = "no labelled anomaly in the slice; nothing expected"
        return Criterion("known anomalies found", None, "at least", 0.0, passed=True, told=told)
    limit = ours.recall - rule.recall_tolerance
    told = f"{theirs.detected} of {theirs.windows} labelled anomalies, the champion {ours.detected}; "
    told += f"expected at least {max(limit, 0):.0%}"
    return Criterion("known anomalies found", theirs.recall, "at least", limit, theirs.recall >= limit, told)
