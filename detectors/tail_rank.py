"""From any raw score to a verdict by one rule: how rare the raw score is among the lane's own past ones.

A raw score, higher for stranger, has a scale of its own. Its rank among the lane's past raw scores has none: of N past
ones k are as high, and were the new one like them, the chance of that were (k + 1) / (N + 1). The score is -log10 of
it, with the overshoot of `detectors.novelty` beyond everything seen. So a risk of r alarms per 1,000 points is a
threshold of log10(1000 / r), whatever gave the raw score; episodes and incidents are those of `detectors.episodes`.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.detector import allocate_verdicts
from detectors.episodes import CLOSED, NOTHING, Decision, is_learned, levels_of, threshold_of, track_episode
from detectors.evidence import weigh
from detectors.features import FRAME_LIMIT, LARGEST_VALUE
from detectors.kernel import Verdicts, copy_window
from detectors.layout import SCALARS, Slab
from detectors.minifloat import load, store
from detectors.normalise import (
    FRAME_AFTER,
    LARGEST_RUN,
    asinh,
    freeze_frame,
    scale_of,
    update_interval,
    update_moments,
)
from detectors.novelty import forget, is_uncommon, mean_weight, novelty, remember, remembered
from detectors.thresholds import RISK_POINTS, Rates, fixed_decision, linear_decision, rates_of

GENERATION = 4000
"""Points after which the older of two generations of raw scores is forgotten."""
TAIL_SIZE = 64
"""Distinct raw scores kept on each side of a generation: ranks are exact up to a risk of 10 per 1,000 points."""
LOG_RATES = (-9.0, -2.0)
"""log10 of the lowest and highest false alarms per point: ranks tell no higher one, and nobody waits for a lower."""
LARGEST_SCORE = 1e6
"""A larger raw score counts as this one."""


class RankedLanes(NamedTuple):
    """The arrays of a slab that ranking needs."""

    scalars: NDArray[Any]  # (lanes,) of SCALARS
    window: NDArray[np.float32]  # (lanes, window), frame units, point t at t % window
    taken: NDArray[np.int64]  # (lanes,) raw scores so far
    tails: NDArray[np.float32]  # (lanes, 4 * TAIL_SIZE): [upper, lower][generation][rank], lower negated
    tail_counts: NDArray[np.uint16]  # (lanes, 4 * TAIL_SIZE): how often the score of that rank was seen
    tail_means: NDArray[np.float32]  # (lanes, 1)


@dataclass(frozen=True, slots=True)
class TailRank:
    """How raw scores become verdicts, for every detector that is not the LSTM.

    Attributes:
        decision: see `rank_decision`.
        window: points of a lane kept as they are, 40 or more.
    """

    decision: Decision
    window: int = 64

    def lane_dtype(self, *own: tuple[Any, ...]) -> np.dtype[Any]:
        """A row with what ranking needs and the detector's `own` fields."""
        return np.dtype(
            [
                ("scalars", SCALARS),
                ("window", "f4", (self.window,)),
                ("taken", "i8"),
                ("tails", "f4", (4 * TAIL_SIZE,)),
                ("tail_counts", "u2", (4 * TAIL_SIZE,)),
                ("tail_means", "f4", (1,)),
                *own,
            ]
        )

    def allocate(self, points: int) -> tuple[Verdicts, NDArray[np.float64]]:
        """(verdicts, raw scores) of so many points; NaN wherever a detector says nothing."""
        verdicts = allocate_verdicts(points, 1, self.window)
        for name, array in verdicts._asdict().items():
            if array.dtype.kind == "f" and not name.startswith("event"):
                array.fill(np.nan)
        return verdicts, np.full(points, np.nan)

    def judge(
        self,
        slab: Slab,
        rows: NDArray[np.int64],
        time_us: NDArray[np.int64],
        values: NDArray[np.float64],
        positions: NDArray[np.int64],
        raw: NDArray[np.float64],
        verdicts: Verdicts,
    ) -> int:
        """Fill the verdicts of points (n,) by their raw scores, in order; returns how many episode events there were.

        Args:
            slab: state of the lanes, updated in place.
            rows: lane of each point.
            time_us: event time, rising within a lane.
            values: finite values.
            positions: position of each point's record.
            raw: NaN where the detector has nothing to say, which scores 0.
            verdicts: expected, lower, upper and surprise are left as they are.
        """
        lanes = RankedLanes(*(slab[name] for name in RankedLanes._fields))
        return int(_judge(lanes, self.decision, rows, time_us, values, positions, raw, verdicts))


def ranked_rates(verdicts: Verdicts) -> Rates:
    """How often a lane gives such a raw score by chance, at each event (m,) that a raw score caused.

    By its rank alone: (k + 1) / (N + 1) where k of N past ones were as high; at most that where none was. Of the end of
    an episode nothing is known, since the raw score that it rests on is another point's.
    """
    evidence = verdicts.event_evidence[:, 0]
    told = evidence["exact"] & (verdicts.event[verdicts.event_point] < CLOSED)
    return Rates(
        np.where(told, (evidence["seen"] + 1) / (evidence["among"] + 1), np.nan), told & (evidence["seen"] == 0)
    )


