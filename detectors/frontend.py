"""The scoring path's front end over whole series, for training: the same inputs and the same normaliser, to the bit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.features import INPUTS, observe_inputs
from detectors.layout import allocate, lane_dtype, make_plan, view_lanes
from detectors.normalise import scale_of
from detectors.profiles import PROFILES, Profile
from detectors.streams import STREAMS


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
    seen = _see(values, time_us, profile)
    return seen.inputs, seen.mean, seen.sd


@dataclass(frozen=True, slots=True)
class Seen:
    """What the front end made of a series of n points.

    Attributes:
        inputs: (n, INPUTS) float32, of the LSTM.
        mean, sd: (n,) float64, of the normaliser after each point.
        run: (n,) int64, points since the last gap, this one included; saturating.
    """

    inputs: NDArray[np.float32]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    run: NDArray[np.int64]


def see_series(
    values: NDArray[np.float64], time_us: NDArray[np.int64], profile: Profile = PROFILES["balanced"]
) -> Seen:
    """One series (n,) as the front end sees it, gaps included; arguments as for `series_inputs`."""
    seen = _see(values[None], time_us[None], profile)
    return Seen(seen.inputs[0], seen.mean[0], seen.sd[0], seen.run[0])


def _see(values: NDArray[np.float64], time_us: NDArray[np.int64], profile: Profile) -> Seen:
    """The arrays of `Seen`, of all series at once."""
    series, steps = values.shape
    inputs = np.empty((series, steps, INPUTS), np.float32)
    mean, scale = np.empty((series, steps)), np.empty((series, steps))
    run = np.empty((series, steps), np.int64)
    slab = allocate(lane_dtype(profile, 1, 1), series)
    _observe_series(
        view_lanes(slab), make_plan(profile, 1, 1), values, time_us, np.empty(len(STREAMS)), inputs, mean, scale, run
    )
    return Seen(inputs, mean, scale, run)


@compiled
def _observe_series(lanes, plan, values, time_us, derived, inputs, mean, scale, run):
    for row in range(values.shape[0]):
        lane, rings, window = lanes.scalars[row], lanes.rings[row], lanes.window[row]
        for step in range(values.shape[1]):
            observe_inputs(lane, rings, window, plan, values[row, step], time_us[row, step], derived, inputs[row, step])
            mean[row, step], scale[row, step], run[row, step] = lane.mean, scale_of(lane), lane.run
            lane.points += 1
