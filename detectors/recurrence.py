"""The recurrent network with carried state: from a block of lanes, a step, and back into their rows.

`step_network` alone knows what kind of cell the network has. All else here holds for any that carries (h, c).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.layout import Plan
from detectors.lstm import lstm_step, lstm_step_4, read_out
from detectors.minifloat import load, store

BLOCK = 4
"""Lanes that step through the LSTM together."""


class Weights(NamedTuple):
    """The network as the kernel walks it; see `detectors.lstm`."""

    input_layer: NDArray[np.float32]  # (INPUTS + H, 4H)
    upper_layers: NDArray[np.float32]  # (layers - 1, H + H, 4H)
    bias: NDArray[np.float32]  # (layers, 4H)
    head: NDArray[np.float32]  # (H + INPUTS, SCORED_OUTPUTS)
    head_bias: NDArray[np.float32]  # (SCORED_OUTPUTS,)
    band: NDArray[np.float64]  # Student-t quantile of the band at equal steps of 1 / degrees of freedom from 0 to 1
    mark: np.int64  # tells networks apart; never 0


class Scratch(NamedTuple):
    """Where a block of rows of (h, c) steps."""

    h: NDArray[np.float32]  # (layers, BLOCK, H)
    c: NDArray[np.float32]  # (layers, BLOCK, H)
    gates: NDArray[np.float32]  # (BLOCK, 4H)


def make_scratch(plan: Plan) -> Scratch:
    """Scratch for a network of the plan's size."""
    layers, size = plan.layers, plan.hidden
    return Scratch(
        np.empty((layers, BLOCK, size), np.float32),
        np.empty((layers, BLOCK, size), np.float32),
        np.empty((BLOCK, 4 * size), np.float32),
    )


@compiled
def step_network(inputs, count, plan, weights, scratch):
    """One step of the network for the first `count` lanes of the scratch, in place: the same bits in any block.

    Args:
        inputs: (count or more, I) of the network.
        count: lanes, 1 to `BLOCK`.
        plan, weights: of the network.
        scratch: `h` and `c` are overwritten; `gates` is room.
    """
    h, c, gates = scratch.h, scratch.c, scratch.gates
    for layer in range(plan.layers):
        x = inputs if layer == 0 else h[layer - 1]
        w = weights.input_layer if layer == 0 else weights.upper_layers[layer - 1]
        b = weights.bias[layer]
        if count == BLOCK:
            lstm_step_4(x, h[layer], c[layer], w, b, gates)
        else:
            for i in range(count):
                lstm_step(x[i], h[layer, i], c[layer, i], w, b, gates[i])


@compiled
def _load_states(hidden, rows, plan, scratch):
    """Fetch (h, c) of the rows of a block."""
    layers, size = plan.layers, plan.hidden
    for i in range(len(rows)):
        for layer in range(layers):
            for j in range(size):
                scratch.h[layer, i, j] = load(hidden[rows[i], layer * size + j])
                scratch.c[layer, i, j] = load(hidden[rows[i], (layers + layer) * size + j])


@compiled
def _store_states(hidden, rows, plan, scratch):
    """Put (h, c) of the rows of a block away."""
    layers, size = plan.layers, plan.hidden
    for i in range(len(rows)):
        for layer in range(layers):
            for j in range(size):
                hidden[rows[i], layer * size + j] = store(hidden, scratch.h[layer, i, j])
                hidden[rows[i], (layers + layer) * size + j] = store(hidden, scratch.c[layer, i, j])


@compiled
def advance_rows(hidden, rows, plan, weights, scratch, inputs, out):
    """One step and read-out for the lanes of a block (1 to 4 distinct rows) of `hidden`, in place.

    Args:
        inputs: (points, INPUTS) of each.
        out: (points, SCORED_OUTPUTS), filled.
    """
    _load_states(hidden, rows, plan, scratch)
    step_network(inputs, len(rows), plan, weights, scratch)
    _store_states(hidden, rows, plan, scratch)
    for i in range(len(rows)):
        read_out(inputs[i], scratch.h[plan.layers - 1, i], weights.head, weights.head_bias, out[i])


@compiled
def advance_groups(hidden, groups, joint, rows, start, plan, weights, scratch, out):
    """One step for the keys of a block of groups, and the read-out for each of their points, in place.

    Args:
        groups, joint: see `detectors.groups`.
        rows: (n,) of all points, those of the groups from `start` on.
        out: (points, SCORED_OUTPUTS), filled.
    """
    keys = groups.keys[: groups.number[0]]
    _load_states(hidden, keys, plan, scratch)
    step_network(groups.inputs, len(keys), plan, weights, scratch)
    _store_states(hidden, keys, plan, scratch)
    for g in range(len(keys)):
        for n in range(groups.bounds[g], groups.bounds[g + 1]):
            place = joint.places[rows[n] % joint.width]
            h = scratch.h[plan.layers - 1, g]
            read_out(groups.inputs[g], h, joint.head[place], joint.head_bias[place], out[n - start])
