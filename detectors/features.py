"""What one new point tells: the inputs of the LSTM, and the derived streams whose novelty is scored.

`observe` is the front end of the scoring kernel, and `observe_inputs`, made of the same parts, that of training, by way
of `detectors.frontend`: both see the same inputs to the bit. Everything here is causal: it uses the point, its time and
the lane's own past.
"""

import math

import numpy as np

from detectors.compiled import compiled
from detectors.layout import CHANGE_LAGS, STREAMS
from detectors.lookback import DAY_US, WEEK_US, leave_slot, look_up, slot_at
from detectors.minifloat import load, store
from detectors.normalise import (
    LARGEST_RUN,
    asinh,
    freeze_frame,
    scale_of,
    update_interval,
    update_moments,
)

INPUTS = 10
"""z of the value and of its increment; z of a day before the next point, its increment, a mask; z of a week before, a
mask; sine and cosine of the next point's time of day; weekend flag."""

(
    VALUE, INCREMENT,
    RESIDUAL_1, RESIDUAL_8, RESIDUAL_32, RESIDUAL_96,
    MEAN_RESIDUAL_8, MEAN_RESIDUAL_32, MEAN_RESIDUAL_96,
    MEAN_SURPRISE_1, MEAN_SURPRISE_32, MEAN_SURPRISE_96,
    SPREAD_10, SPREAD_40, MEAN_10, MEAN_40,
    SEASONAL_DIFFERENCE, MEAN_SEASONAL_DIFFERENCE,
    CHANGE_5, CHANGE_20,
    WEEKLY_DIFFERENCE, MEAN_WEEKLY_DIFFERENCE,
) = range(len(STREAMS))  # fmt: skip
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
def _sum_deviations(ring, first, count, centre, power):
    """Sum of (value - centre) ** power, power 1 or 2, over `count` elements; four strands in a fixed order."""
    a = b = c = d = 0.0
    whole = count - count % 4
    for i in range(first, first + whole, 4):
        p = np.float64(load(ring[i])) - centre
        q = np.float64(load(ring[i + 1])) - centre
        r = np.float64(load(ring[i + 2])) - centre
        s = np.float64(load(ring[i + 3])) - centre
        if power == 2:
            p, q, r, s = p * p, q * q, r * r, s * s
        a, b, c, d = a + p, b + q, c + r, d + s
    for i in range(first + whole, first + count):
        p = np.float64(load(ring[i])) - centre
        a += p * p if power == 2 else p
    return (a + b) + (c + d)


@compiled
def _push_mean(rings, offset, length, points, value):
    """Put `value` into a moving-mean ring and give the mean of the newest `length` values."""
    rings[offset + points % length] = store(rings, value)
    count = min(points + 1, length)
    return _sum_deviations(rings, offset, count, 0.0, 1) / count


