"""The recurrent network with carried state: from a block of lanes, a step, and back into their rows.

`step_network` alone knows how the network is made, and branches once per layer and block. The state that a network has
lies in a lane's row, one part after the other.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.attention import read_recalled, recall
from detectors.compiled import compiled
from detectors.convolution import convolve
from detectors.gru import GATES as GRU_GATES
from detectors.gru import gru_step, gru_step_4
from detectors.layer_norm import GATES as LAYER_NORM_GATES
from detectors.layer_norm import layer_norm_step, layer_norm_step_4
from detectors.layout import Plan
from detectors.lstm import lstm_step, lstm_step_4, read_out
from detectors.minifloat import load, store
from detectors.structure import GRU, LAYER_NORM_LSTM, LSTM

BLOCK = 4
"""Lanes that step through the network together."""


class Weights(NamedTuple):
    """The network as the kernel walks it; J columns for the gates of its cell, and parts that it lacks empty."""

    input_layer: NDArray[np.float32]  # (INPUTS + H, J)
    upper_layers: NDArray[np.float32]  # (layers - 1, H + H, J)
    bias: NDArray[np.float32]  # (layers, ...) of the gates, and what else a cell has for each unit
    convolution: NDArray[np.float32]  # (K INPUTS, INPUTS)
    convolution_bias: NDArray[np.float32]  # (INPUTS,)
    head: NDArray[np.float32]  # (H + INPUTS, SCORED_OUTPUTS)
    head_bias: NDArray[np.float32]  # (SCORED_OUTPUTS,)
    recalled: NDArray[np.float32]  # (fields or 1, H, SCORED_OUTPUTS) of the head, for what attention recalls
    band: NDArray[np.float64]  # Student-t quantile of the band at equal steps of 1 / degrees of freedom from 0 to 1
    mark: np.int64  # tells networks apart; never 0


class Scratch(NamedTuple):
    """Where a block of rows of carried state steps; of no width where the network has no such part."""

    h: NDArray[np.float32]  # (layers, BLOCK, H)
    c: NDArray[np.float32]  # (layers, BLOCK, H); unused by a cell without
    gates: NDArray[np.float32]  # (BLOCK, ...) as the cell needs
    recent: NDArray[np.float32]  # (BLOCK, K INPUTS) inputs of the steps before, and room for those of the step
    front: NDArray[np.float32]  # (BLOCK, INPUTS) what the convolution makes of them
    memory: NDArray[np.float32]  # (BLOCK, W H) hidden states that attention looks back on
    attention: NDArray[np.float32]  # (W,)
    recalled: NDArray[np.float32]  # (BLOCK, H)


_GATES = {LSTM: 4, GRU: GRU_GATES, LAYER_NORM_LSTM: LAYER_NORM_GATES}


def make_scratch(plan: Plan) -> Scratch:
    """Scratch for a network of the plan's size."""
    layers, size = plan.layers, plan.hidden
    shapes = {
        "h": (layers, BLOCK, size),
        "c": (layers, BLOCK, size),
        "gates": (BLOCK, _GATES[plan.cell] * size),
        "recent": (BLOCK, plan.convolution * plan.inputs),
        "front": (BLOCK, plan.inputs if plan.convolution else 0),
        "memory": (BLOCK, plan.attention * size),
        "attention": (plan.attention,),
        "recalled": (BLOCK, size if plan.attention else 0),
    }
    return Scratch(**{name: np.empty(shape, np.float32) for name, shape in shapes.items()})


@compiled
def step_network(inputs, count, plan, weights, scratch):
    """One step of the network for the first `count` lanes of the scratch, in place: the same bits in any block.

    Args:
        inputs: (count or more, I) of the network.
        count: lanes, 1 to `BLOCK`.
        plan, weights: of the network.
        scratch: the carried state is moved on, and `recalled` is filled; the rest is room.
    """
    h, c, gates = scratch.h, scratch.c, scratch.gates
    for i in range(count if plan.convolution > 0 else 0):
        convolve(inputs[i], scratch.recent[i], weights.convolution, weights.convolution_bias, scratch.front[i])
    below = scratch.front if plan.convolution > 0 else inputs
    for layer in range(plan.layers):
        x = below if layer == 0 else h[layer - 1]
        w = weights.input_layer if layer == 0 else weights.upper_layers[layer - 1]
        b = weights.bias[layer]
        if plan.cell == LSTM:
            if count == BLOCK:
                lstm_step_4(x, h[layer], c[layer], w, b, gates)
            else:
                for i in range(count):
                    lstm_step(x[i], h[layer, i], c[layer, i], w, b, gates[i])
        elif plan.cell == GRU:
            if count == BLOCK:
                gru_step_4(x, h[layer], w, b, gates)
            else:
                for i in range(count):
                    gru_step(x[i], h[layer, i], w, b, gates[i])
        elif count == BLOCK:
            layer_norm_step_4(x, h[layer], c[layer], w, b, gates)
        else:
            for i in range(count):
                layer_norm_step(x[i], h[layer, i], c[layer, i], w, b, gates[i])
    for i in range(count if plan.attention > 0 else 0):
        recall(h[plan.layers - 1, i], scratch.memory[i], scratch.attention, scratch.recalled[i])


