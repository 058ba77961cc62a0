"""From score to verdict: the lane's threshold, and episodes that report a run of flagged points once.

An alert needs a score at or above the threshold, and either rest since the last alert or a score clearly above it. An
alert outside an episode opens one; inside, it worsens it. An episode closes after some quiet points. If the level by
then is another than before it opened, and steady, the episode was a level shift.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.features import LONG
from detectors.lookback import DAY_US
from detectors.moving import window_moments
from detectors.normalise import CLIP_AFTER

NOTHING, OPENED, WORSENED, CLOSED, CLOSED_AS_LEVEL_SHIFT = range(5)
"""What a point did to its lane's episode."""
LONGEST_REST = 32_000
LEAST_RATE = 1e-300
"""Of false alarms per point: lower ones count as this, which is rarer than any table goes."""
FAR_LEVEL = 2.8
"""Normalised level, asinh of standard deviations from the mean, that is far outside: a little over 8 of them."""


class Decision(NamedTuple):
    """How scores become verdicts; as the kernel takes it."""

    log_ages: NDArray[np.float64]  # (A,) log10 of points seen, rising
    log_rates: NDArray[np.float64]  # (R,) log10 of false alarms per point, rising; a single one is that of every lane
    thresholds: NDArray[np.float64]  # (A, R) of a lane of that age and rate; between them it is interpolated
    rate_per_us: float  # false alarms per microsecond of a lane, where its rate per point follows from its interval
    warm_up: int = 150  # points before a lane may be flagged
    rest: int = 120  # points after an alert during which only a clearly worse one is reported
    margin: float = 0.3  # of score, that makes an alert clearly worse
    quiet: int = 30  # points without a flag after which an episode closes
    clear: float = 0.8  # of score above the threshold, that makes an episode a clear incident
    accept: int = 60  # flagged points after which a clear incident is learned as the new normal
    shift_spreads: float = 4.0  # spreads of the window that the level must have moved by to be a level shift
    shift_range: float = 1.5  # and standard deviations of the lane


@compiled
def _place(knots, at):
    """(i, share) of the way from knot i to the next at which `at` lies; beyond the outermost knots it is held."""
    i = 0
    while i < len(knots) - 2 and at >= knots[i + 1]:
        i += 1
    return i, min(max((at - knots[i]) / (knots[i + 1] - knots[i]), 0.0), 1.0)


@compiled
def threshold_of(decision, points, interval_us):
    """Threshold of a lane that has seen so many points, at its sampling interval so far.

    With a rate per time, the points of a lane bear the alarms of the time between them. A lane whose interval is not
    known yet, 0, has the threshold of the lowest rate.
    """
    thresholds = decision.thresholds
    i, along = _place(decision.log_ages, math.log10(max(points, 1)))
    if len(decision.log_rates) == 1:
        younger, older = thresholds[i, 0], thresholds[i + 1, 0]
    else:
        log_rate = math.log10(max(decision.rate_per_us * np.float64(interval_us), LEAST_RATE))
        j, across = _place(decision.log_rates, log_rate)
        younger = thresholds[i, j] + (thresholds[i, j + 1] - thresholds[i, j]) * across
        older = thresholds[i + 1, j] + (thresholds[i + 1, j + 1] - thresholds[i + 1, j]) * across
    return younger + (older - younger) * along


@compiled
def _is_level_shift(lane, window, decision, from_day_before):
    """Whether the window, all of it behind the last flagged point, lies steadily where the lane does not usually go.

    A level within the lane's usual range is none. Nor is that of another time of day: where the day before is known,
    and was before the episode, the level must differ from it as well.
    """
    level, spread = window_moments(window, lane.points + 1, min(decision.quiet, len(window)))
    allowed = decision.shift_spreads * max(np.float64(lane.spread_before), spread, 1e-6)
    usual = decision.shift_range * math.sqrt(lane.variance) / max(np.float64(lane.frame_scale), 1e-30)
    moved = abs(level - lane.level_before)
    if not math.isnan(from_day_before) and lane.last_time_us - lane.episode_us < DAY_US:
        moved = min(moved, abs(from_day_before))
    return moved > max(allowed, usual)


@compiled
def track_episode(lane, window, decision, score, threshold, position, from_day_before):
    """(flagged, event) of a scored point; updates the lane's episode.

    Called before the point is counted, with its value already in the window.

    Args:
        from_day_before: difference of the newest values from those of one day before, in frame units; NaN: unknown.
    """
    exceeds = score >= threshold
    if 0 < lane.since_alert < LONGEST_REST:
        lane.since_alert += 1
    rested = lane.since_alert == 0 or lane.since_alert > decision.rest + 1
    open_ = lane.episode_points > 0
    if exceeds and (score > lane.alert_score + decision.margin or (rested and not open_)):
        lane.since_alert = 1
        lane.alert_score = score
        lane.peak_score = max(lane.peak_score, score) if open_ else score
        lane.episode_points += 1
        lane.quiet = 0
        if open_:
            return True, WORSENED
        lane.episode_position = position
        lane.episode_us = lane.last_time_us
        lane.level_before, lane.spread_before = window_moments(window, lane.points, min(LONG, len(window) - 1))
        return True, OPENED
    if not open_:
        return False, NOTHING
    if exceeds:
        lane.peak_score = max(lane.peak_score, score)
        lane.episode_points += 1
        lane.quiet = 0
        return True, NOTHING
    lane.quiet += 1
    if lane.quiet < decision.quiet:
        return False, NOTHING
    lane.episode_points = 0
    return False, CLOSED_AS_LEVEL_SHIFT if _is_level_shift(lane, window, decision, from_day_before) else CLOSED


@compiled
def levels_of(lane, window, decision):
    """Level before the lane's newest episode and the newest one, in the units of the value; as for a level shift.

    Called before the newest point is counted.
    """
    scale = np.float64(lane.frame_scale) if lane.frame_scale > 0 else 1.0
    level, _ = window_moments(window, lane.points + 1, min(decision.quiet, len(window)))
    return lane.frame_mean + scale * np.float64(lane.level_before), lane.frame_mean + scale * level


@compiled
def is_learned(lane, decision, threshold, flagged, level):
    """Whether a judged point enters what its lane remembers.

    A clear incident does not, so that the next one like it is as novel; once it has lasted, it is the new normal. A
    lane that is still warming has no verdicts to go by, and leaves out values far outside its normaliser.
    """
    if lane.points < decision.warm_up:
        return lane.points < CLIP_AFTER or abs(level) < FAR_LEVEL
    clear = lane.peak_score >= threshold + decision.clear
    return not (flagged and clear and lane.episode_points <= decision.accept)