@compiled
def window_moments(window, points, length):
    """(mean, standard deviation) of the newest `length` of the `points` values put into the window so far."""
    size = len(window)
    count = min(points, length)
    first = (points - count) % size
    straight = min(count, size - first)
    wrapped = count - straight
    mean = (_sum_deviations(window, first, straight, 0.0, 1) + _sum_deviations(window, 0, wrapped, 0.0, 1)) / count
    squares = _sum_deviations(window, first, straight, mean, 2) + _sum_deviations(window, 0, wrapped, mean, 2)
    return mean, math.sqrt(squares / count)


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
        derived[MEAN_RESIDUAL_8] = _push_mean(rings, plan.mean_residual_8, 10, points, derived[RESIDUAL_8])
    if plan.mean_residual_32 >= 0:
        derived[MEAN_RESIDUAL_32] = _push_mean(rings, plan.mean_residual_32, 20, points, derived[RESIDUAL_32])
    if plan.mean_residual_96 >= 0:
        derived[MEAN_RESIDUAL_96] = _push_mean(rings, plan.mean_residual_96, 40, points, derived[RESIDUAL_96])
    if plan.mean_surprise_1 >= 0:
        derived[MEAN_SURPRISE_1] = _push_mean(rings, plan.mean_surprise_1, 10, points, surprise_1)
    if plan.mean_surprise_32 >= 0:
        derived[MEAN_SURPRISE_32] = _push_mean(rings, plan.mean_surprise_32, 20, points, surprise_32)
    if plan.mean_surprise_96 >= 0:
        derived[MEAN_SURPRISE_96] = _push_mean(rings, plan.mean_surprise_96, 40, points, surprise_96)
    if plan.mean_seasonal_difference >= 0 and not math.isnan(derived[SEASONAL_DIFFERENCE]):
        derived[MEAN_SEASONAL_DIFFERENCE] = _push_mean(
            rings, plan.mean_seasonal_difference, 20, lane.seasonal_points, derived[SEASONAL_DIFFERENCE]
        )
    if plan.mean_weekly_difference >= 0 and not math.isnan(derived[WEEKLY_DIFFERENCE]):
        derived[MEAN_WEEKLY_DIFFERENCE] = _push_mean(
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
def _observe_day(lane, rings, plan, framed, time_us, scale, derived, inputs):
    """Look back one day: inputs 2 to 4 and the seasonal difference; then take this point into its slot."""
    interval = np.int64(lane.interval_us)
    middle = time_us + interval // 2
    slots = plan.day_slots
    slot = slot_at(middle, slots, DAY_US)
    if lane.day_count > 0 and lane.day_slot != slot:
        mean = lane.day_sum / np.float32(lane.day_count)
        lane.day_replaced = leave_slot(
            rings, plan.day, slots, DAY_US, lane.day_slot, mean, lane.last_time_us, interval, slot
        )
        lane.day_sum, lane.day_count = np.float32(0.0), 0
    left = (slot - 1) % slots
    now, have_now = look_up(rings, plan.day, slots, DAY_US, middle, left, lane.day_replaced)
    coming, have_coming = look_up(rings, plan.day, slots, DAY_US, middle + interval, left, lane.day_replaced)
    lane.day_slot = slot
    if lane.day_count < LARGEST_RUN:
        lane.day_sum += np.float32(framed)
        lane.day_count += 1
    if interval * 2 > DAY_US:
        return
    offset = lane.frame_mean - lane.mean
    frame = np.float64(lane.frame_scale)
    if have_now:
        derived[SEASONAL_DIFFERENCE] = framed - now
    if have_coming:
        ahead = asinh((offset + frame * coming) / scale)
        inputs[2] = ahead
        if have_now:
            inputs[3] = ahead - asinh((offset + frame * now) / scale)
        inputs[4] = 1.0


@compiled
def _observe_week(lane, rings, plan, framed, time_us, scale, derived, inputs):
    """Look back one week: inputs 5 and 6 and the weekly difference; then take this point into its slot."""
    interval = np.int64(lane.interval_us)
    middle = time_us + interval // 2
    slots = plan.week_slots
    slot = slot_at(middle, slots, WEEK_US)
    if lane.week_count > 0 and lane.week_slot != slot:
        mean = lane.week_sum / np.float32(lane.week_count)
        lane.week_replaced = leave_slot(
            rings, plan.week, slots, WEEK_US, lane.week_slot, mean, lane.last_time_us, interval, slot
        )
        lane.week_sum, lane.week_count = np.float32(0.0), 0
    left = (slot - 1) % slots
    now, have_now = look_up(rings, plan.week, slots, WEEK_US, middle, left, lane.week_replaced)
    coming, have_coming = look_up(rings, plan.week, slots, WEEK_US, middle + interval, left, lane.week_replaced)
    lane.week_slot = slot
    if lane.week_count < LARGEST_RUN:
        lane.week_sum += np.float32(framed)
        lane.week_count += 1
    if interval * 2 > WEEK_US:
        return
    if have_now:
        derived[WEEKLY_DIFFERENCE] = framed - now
    if have_coming:
        inputs[5] = asinh((lane.frame_mean - lane.mean + np.float64(lane.frame_scale) * coming) / scale)
        inputs[6] = 1.0


@compiled
def tell_clock(time_us, inputs):
    """Fill the inputs that tell a point's time, in UTC: sine and cosine of the time of day, and the weekend flag."""
    phase = 2.0 * math.pi * (time_us % DAY_US) / DAY_US
    inputs[7] = math.sin(phase)
    inputs[8] = math.cos(phase)
    inputs[9] = 1.0 if (time_us // DAY_US + 3) % 7 >= 5 else 0.0


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
def _look_back(lane, rings, plan, framed, time_us, scale, derived, inputs):
    """Look back a day and a week, once there is a frame and an interval to do so by."""
    if lane.frame_scale > 0 and lane.interval_us > 0:
        if plan.day >= 0:
            _observe_day(lane, rings, plan, framed, time_us, scale, derived, inputs)
        if plan.week >= 0:
            _observe_week(lane, rings, plan, framed, time_us, scale, derived, inputs)


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
    _look_back(lane, rings, plan, framed, time_us, scale, derived, inputs)
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
    _look_back(lane, rings, plan, framed, time_us, scale, derived, inputs)
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