def rank_decision(risk: float | None = None, *, risk_per_day: float | None = None, **rules: float) -> Decision:
    """The decision rule for a risk, given in one of two ways.

    Args:
        risk: expected false alarms per 1,000 points of a lane: also the share of points, in thousandths, that score as
            high by chance.
        risk_per_day: expected false alarms per lane and day, by the sampling interval of each lane.
        rules: other fields of `Decision`.

    Raises:
        ValueError: none or both of the risks, one that is not positive, or an unknown rule.
    """
    _, rate_per_us = rates_of(risk, risk_per_day)
    if risk is None:
        return linear_decision(rate_per_us, LOG_RATES, **rules)
    return fixed_decision(math.log10(RISK_POINTS / risk), **rules)


@compiled
def _take_value(lane, window, value, time_us):
    """Take a value into interval, normaliser and window; (whether after a gap, the normalised level)."""
    gap = update_interval(lane, time_us)
    if gap:
        lane.run = 0
    value = min(max(value, -LARGEST_VALUE), LARGEST_VALUE)
    update_moments(lane, value)
    freeze_frame(lane, window)
    framed = value - lane.frame_mean
    if lane.frame_scale > 0:
        framed = min(max(framed / lane.frame_scale, -FRAME_LIMIT), FRAME_LIMIT)
    window[lane.points % len(window)] = store(window, framed)
    lane.previous = value
    lane.last_time_us = time_us
    if lane.run < LARGEST_RUN:
        lane.run += 1
    return gap, asinh((value - lane.mean) / scale_of(lane))


@compiled
def _rank(raw, taken, tails, counts, means):
    """-log10 of the chance of a raw score as high; 0 for one that is common."""
    stored = store(tails, raw)
    if load(stored) <= means[0] or not is_uncommon(stored, tails, counts, 0, TAIL_SIZE, means[0]):
        return 0.0
    log_total = math.log10(remembered(taken, GENERATION) + 1.0)
    return novelty(stored, tails, counts, 0, TAIL_SIZE, means[0], log_total, 1.0)


@compiled
def _remember(raw, taken, tails, counts, means, learned):
    """Take a raw score into the tails; one that is not to be learned only makes them older."""
    current = (taken // GENERATION) & 1
    if learned:
        stored = store(tails, raw)
        means[0] += mean_weight(taken) * (np.float64(load(stored)) - means[0])
        remember(stored, tails, counts, 0, TAIL_SIZE, current)
    if (taken + 1) % GENERATION == 0:
        forget(counts, 0, TAIL_SIZE, 1 - current)


@compiled
def _judge(lanes, decision, rows, time_us, values, positions, raws, verdicts):
    events = 0
    for n in range(len(rows)):
        row = rows[n]
        lane, window = lanes.scalars[row], lanes.window[row]
        tails, counts, means, taken = lanes.tails[row], lanes.tail_counts[row], lanes.tail_means[row], lanes.taken[row]
        verdicts.points[n] = lane.points
        verdicts.gap[n], level = _take_value(lane, window, values[n], time_us[n])
        raw = min(max(raws[n], -LARGEST_SCORE), LARGEST_SCORE)
        speaks = not math.isnan(raws[n])
        # a detector that began to speak later than the lane is as young as what it said: it has a warm-up of its own
        score = _rank(raw, taken, tails, counts, means) if speaks and taken + FRAME_AFTER >= decision.warm_up else 0.0
        threshold = threshold_of(decision, lane.points, lane.interval_us)
        flagged_before = lane.episode_points
        flagged, event, episode = False, NOTHING, np.int64(-1)
        if lane.points >= decision.warm_up:
            verdicts.score[n] = score
            flagged, event = track_episode(lane, window, decision, score, threshold, positions[n], np.nan)
            if lane.episode_points > 0 or event >= CLOSED:
                episode = lane.episode_position
        if event != NOTHING and score > 0:
            evidence = verdicts.event_evidence[events, 0]
            among = remembered(taken, GENERATION)
            weigh(evidence, store(tails, raw), tails, counts, 0, TAIL_SIZE, means[0], among, raw)
        if speaks and lane.points >= FRAME_AFTER:
            _remember(raw, taken, tails, counts, means, is_learned(lane, decision, threshold, flagged, level))
            lanes.taken[row] = taken + 1
        verdicts.threshold[n] = threshold
        verdicts.flagged[n], verdicts.event[n], verdicts.episode[n] = flagged, event, episode
        if event != NOTHING:
            verdicts.event_point[events] = n
            verdicts.event_opened_us[events] = lane.episode_us
            verdicts.event_peak[events] = lane.peak_score
            verdicts.event_points[events] = max(flagged_before, lane.episode_points)
            verdicts.event_novelty[events, 0] = score
            verdicts.event_levels[events, 0], verdicts.event_levels[events, 1] = levels_of(lane, window, decision)
            copy_window(lane, window, verdicts.event_window[events])
            events += 1
        lane.points += 1
    return events
