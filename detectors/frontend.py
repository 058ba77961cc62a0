"""The scoring path's front end over whole series, for training: the same inputs and the same normaliser, to the bit."""

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.features import INPUTS, observe
from detectors.layout import PROFILES, STREAMS, Profile, allocate, lane_dtype, make_plan, view_lanes
from detectors.normalise import scale_of


def series_inputs(
    values: NDArray[np.float64], time_us: NDArray[np.int64], profile: Profile = PROFILES["balanced"]
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """What the LSTM is given at each step of each series, and the normaliser there.

    Args:
        values: (series, steps), finite.
        time_us: (series, steps) event time in microseconds, rising.
        profile: whose look-back slots to use.

    Returns:
        inputs (series, steps, INPUTS); mean and standard deviation (series, steps) of the normaliser after the step.
    """
    series, steps = values.shape
    inputs = np.empty((series, steps, INPUTS), np.float32)
    mean, scale = np.empty((series, steps)), np.empty((series, steps))
    slab = allocate(lane_dtype(profile, 1, 1), series)
    _observe_series(view_lanes(slab), make_plan(profile, 1, 1), values, time_us, inputs, mean, scale)
    return inputs, mean, scale


@compiled
def _observe_series(lanes, plan, values, time_us, inputs, mean, scale):
    derived = np.empty(len(STREAMS))
    for row in range(values.shape[0]):
        lane, rings, window = lanes.scalars[row], lanes.rings[row], lanes.window[row]
        for step in range(values.shape[1]):
            observe(lane, rings, window, plan, values[row, step], time_us[row, step], derived, inputs[row, step])
            mean[row, step], scale[row, step] = lane.mean, scale_of(lane)
            lane.points += 1
