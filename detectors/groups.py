"""How the points of a key's fields come together for a joint network.

A *group* is what comes of one record of a key: a point for each field that has a value in it. With windows by event
time it is what comes of one pane. A group makes one step of the key's (h, c), which lies spread over the neighbouring
rows of its lanes. A field that is not in the group has inputs of 0, among them the one that says whether it is there,
and answers no forecast. Before and behind the LSTM everything goes lane by lane, as with a shared network.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.network import CLOCK_INPUTS, FIELD_INPUTS

OWN_INPUTS = FIELD_INPUTS - 1
"""Inputs of a lane that are its field's own; behind them are the clock's."""


class Joint(NamedTuple):
    """What a joint network has besides the weights of its LSTM.

    Attributes:
        head: (fields, H + I, SCORED_OUTPUTS), of each field in the network's order.
        head_bias: (fields, SCORED_OUTPUTS)
        places: (fields,) place in the network's order of each field of a key's rows.
        width: rows of a key; its fields are the first of them.
    """

    head: NDArray[np.float32]
    head_bias: NDArray[np.float32]
    places: NDArray[np.int64]
    width: int


class Groups(NamedTuple):
    """Scratch: a block of groups of different keys that step together.

    Attributes:
        number: (1,) of groups.
        keys: (block,) key of each, the row of its first lane divided by the rows of a key.
        bounds: (block + 1,) where each begins among the points, and behind them where the last ends.
        inputs: (block, I) of each.
    """

    number: NDArray[np.int64]
    keys: NDArray[np.int64]
    bounds: NDArray[np.int64]
    inputs: NDArray[np.float32]


def make_groups(fields: int, block: int) -> Groups:
    """Scratch for so many groups of a network of so many fields."""
    return Groups(
        np.zeros(1, np.int64),
        np.empty(block, np.int64),
        np.empty(block + 1, np.int64),
        np.empty((block, FIELD_INPUTS * fields + CLOCK_INPUTS), np.float32),
    )


@compiled
def _group_end(rows, time_us, records, joint, start):
    """End of the group that begins at `start`: rising rows of a key, of one time, released by one record."""
    key, end = rows[start] // joint.width, start + 1
    while end < len(rows) and rows[end] > rows[end - 1] and rows[end] // joint.width == key:
        if time_us[end] != time_us[start] or records[end] != records[start]:
            break
        end += 1
    return end


@compiled
def _has(keys, count, key):
    """Whether a key is among the first so many."""
    for i in range(count):
        if keys[i] == key:
            return True
    return False


@compiled
def groups_at(rows, time_us, records, joint, start, groups):
    """Find the groups of different keys that begin at `start`, as many as there is room for; returns their end."""
    count, end = 0, start
    groups.bounds[0] = start
    while count < len(groups.keys) and end < len(rows):
        key = rows[end] // joint.width
        if _has(groups.keys, count, key):
            break
        end = _group_end(rows, time_us, records, joint, end)
        groups.keys[count] = key
        groups.bounds[count + 1] = end
        count += 1
    groups.number[0] = count
    return end


@compiled
def lay_out(rows, start, joint, lane_inputs, groups):
    """Fill the inputs of the groups that begin at `start` from those (points, INPUTS) of their lanes."""
    fields = len(joint.places)
    for g in range(groups.number[0]):
        inputs, first = groups.inputs[g], fields
        inputs[:] = 0.0
        for n in range(groups.bounds[g], groups.bounds[g + 1]):
            first = lay_out_field(lane_inputs[n - start], joint.places[rows[n] % joint.width], first, inputs)


@compiled
def lay_out_field(own, place, first, inputs):
    """Fill in a field that is there from the inputs (INPUTS,) of its lane; returns the first field that is, by now.

    Of the fields that are there, the first of the network's order tells the time.

    Args:
        own: inputs of the lane.
        place: of the field in the network's order.
        first: lowest place filled in before, or the number of fields.
        inputs: (I,) of the network, those of fields that are not there 0.
    """
    base = place * FIELD_INPUTS
    for i in range(OWN_INPUTS):
        inputs[base + i] = own[i]
    inputs[base + OWN_INPUTS] = 1.0
    if place < first:
        for i in range(CLOCK_INPUTS):
            inputs[len(inputs) - CLOCK_INPUTS + i] = own[OWN_INPUTS + i]
        return place
    return first
