"""A network's arrays as the kernel walks them: inputs along the first axis, and only the read-outs that it uses."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from detectors.groups import Joint
from detectors.network import Network
from detectors.recurrence import Weights

Array = NDArray[np.float32]

BAND = 0.95
"""Nominal coverage of the band around the expected value."""
SCORED_HORIZONS = (1, 8, 32, 96)
_BAND_STEPS = 256


def arrange(network: Network) -> Weights:
    """The network's arrays as the kernel walks them: gates i, f, o, g side by side, and only the read-outs it uses."""
    layers = [_ARRANGED[network.structure.cell](network, layer) for layer in range(network.layers)]
    matrices, vectors = zip(*layers, strict=True)
    size, places = network.hidden, range(max(len(network.fields), 1))
    used = [_scored_rows(network, place) for place in places]
    head = network.arrays["head_weight"]
    recalled = size + network.inputs  # first column for what attention recalls, if there is any
    kernel, kernel_bias = _arrange_convolution(network)
    freedom = 1.0 / np.linspace(0, 1, _BAND_STEPS).clip(1e-9)
    return Weights(
        input_layer=matrices[0],
        upper_layers=np.array(matrices[1:], np.float32).reshape(network.layers - 1, 2 * size, matrices[0].shape[1]),
        bias=np.array(vectors, np.float32),
        convolution=kernel,
        convolution_bias=kernel_bias,
        head=np.ascontiguousarray(head[used[0], :recalled].T, dtype=np.float32),
        head_bias=np.ascontiguousarray(network.arrays["head_bias"][used[0]], dtype=np.float32),
        recalled=np.ascontiguousarray(head[used, recalled:].transpose(0, 2, 1), dtype=np.float32),
        band=stdtrit(freedom, 0.5 + BAND / 2),
        mark=_mark(network),
    )


def _arrange_lstm(network: Network, layer: int) -> tuple[Array, Array]:
    """Matrix and vector of a layer, gates in the order i, f, o, g."""
    gates = _gates(network)
    return _stacked(network, layer)[:, gates].copy(), network.arrays[f"bias_l{layer}"][gates]


def _arrange_gru(network: Network, layer: int) -> tuple[Array, Array]:
    """Matrix and vector of a layer, see `detectors.gru`."""
    biases = [network.arrays[f"{name}_l{layer}"] for name in ("bias_ih", "bias_hh")]
    return _stacked(network, layer), np.concatenate(biases)


def _arrange_layer_norm(network: Network, layer: int) -> tuple[Array, Array]:
    """Matrix and vector of a layer, gates in the order i, f, o, g, see `detectors.layer_norm`."""
    gates = _gates(network)
    of_gates = [network.arrays[f"{name}_l{layer}"][gates] for name in ("bias", "gain_ih", "gain_hh")]
    of_units = [network.arrays[f"{name}_l{layer}"] for name in ("gain_c", "bias_c")]
    return _stacked(network, layer)[:, gates].copy(), np.concatenate([*of_gates, *of_units])


_ARRANGED = {"lstm": _arrange_lstm, "gru": _arrange_gru, "layer-norm-lstm": _arrange_layer_norm}


def _gates(network: Network) -> NDArray[np.int64]:
    """Places of the gates i, f, o, g among torch's i, f, g, o."""
    size = network.hidden
    gates: NDArray[np.int64] = np.r_[0:size, size : 2 * size, 3 * size : 4 * size, 2 * size : 3 * size]
    return gates


def _stacked(network: Network, layer: int) -> Array:
    """(I + H, J) input weights over recurrent weights."""
    parts = [network.arrays[f"{name}_l{layer}"].T for name in ("weight_ih", "weight_hh")]
    return np.array(np.concatenate(parts), np.float32, order="C")


def _arrange_convolution(network: Network) -> tuple[Array, Array]:
    """Matrix (K I, I), the oldest step first, and bias (I,); empty without a convolution."""
    if not network.structure.convolution:
        return np.empty((0, 0), np.float32), np.empty(0, np.float32)
    kernel = network.arrays["convolution_weight"].transpose(2, 1, 0).reshape(-1, network.inputs)
    return np.array(kernel, order="C"), network.arrays["convolution_bias"].copy()


def _mark(network: Network) -> np.int64:
    """What a lane keeps to know which network its state is of: 63 bits of the hash of sizes and weights, not 0."""
    described = (network.layers, network.hidden, network.horizons, *network.fields)
    if not network.structure.is_plain:  # what is plain keeps the mark of before there were structures
        described += (str(network.structure),)
    digest = hashlib.sha256(repr(described).encode())
    for name in sorted(network.arrays):
        digest.update(network.arrays[name].tobytes())
    return np.int64(int.from_bytes(digest.digest()[:8], "little") >> 1 or 1)


def arrange_jointly(network: Network, fields: Sequence[str], width: int) -> Joint | None:
    """What the kernel needs of a joint network besides `Weights`, for rows of fields in this order; else None."""
    if not network.is_joint:
        return None
    used = [_scored_rows(network, place) for place in range(len(network.fields))]
    seen = network.hidden + network.inputs
    return Joint(
        head=np.ascontiguousarray(network.arrays["head_weight"][used, :seen].transpose(0, 2, 1), dtype=np.float32),
        head_bias=np.ascontiguousarray(network.arrays["head_bias"][used], dtype=np.float32),
        places=np.array([network.fields.index(name) for name in fields]),
        width=width,
    )


def _scored_rows(network: Network, place: int) -> list[int]:
    """Rows of the head that scoring reads out, in the order of `SCORED_OUTPUTS`, for the field at a place."""
    count = len(network.horizons)
    kind = count * max(len(network.fields), 1)  # from mu to log sigma, and on to nu
    at = {horizon: count * place + index for index, horizon in enumerate(network.horizons)}
    return [at[h] for h in SCORED_HORIZONS] + [kind + at[h] for h in (1, 32, 96)] + [2 * kind + at[1]]
