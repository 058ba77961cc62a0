"""The weights of a forecaster: a recurrent network with a linear head that gives a Student-t forecast per horizon.

From the last layer's h and the inputs of the step, the head gives for each horizon a raw location, log scale and number
of degrees of freedom. Training and scoring read them alike:

    mu = raw + inputs[0],  log_sigma = clip(raw, -9, 4) - 1,  nu = softplus(raw) + 1.1

`inputs[0]` is the normalised current value, so that an untrained network forecasts no change.

A network is *shared* or *joint*. A shared one forecasts one lane, whichever it is. A joint one takes the inputs of all
fields of a key at once, see `joint_inputs`, and forecasts each of its fields, whose names it knows. Either is of any
`Structure`; an LSTM and nothing else, unless told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from detectors.structure import PLAIN, Structure

Weights = NDArray[np.float32]

HORIZONS = (1, 2, 4, 8, 32, 96)
LOG_SIGMA_RANGE = (-9.0, 4.0)
LOG_SIGMA_SHIFT = -1.0
LEAST_NU = 1.1


FIELD_INPUTS = 8
"""Inputs of a joint network per field: its lane's but for those that tell the time, and whether the field is there."""
CLOCK_INPUTS = 3
"""Inputs that tell the time, the last of a lane; a joint network has them once, behind those of its fields."""
LEAST_FIELDS = 2
"""Of a joint network."""


def joint_inputs(fields: int) -> int:
    """Inputs per step of a joint network: `FIELD_INPUTS` of each field in the network's order, then the clock's."""
    return FIELD_INPUTS * fields + CLOCK_INPUTS


def weight_shapes(
    layers: int, hidden: int, inputs: int, horizons: tuple[int, ...], fields: int = 1, structure: Structure = PLAIN
) -> dict[str, tuple[int, ...]]:
    """Shape of every array of a network, by name; gates along the first axis in torch's order, an LSTM's i, f, g, o."""
    shapes: dict[str, tuple[int, ...]] = {}
    if structure.convolution:
        shapes["convolution_weight"] = (inputs, inputs, structure.convolution)
        shapes["convolution_bias"] = (inputs,)
    for layer in range(layers):
        cell = _cell_shapes(structure.cell, hidden if layer else inputs, hidden)
        shapes |= {f"{name}_l{layer}": shape for name, shape in cell.items()}
    seen = hidden + inputs + (hidden if structure.attention else 0)
    shapes["head_weight"] = (3 * fields * len(horizons), seen)
    shapes["head_bias"] = (3 * fields * len(horizons),)
    return shapes


def _cell_shapes(cell: str, below: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Shape of every array of a layer with so many inputs."""
    if cell == "gru":
        size = 3 * hidden
        return {"weight_ih": (size, below), "weight_hh": (size, hidden), "bias_ih": (size,), "bias_hh": (size,)}
    size = 4 * hidden
    shapes: dict[str, tuple[int, ...]] = {"weight_ih": (size, below), "weight_hh": (size, hidden), "bias": (size,)}
    if cell == "layer-norm-lstm":
        shapes |= {"gain_ih": (size,), "gain_hh": (size,), "gain_c": (hidden,), "bias_c": (hidden,)}
    return shapes


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A forecaster's size and weights; checked when made, and its arrays are read-only from then on.

    Attributes:
        layers: stacked recurrent layers.
        hidden: H, units per layer.
        inputs: I, inputs per step.
        horizons: steps ahead that are forecast, rising.
        arrays: float32, by the names of `weight_shapes`. `bias_l{k}` is the sum of torch's two biases. The rows of the
            head are mu of each horizon, then log sigma of each, then nu of each; of a joint network, each of these for
            the horizons of one field after another. Its columns are h, the inputs, and what attention recalls.
        fields: names of the fields of a joint network, in its order; none of a shared one.
        structure: kind of cell, and what is around it.

    Raises:
        ValueError: a size below 1, horizons that do not rise, fields that are not at least two of different names with
            as many inputs as they have, or an array that is missing, unknown, not float32, of another shape or not
            finite.
    """

    layers: int
    hidden: int
    inputs: int
    horizons: tuple[int, ...]
    arrays: Mapping[str, Weights]
    fields: tuple[str, ...] = ()
    structure: Structure = PLAIN

    def __post_init__(self) -> None:
        if min(self.layers, self.hidden, self.inputs) < 1:
            raise ValueError(
                f"found layers, hidden, inputs {self.layers, self.hidden, self.inputs}; expected 1 or more"
            )
        if not self.horizons or list(self.horizons) != sorted({h for h in self.horizons if h >= 1}):
            raise ValueError(f"found horizons {self.horizons}; expected whole numbers from 1 up, rising")
        if self.fields:
            self._check_fields()
        shapes = weight_shapes(
            self.layers, self.hidden, self.inputs, self.horizons, len(self.fields) or 1, self.structure
        )
        if self.arrays.keys() != shapes.keys():
            raise ValueError(f"found arrays {sorted(self.arrays)}; expected {sorted(shapes)}")
        checked = {name: _checked(name, self.arrays[name], shape) for name, shape in shapes.items()}
        object.__setattr__(self, "arrays", MappingProxyType(checked))

    @property
    def is_joint(self) -> bool:
        """Whether it forecasts the fields of a key together."""
        return bool(self.fields)

    def _check_fields(self) -> None:
        count = len(self.fields)
        if count < LEAST_FIELDS or len(set(self.fields)) < count:
            raise ValueError(
                f"found the fields {self.fields}; expected {LEAST_FIELDS} or more of different names in a joint network"
            )
        if self.inputs != joint_inputs(count):
            raise ValueError(
                f"found {self.inputs} inputs; expected {joint_inputs(count)} in a joint network of {count} fields"
            )


def _checked(name: str, array: Weights, shape: tuple[int, ...]) -> Weights:
    """A read-only contiguous copy of `array`, or ValueError."""
    if array.shape != shape or array.dtype != np.float32:
        raise ValueError(f"found {name} of shape {array.shape} and type {array.dtype}; expected {shape}, float32")
    if not np.isfinite(array).all():
        raise ValueError(f"found values in {name} that are not finite; expected finite weights")
    copy = np.array(array, order="C")
    copy.flags.writeable = False
    return copy