@compiled
def clear_state(plan, scratch):
    """A state of zeros in the first lane of the scratch."""
    for layer in range(plan.layers):
        for j in range(plan.hidden):
            scratch.h[layer, 0, j] = scratch.c[layer, 0, j] = 0.0
    scratch.recent[0] = np.float32(0.0)
    scratch.memory[0] = np.float32(0.0)


@compiled
def _load_states(hidden, rows, plan, scratch):
    """Fetch the state of the rows of a block: h of each layer, then c likewise, and what is around them."""
    layers, size, h, c = plan.layers, plan.hidden, scratch.h, scratch.c
    for i in range(len(rows)):
        for layer in range(layers):
            for j in range(size):
                h[layer, i, j] = load(hidden[rows[i], layer * size + j])
            if plan.cell != GRU:
                for j in range(size):
                    c[layer, i, j] = load(hidden[rows[i], (layers + layer) * size + j])
    if plan.convolution + plan.attention > 0:
        _load_surroundings(hidden, rows, plan, scratch)


@compiled
def _load_surroundings(hidden, rows, plan, scratch):
    """Fetch the recent inputs of the rows of a block, and the memory of attention behind them."""
    place, kept = _surroundings(plan)
    for i in range(len(rows)):
        for j in range(kept):
            scratch.recent[i, j] = load(hidden[rows[i], place + j])
        for j in range(plan.attention * plan.hidden):
            scratch.memory[i, j] = load(hidden[rows[i], place + kept + j])


@compiled
def store_states(hidden, rows, plan, scratch):
    """Put the state of the rows of a block away."""
    layers, size, h, c = plan.layers, plan.hidden, scratch.h, scratch.c
    for i in range(len(rows)):
        for layer in range(layers):
            for j in range(size):
                hidden[rows[i], layer * size + j] = store(hidden, h[layer, i, j])
            if plan.cell != GRU:
                for j in range(size):
                    hidden[rows[i], (layers + layer) * size + j] = store(hidden, c[layer, i, j])
    if plan.convolution + plan.attention > 0:
        _store_surroundings(hidden, rows, plan, scratch)


@compiled
def _store_surroundings(hidden, rows, plan, scratch):
    """Put away the recent inputs of the rows of a block, and the memory of attention."""
    place, kept = _surroundings(plan)
    for i in range(len(rows)):
        for j in range(kept):
            hidden[rows[i], place + j] = store(hidden, scratch.recent[i, j])
        for j in range(plan.attention * plan.hidden):
            hidden[rows[i], place + kept + j] = store(hidden, scratch.memory[i, j])


@compiled
def _surroundings(plan):
    """Where in a row the recent inputs begin, and how many numbers they are."""
    parts = 1 if plan.cell == GRU else 2
    return parts * plan.layers * plan.hidden, max(plan.convolution - 1, 0) * plan.inputs


@compiled
def state_size(plan):
    """Numbers of a row that the state takes; what is behind them is left over."""
    place, kept = _surroundings(plan)
    return place + kept + plan.attention * plan.hidden


@compiled
def advance_rows(hidden, rows, plan, weights, scratch, inputs, out):
    """One step and read-out for the lanes of a block (1 to 4 distinct rows) of `hidden`, in place.

    Args:
        inputs: (points, INPUTS) of each.
        out: (points, SCORED_OUTPUTS), filled.
    """
    _load_states(hidden, rows, plan, scratch)
    step_network(inputs, len(rows), plan, weights, scratch)
    store_states(hidden, rows, plan, scratch)
    for i in range(len(rows)):
        read_out(inputs[i], scratch.h[plan.layers - 1, i], weights.head, weights.head_bias, out[i])
        if plan.attention > 0:
            read_recalled(scratch.recalled[i], weights.recalled[0], out[i])


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
    store_states(hidden, keys, plan, scratch)
    for g in range(len(keys)):
        for n in range(groups.bounds[g], groups.bounds[g + 1]):
            place = joint.places[rows[n] % joint.width]
            h = scratch.h[plan.layers - 1, g]
            read_out(groups.inputs[g], h, joint.head[place], joint.head_bias[place], out[n - start])
            if plan.attention > 0:
                read_recalled(scratch.recalled[g], weights.recalled[place], out[n - start])
