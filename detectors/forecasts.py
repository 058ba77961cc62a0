"""The forecasts of a lane: put away where the points that answer them will look, and told with each point."""

import math

import numpy as np

from detectors.compiled import compiled
from detectors.features import observe
from detectors.minifloat import store
from detectors.normalise import scale_of


@compiled
def keep_forecasts(lane, rings, plan, inputs, out):
    """Put the new forecasts where the points that answer them will look."""
    level = inputs[0]
    points = lane.points
    lane.location_1 = out[0] + level
    lane.log_scale_1 = min(max(out[4], np.float32(-9)), np.float32(4)) - np.float32(1)
    lane.freedom_1 = np.float32(math.log1p(math.exp(min(out[7], 30.0))) + 1.1)
    if plan.forecast_8 >= 0:
        rings[plan.forecast_8 + points % 8] = store(rings, out[1] + level)
    if plan.forecast_32 >= 0 and points % plan.stride_32 == 0:
        i = (points // plan.stride_32) % (32 // plan.stride_32)
        rings[plan.forecast_32 + i] = store(rings, out[2] + level)
        if plan.log_scale_32 >= 0:
            scale = min(max(out[5], np.float32(-9)), np.float32(4)) - np.float32(1)
            rings[plan.log_scale_32 + i] = store(rings, scale)
    if plan.forecast_96 >= 0 and points % plan.stride_96 == 0:
        i = (points // plan.stride_96) % (96 // plan.stride_96)
        rings[plan.forecast_96 + i] = store(rings, out[3] + level)
        if plan.log_scale_96 >= 0:
            scale = min(max(out[6], np.float32(-9)), np.float32(4)) - np.float32(1)
            rings[plan.log_scale_96 + i] = store(rings, scale)


@compiled
def _forecast(lane, band):
    """(expected, lower, upper) of the lane's next value, in its units."""
    scale = scale_of(lane)
    place = min(max(1.0 / np.float64(lane.freedom_1), 0.0), 1.0) * (len(band) - 1)
    i = min(int(place), len(band) - 2)
    reach = (band[i] + (band[i + 1] - band[i]) * (place - i)) * math.exp(np.float64(lane.log_scale_1))
    location = min(max(np.float64(lane.location_1), -50.0), 50.0)
    return (
        lane.mean + scale * math.sinh(location),
        lane.mean + scale * math.sinh(max(location - reach, -50.0)),
        lane.mean + scale * math.sinh(min(location + reach, 50.0)),
    )


@compiled
def receive(lane, rings, window, plan, band, value, time_us, derived, inputs):
    """Compare a point with its pending forecast, then take it into its lane's front end.

    Returns:
        Whether it came after a gap; the expected value and its band; the surprise. The last four are NaN without
        forecast.
    """
    expected = lower = upper = surprise = np.nan
    if lane.run > 0:
        expected, lower, upper = _forecast(lane, band)
    location, log_scale = np.float64(lane.location_1), np.float64(lane.log_scale_1)
    gap = observe(lane, rings, window, plan, value, time_us, derived, inputs)
    if gap:
        expected = lower = upper = np.nan
    elif not math.isnan(expected):
        surprise = (np.float64(inputs[0]) - location) * math.exp(-log_scale)
    return gap, expected, lower, upper, surprise


@compiled
def spread_of(lane):
    """(log scale, degrees of freedom) of the pending one-step forecast; NaN where its lane has been constant so far.

    What a constant lane makes of a forecast is the rounding of numbers, and no measure of it.
    """
    if lane.run == 0 or lane.variance == 0:
        return np.float32(np.nan), np.float32(np.nan)
    return lane.log_scale_1, lane.freedom_1
