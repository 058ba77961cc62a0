"""Networks of every structure by their equations, in numpy and float64, one step after another."""

from itertools import product

import numpy as np
from numpy.typing import NDArray

from detectors.network import Network
from detectors.structure import Structure

Floats = NDArray[np.float64]
STRUCTURES = [
    Structure("gru"),
    Structure("layer-norm-lstm"),
    Structure(convolution=3),
    Structure(attention=4),
    Structure("gru", convolution=2, attention=2),
]
"""One of each kind, and one of several together."""
ALL = [Structure(*parts) for parts in product(("lstm", "gru", "layer-norm-lstm"), (0, 2, 3), (0, 2, 5))]


def sigmoid(x: Floats) -> Floats:
    """The logistic function."""
    return 1.0 / (1.0 + np.exp(-x))


def layer_norm(x: Floats, gain: Floats) -> Floats:
    """Ba, Kiros & Hinton 2016, equation 4, without bias."""
    return np.asarray(gain * (x - x.mean()) / np.sqrt(((x - x.mean()) ** 2).mean() + 1e-5))


def lstm(x: Floats, h: Floats, c: Floats, arrays: dict[str, Floats]) -> tuple[Floats, Floats]:
    """(h, c) after a step; gates in torch's order."""
    i, f, g, o = np.split(arrays["weight_ih"] @ x + arrays["weight_hh"] @ h + arrays["bias"], 4)
    cell = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(cell), cell


def gru(x: Floats, h: Floats, c: Floats, arrays: dict[str, Floats]) -> tuple[Floats, Floats]:
    """(h, c) after a step, c as it was."""
    r, z, n = np.split(arrays["weight_ih"] @ x + arrays["bias_ih"], 3)
    r_h, z_h, n_h = np.split(arrays["weight_hh"] @ h + arrays["bias_hh"], 3)
    r, z = sigmoid(r + r_h), sigmoid(z + z_h)
    return (1 - z) * np.tanh(n + r * n_h) + z * h, c


def layer_norm_lstm(x: Floats, h: Floats, c: Floats, arrays: dict[str, Floats]) -> tuple[Floats, Floats]:
    """(h, c) after a step; equations 20 to 22."""
    from_x = layer_norm(arrays["weight_ih"] @ x, arrays["gain_ih"])
    from_h = layer_norm(arrays["weight_hh"] @ h, arrays["gain_hh"])
    i, f, g, o = np.split(from_x + from_h + arrays["bias"], 4)
    cell = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(layer_norm(cell, arrays["gain_c"]) + arrays["bias_c"]), cell


CELLS = {"lstm": lstm, "gru": gru, "layer-norm-lstm": layer_norm_lstm}


def recalled(states: list[Floats], count: int) -> Floats:
    """What attention makes of the states up to now, the newest last."""
    now = states[-1]
    before = np.array([*[np.zeros_like(now)] * count, *states[:-1]])[-count:]
    weights = np.exp(before @ now / np.sqrt(len(now)))
    return np.asarray((weights / weights.sum()) @ before)


def read_outs(network: Network, inputs: Floats) -> Floats:
    """(steps, read-outs) of the head, over inputs (steps, I), from a state of zeros."""
    structure = network.structure
    arrays = {name: array.astype(np.float64) for name, array in network.arrays.items()}
    layers = [
        {name.removesuffix(f"_l{layer}"): array for name, array in arrays.items() if name.endswith(f"_l{layer}")}
        for layer in range(network.layers)
    ]
    carried = [(np.zeros(network.hidden), np.zeros(network.hidden)) for _ in layers]
    states: list[Floats] = []
    told = []
    for step, given in enumerate(inputs):
        x = given
        if structure.convolution:
            kernel = arrays["convolution_weight"]
            past = [inputs[step - back] if step >= back else np.zeros(len(x)) for back in range(structure.convolution)]
            x = np.tanh(
                arrays["convolution_bias"] + sum(kernel[:, :, -1 - back] @ old for back, old in enumerate(past))
            )
        for layer, own in enumerate(layers):
            carried[layer] = CELLS[structure.cell](x, *carried[layer], own)
            x = carried[layer][0]
        states.append(x)
        seen = [x, given, *([recalled(states, structure.attention)] if structure.attention else [])]
        told.append(arrays["head_weight"] @ np.concatenate(seen) + arrays["head_bias"])
    return np.array(told)
