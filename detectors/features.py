"""What one new point tells: the inputs of the LSTM, and the derived streams whose novelty is scored.

`observe` is the front end of the scoring kernel, and `observe_inputs`, made of the same parts, that of training, by way
of `detectors.frontend`: both see the same inputs to the bit. Everything here is causal: it uses the point, its time and
the lane's own past.
"""

import math

import numpy as np

from detectors.compiled import compiled
from detectors.minifloat import load, store
from detectors.moving import push_mean, window_moments
from detectors.normalise import (
    LARGEST_RUN,
    asinh,
    freeze_frame,
    scale_of,
    update_interval,
    update_moments,
)
from detectors.seasons import look_back, tell_clock
from detectors.streams import (
    CHANGE_5,
    CHANGE_LAGS,
    INCREMENT,
    MEAN_10,
    MEAN_40,
    MEAN_RESIDUAL_8,
    MEAN_RESIDUAL_32,
    MEAN_RESIDUAL_96,
    MEAN_SEASONAL_DIFFERENCE,
    MEAN_SURPRISE_1,
    MEAN_SURPRISE_32,
    MEAN_SURPRISE_96,
    MEAN_WEEKLY_DIFFERENCE,
    RESIDUAL_1,
    RESIDUAL_8,
    RESIDUAL_32,
    RESIDUAL_96,
    SEASONAL_DIFFERENCE,
    SPREAD_10,
    SPREAD_40,
    VALUE,
    WEEKLY_DIFFERENCE,
)

INPUTS = 10
"""z of the value and of its increment; z of a day before the next point, its increment, a mask; z of a week before, a
mask; sine and cosine of the next point's time of day; weekend flag."""

_LAGS = tuple(CHANGE_LAGS.values())
SHORT, LONG = 10, 40
"""Points of the short and the long moving window."""
LARGEST_VALUE = 1e37
"""Larger values count as this one: float32 has no room for more, and an infinity would stay in the lane for ever."""
DERIVED_LIMIT = 1e12
"""Largest derived stream in frame units; tails of either width can hold it."""
FRAME_LIMIT = 1e6
LEAST_SPREAD = 1e-3
"""Added to a standard deviation in the frame, so that its logarithm is finite."""
_SURPRISE_LIMIT = 50.0
_MEAN_SURPRISE_LIMIT = 6.0


@compiled
def _limit(value):
    return min(max(value, -DERIVED_LIMIT), DERIVED_LIMIT)


@compiled
def _surprise(residual, log_scale):
    return min(max(residual * math.exp(-np.float64(log_scale)), -_SURPRISE_LIMIT), _SURPRISE_LIMIT)


