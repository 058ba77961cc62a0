"""A lane's state under another network: rebuilt from the window, so that a swap of networks leaves no blind spot.

What one network carries means nothing to another, of the same structure or not. A lane keeps a mark of the network that
its state is of. With its
first point behind a swap, the new network is led over the values in the window, oldest first, from a state of zeros.
Each lane pays for that once, when it is heard of again; the swap itself takes no time, however many lanes there are.

A joint network's (h, c) is the key's. It is led over the windows of all lanes of a key at once, with the first record
of the key, if the mark of any of them is not its own; then it marks them all.

The window has values and no times: points count as one sampling interval apart, normalised as of now, and without
look-back, whose slots are a period older than the window by now. Forecasts that are pending stay those of the network
before, and are answered by the points to come.
"""

import numpy as np

from detectors.compiled import compiled
from detectors.groups import lay_out_field
from detectors.minifloat import load, store
from detectors.normalise import asinh, scale_of
from detectors.recurrence import clear_state, state_size, step_network, store_states
from detectors.seasons import tell_clock


@compiled
def rebuild_hidden(lane, hidden, row, window, plan, weights, scratch, inputs):
    """Lead the network over the values in a lane's window, and mark the lane as its own.

    Args:
        lane: scalars of the lane, before its next point.
        hidden: (rows, ...) states of all lanes, see `detectors.recurrence`.
        row: (1,) of the lane, whose state is overwritten.
        window: (window,) the newest values in frame units, point t at t % window.
        plan, weights: of the network.
        scratch: whose first lane is used.
        inputs: (1 or more, INPUTS) scratch, whose first row is used.
    """
    clear_state(plan, scratch)
    for point in range(max(lane.points - len(window), 0), lane.points):
        _see_again(lane, window, point, inputs[0])
        step_network(inputs, 1, plan, weights, scratch)
    _keep(hidden, row, plan, scratch)
    lane.network = weights.mark


@compiled
def is_foreign(lanes, mark):
    """Whether any of the rows of a key (their scalars) is not marked as the network's own."""
    for i in range(len(lanes)):
        if lanes[i].network != mark:
            return True
    return False


@compiled
def rebuild_joint_hidden(lanes, hidden, row, windows, places, plan, weights, scratch, own_inputs, inputs):
    """Lead a joint network over the values in the windows of a key's lanes, and mark these as its own.

    The newest points of the windows are one step where they are of one time. A lane that was last heard of earlier lags
    behind by as many steps as the quickest lane would have made meanwhile. Where a lane has no point, be it before its
    first, behind its last or farther back than its window, it is missing from the step as from a record.

    All rows of the key have a share of its (h, c), so all are marked, though only those of fields have been looked at.

    Args:
        lanes: (width,) scalars of the key's rows, the fields' first, before their next points.
        hidden: (keys, ...) states of all keys, and room that is left over.
        row: (1,) of the key, whose state is overwritten.
        windows: (width, window) the newest values of each lane in its frame units, point t at t % window.
        places: (fields,) place of each lane's field in the network's order.
        plan, weights: of the network.
        scratch: whose first lane is used.
        own_inputs: (1 or more, INPUTS) scratch for those of a lane, whose first row is used.
        inputs: (1 or more, I) scratch, whose first row is used.
    """
    of_lane, of_key = own_inputs[0], inputs[0]
    clear_state(plan, scratch)
    fields, length = len(places), windows.shape[1]
    newest_us, interval_us = np.int64(0), np.int64(0)
    for i in range(fields):
        newest_us = max(newest_us, lanes[i].last_time_us)
        own = np.int64(lanes[i].interval_us)
        if own > 0 and (interval_us == 0 or own < interval_us):
            interval_us = own
    for back in range(length - 1, -1, -1):
        of_key[:] = np.float32(0.0)
        first = fields
        for i in range(fields):
            lane = lanes[i]
            lag = (newest_us - lane.last_time_us + interval_us // 2) // interval_us if interval_us > 0 else np.int64(0)
            age = back - lag
            if 0 <= age < min(lane.points, length):
                _see_again(lane, windows[i], lane.points - 1 - age, of_lane)
                first = lay_out_field(of_lane, places[i], first, of_key)
        if first < fields:
            step_network(inputs, 1, plan, weights, scratch)
    _keep(hidden, row, plan, scratch)
    for i in range(len(lanes)):
        lanes[i].network = weights.mark


@compiled
def _see_again(lane, window, point, inputs):
    """Fill the inputs (INPUTS,) of a point that is in the window."""
    scale = scale_of(lane)
    offset = lane.frame_mean - lane.mean
    frame = np.float64(lane.frame_scale) if lane.frame_scale > 0 else 1.0
    value = offset + frame * np.float64(load(window[point % len(window)]))
    inputs[:] = np.float32(0.0)
    inputs[0] = asinh(value / scale)
    if point > max(lane.points - len(window), 0):
        before = offset + frame * np.float64(load(window[(point - 1) % len(window)]))
        inputs[1] = asinh((value - before) / scale)
    tell_clock(lane.last_time_us - (lane.points - 2 - point) * np.int64(lane.interval_us), inputs)


@compiled
def _keep(hidden, row, plan, scratch):
    """Write the state in the first lane of the scratch; room that is left over becomes zeros."""
    store_states(hidden, row, plan, scratch)
    for j in range(state_size(plan), hidden.shape[1]):
        hidden[row[0], j] = store(hidden, np.float32(0.0))
