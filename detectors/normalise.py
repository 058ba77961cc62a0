"""Causal normaliser of a lane, the value frame it is stored in, and its sampling interval.

A value x becomes z(x) = asinh((x - mean) / sd): linear near the mean, logarithmic in the tails, so that one outlier
neither saturates nor dominates. Mean and variance are exponentially weighted in increment form (West 1979), which stays
exact at a mean of 1e9 and a spread of 1, and innovations are clipped at 4 sd (a Huber update), so that one incident
hardly moves them.
"""

import math

import numpy as np

from detectors.compiled import compiled
from detectors.minifloat import load, store

MEMORY = 2000
"""Points over which mean and variance are weighted; before that, they are plain averages."""
CLIP_SD = 4.0
CLIP_AFTER = 30
FRAME_AFTER = 20
"""Points after which the value frame is frozen, once the values differ at all."""
MAGNITUDE_POINTS = 50
LEAST_SCALE = 1e-12
"""Least standard deviation, in units of the magnitude: far above what rounding makes of a constant stream."""
INTERVAL_MEMORY = 128
GAP_INTERVALS = 8.0
"""A step of time longer than this many sampling intervals is a gap."""
LARGEST_RUN = 32767

CONSTANTS = {
    "memory": float(MEMORY),
    "clip_sd": CLIP_SD,
    "clip_after": float(CLIP_AFTER),
    "frame_after": float(FRAME_AFTER),
    "magnitude_points": float(MAGNITUDE_POINTS),
    "least_scale": LEAST_SCALE,
    "interval_memory": float(INTERVAL_MEMORY),
    "gap_intervals": GAP_INTERVALS,
}
"""What decides the inputs of the network besides the values; a bundle names those that it was trained with."""


@compiled
def asinh(x):
    """Inverse hyperbolic sine in float64, accurate near 0."""
    a = abs(x)
    y = math.log1p(a + a * a / (1.0 + math.sqrt(a * a + 1.0)))
    return y if x >= 0 else -y


@compiled
def scale_of(lane):
    """Standard deviation of the lane's normaliser with its floor, in the units of the value."""
    floor = LEAST_SCALE * np.float64(lane.magnitude) + 1e-30
    return max(math.sqrt(lane.variance), floor)


@compiled
def update_moments(lane, value):
    """Take `value` into the exponentially weighted mean and variance of the lane."""
    seen = lane.points
    if seen == 0:
        lane.mean = value
        lane.variance = 0.0
        lane.previous = value
    else:
        weight = max(1.0 / (seen + 1.0), 1.0 / MEMORY)
        innovation = value - lane.mean
        sd = math.sqrt(lane.variance)
        if seen > CLIP_AFTER and sd > 0:
            innovation = min(max(innovation, -CLIP_SD * sd), CLIP_SD * sd)
        lane.mean += weight * innovation
        lane.variance = (1.0 - weight) * (lane.variance + weight * innovation * innovation)
    if seen < MAGNITUDE_POINTS:
        lane.magnitude = max(lane.magnitude, np.float32(abs(value)))


@compiled
def freeze_frame(lane, window):
    """Fix the lane's value frame once there is something to fix it by, and bring its window into the frame.

    Until then the window holds differences from the first value. A lane whose values have all been equal waits: its
    window is all zeros in any frame.
    """
    if lane.points == 0:
        lane.frame_mean = lane.previous
    elif lane.points >= FRAME_AFTER and lane.frame_scale == 0 and lane.variance > 0:
        shift = lane.frame_mean - lane.mean
        scale = math.sqrt(lane.variance) + 1e-9 * (1.0 + abs(lane.mean))
        for i in range(min(lane.points, len(window))):
            window[i] = store(window, (np.float64(load(window[i])) + shift) / scale)
        lane.frame_mean = lane.mean
        lane.frame_scale = np.float32(scale)


@compiled
def update_interval(lane, time_us):
    """Learn the sampling interval from the time since the lane's last point; True when that time is a gap.

    The interval is a running mean of the steps that are not gaps, so a regular stream gives its interval exactly. One
    gap after another makes it longer, step by step, so that a stream sampled more rarely for good is accepted.
    """
    if lane.points == 0:
        return False
    elapsed = np.float64(time_us - lane.last_time_us)
    interval = np.float64(lane.interval_us)
    steps = min(lane.points, INTERVAL_MEMORY)
    if interval > 0 and elapsed > GAP_INTERVALS * interval:
        if lane.run == 1:
            lane.interval_us = np.float32(interval + interval / INTERVAL_MEMORY)
        return True
    if interval == 0 or (steps < INTERVAL_MEMORY and elapsed * GAP_INTERVALS < interval):
        lane.interval_us = np.float32(elapsed)  # the first step, or the first steps were a gap
    else:
        lane.interval_us = np.float32(interval + (elapsed - interval) / steps)
    return False