@compiled
def _observe_residuals(lane, rings, plan, level, derived):
    """Residuals of the pending forecasts of 1, 8, 32 and 96 steps that this point answers, in normalised units.

    A forecast made before the last gap is not answered: its steps are not the ones that came. Nor is one of a lane that
    has been constant so far, in which the ripples of the forecast would be all there is to be rare.
    """
    points, run = lane.points, lane.run
    surprise_1 = surprise_32 = surprise_96 = 0.0
    if lane.variance == 0:
        return surprise_1, surprise_32, surprise_96
    if run >= 1:
        derived[RESIDUAL_1] = level - np.float64(lane.location_1)
        surprise_1 = _surprise(derived[RESIDUAL_1], lane.log_scale_1)
    if plan.forecast_8 >= 0 and run >= 8:
        derived[RESIDUAL_8] = level - np.float64(load(rings[plan.forecast_8 + points % 8]))
    # Of the forecasts kept every `stride` points, the one made `horizon` points ago or next after that: an earlier one
    # has been overwritten.
    if plan.forecast_32 >= 0 and run >= 32:
        i = -((32 - points) // plan.stride_32) % (32 // plan.stride_32)
        derived[RESIDUAL_32] = level - np.float64(load(rings[plan.forecast_32 + i]))
        if plan.log_scale_32 >= 0:
            surprise_32 = _surprise(derived[RESIDUAL_32], load(rings[plan.log_scale_32 + i]))
    if plan.forecast_96 >= 0 and run >= 96:
        i = -((96 - points) // plan.stride_96) % (96 // plan.stride_96)
        derived[RESIDUAL_96] = level - np.float64(load(rings[plan.forecast_96 + i]))
        if plan.log_scale_96 >= 0:
            surprise_96 = _surprise(derived[RESIDUAL_96], load(rings[plan.log_scale_96 + i]))
    return surprise_1, surprise_32, surprise_96


@compiled
def _observe_means(lane, rings, plan, surprises, derived):
    """Moving means of residuals and of surprises (residuals in units of their forecast scale)."""
    points = lane.points
    limit = _MEAN_SURPRISE_LIMIT
    surprise_1 = min(max(surprises[0], -limit), limit)
    surprise_32 = min(max(surprises[1], -limit), limit)
    surprise_96 = min(max(surprises[2], -limit), limit)
    if plan.mean_residual_8 >= 0:
        derived[MEAN_RESIDUAL_8] = push_mean(rings, plan.mean_residual_8, 10, points, derived[RESIDUAL_8])
    if plan.mean_residual_32 >= 0:
        derived[MEAN_RESIDUAL_32] = push_mean(rings, plan.mean_residual_32, 20, points, derived[RESIDUAL_32])
    if plan.mean_residual_96 >= 0:
        derived[MEAN_RESIDUAL_96] = push_mean(rings, plan.mean_residual_96, 40, points, derived[RESIDUAL_96])
    if plan.mean_surprise_1 >= 0:
        derived[MEAN_SURPRISE_1] = push_mean(rings, plan.mean_surprise_1, 10, points, surprise_1)
    if plan.mean_surprise_32 >= 0:
        derived[MEAN_SURPRISE_32] = push_mean(rings, plan.mean_surprise_32, 20, points, surprise_32)
    if plan.mean_surprise_96 >= 0:
        derived[MEAN_SURPRISE_96] = push_mean(rings, plan.mean_surprise_96, 40, points, surprise_96)
    if plan.mean_seasonal_difference >= 0 and not math.isnan(derived[SEASONAL_DIFFERENCE]):
        derived[MEAN_SEASONAL_DIFFERENCE] = push_mean(
            rings, plan.mean_seasonal_difference, 20, lane.seasonal_points, derived[SEASONAL_DIFFERENCE]
        )
    if plan.mean_weekly_difference >= 0 and not math.isnan(derived[WEEKLY_DIFFERENCE]):
        derived[MEAN_WEEKLY_DIFFERENCE] = push_mean(
            rings, plan.mean_weekly_difference, 40, lane.weekly_points, derived[WEEKLY_DIFFERENCE]
        )


@compiled
def _observe_changes(lane, window, framed, derived):
    """Changes over some points; none where there is a gap between, or where the window is too short."""
    for i in range(len(_LAGS)):
        lag = _LAGS[i]
        if lane.run >= lag and lag < len(window):
            derived[CHANGE_5 + i] = framed - np.float64(load(window[(lane.points - lag) % len(window)]))


@compiled
def _enter(lane, window, value, time_us, inputs):
    """Take a value into the lane's clock, normaliser and frame, and fill inputs 0 and 1.

    Returns:
        Whether there was a gap; the value within its limits; the standard deviation; the value in the frame; its level.
    """
    gap = update_interval(lane, time_us)
    if gap:
        lane.run = 0
    value = min(max(value, -LARGEST_VALUE), LARGEST_VALUE)
    update_moments(lane, value)
    freeze_frame(lane, window)
    scale = scale_of(lane)
    framed = value - lane.frame_mean
    if lane.frame_scale > 0:
        framed = min(max(framed / lane.frame_scale, -FRAME_LIMIT), FRAME_LIMIT)
    level = asinh((value - lane.mean) / scale)
    inputs[:] = 0.0
    inputs[0] = level
    if lane.run >= 1:
        inputs[1] = asinh((value - lane.previous) / scale)
    return gap, value, scale, framed, level


@compiled
def _leave(lane, value, time_us, inputs):
    """Fill the inputs that tell the time, and remember what the next point is compared with."""
    tell_clock(time_us + np.int64(lane.interval_us), inputs)
    lane.previous = value
    lane.last_time_us = time_us
    if lane.run < LARGEST_RUN:
        lane.run += 1


@compiled
def observe_inputs(lane, rings, window, plan, value, time_us, derived, inputs):
    """Take one finite value in as far as the inputs need it, several times as fast as `observe`, which see.

    The lane is of no use for scoring then; `derived` is written to and holds nothing of use.
    """
    _, value, scale, framed, _ = _enter(lane, window, value, time_us, inputs)
    look_back(lane, rings, plan, framed, time_us, scale, derived, inputs)
    _leave(lane, value, time_us, inputs)


@compiled
def observe(lane, rings, window, plan, value, time_us, derived, inputs):
    """Take one finite value into the lane's front end.

    Args:
        lane: scalars of the lane, updated in place but for the point count.
        rings, window: the lane's rows, updated in place.
        derived: (22,) float64, filled with the derived streams in the order of `STREAMS`.
        inputs: (10,) float32, filled with the inputs of the LSTM for forecasting what follows.

    Returns:
        True when the time since the lane's last point was a gap.
    """
    gap, value, scale, framed, level = _enter(lane, window, value, time_us, inputs)
    frozen = lane.frame_scale > 0

    derived[:] = 0.0
    derived[SEASONAL_DIFFERENCE] = derived[MEAN_SEASONAL_DIFFERENCE] = np.nan
    derived[WEEKLY_DIFFERENCE] = derived[MEAN_WEEKLY_DIFFERENCE] = np.nan
    if frozen:
        derived[VALUE] = _limit((value - lane.frame_mean) / lane.frame_scale)
        if lane.run >= 1:
            derived[INCREMENT] = _limit((value - lane.previous) / lane.frame_scale)
    surprises = _observe_residuals(lane, rings, plan, level, derived)
    look_back(lane, rings, plan, framed, time_us, scale, derived, inputs)
    _observe_means(lane, rings, plan, surprises, derived)

    window[lane.points % len(window)] = store(window, framed)
    if frozen:
        _observe_changes(lane, window, framed, derived)
    mean, spread = window_moments(window, lane.points + 1, SHORT)
    derived[MEAN_10], derived[SPREAD_10] = mean, math.log(spread + LEAST_SPREAD)
    mean, spread = window_moments(window, lane.points + 1, LONG)
    derived[MEAN_40], derived[SPREAD_40] = mean, math.log(spread + LEAST_SPREAD)

    _leave(lane, value, time_us, inputs)
    return gap
