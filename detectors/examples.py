"""What the forecaster learns from and is judged by: inputs, and the values that came later.

A target is a later value in the normalised units of the step that forecasts it, asinh((x[t + h] - mean[t]) / sd[t]).
Series are split by time: what lies in the last fifth of a series is never trained on, and validation judges the last
fifth of other series, which the network has read from their start.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.network import HORIZONS
from detectors.profiles import PROFILES

SETTLING_POINTS = 40
"""First points of a series, while its normaliser settles; nothing is learned from forecasts made there."""
HELD_BACK = 5
"""One part in this many of each series, the last, is held back from training."""
REBUILT_STEPS = PROFILES["balanced"].window
"""Steps that a state is rebuilt from where another network takes a lane over."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Series as the network sees them.

    Attributes:
        inputs: (series, steps, inputs) float32.
        targets: (series, steps, horizons) float32, NaN where nothing is to be learned or judged.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]

    def rows(self, start: int, stop: int) -> "Examples":
        """The series from `start` up to `stop`."""
        return Examples(self.inputs[start:stop], self.targets[start:stop])


def training_examples(
    values: NDArray[np.float64],
    inputs: NDArray[np.float32],
    mean: NDArray[np.float64],
    sd: NDArray[np.float64],
    horizons: tuple[int, ...] = HORIZONS,
) -> Examples:
    """The first four fifths of each series; no target lies beyond them, none is forecast from the first 40 points.

    Args:
        values: (series, steps).
        inputs: (series, steps, inputs).
        mean: (series, steps), of the normaliser after each step.
        sd: (series, steps), likewise, above 0.
        horizons: steps ahead.

    Raises:
        ValueError: the series are too short for the longest horizon.
    """
    cut = _first_held_back(values, horizons)
    targets = _targets(values[:, :cut], mean[:, :cut], sd[:, :cut], horizons)
    targets[:, :SETTLING_POINTS] = np.nan
    return Examples(inputs[:, :cut], targets)


def validation_examples(
    values: NDArray[np.float64],
    inputs: NDArray[np.float32],
    mean: NDArray[np.float64],
    sd: NDArray[np.float64],
    horizons: tuple[int, ...] = HORIZONS,
) -> Examples:
    """Whole series, with targets for what is forecast within the last fifth alone; see `training_examples`."""
    targets = _targets(values, mean, sd, horizons)
    targets[:, : _first_held_back(values, horizons)] = np.nan
    return Examples(inputs, targets)


def _first_held_back(values: NDArray[np.float64], horizons: tuple[int, ...]) -> int:
    """Index of the first point of the last part."""
    steps = int(values.shape[1])
    held_back = steps // HELD_BACK
    if min(held_back, steps - held_back - SETTLING_POINTS) <= max(horizons):
        least = HELD_BACK * (max(horizons) + SETTLING_POINTS)
        raise ValueError(
            f"found series of {steps} points; expected at least {least} for horizons up to {max(horizons)}"
        )
    return steps - held_back


def _targets(
    values: NDArray[np.float64], mean: NDArray[np.float64], sd: NDArray[np.float64], horizons: tuple[int, ...]
) -> NDArray[np.float32]:
    """Targets (series, steps, horizons), NaN beyond the end."""
    out = np.full((*values.shape, len(horizons)), np.nan, np.float32)
    for k, horizon in enumerate(horizons):
        out[:, :-horizon, k] = np.arcsinh((values[:, horizon:] - mean[:, :-horizon]) / sd[:, :-horizon])
    return out
