"""A lane's (h, c) under another network: rebuilt from the window, so that a swap of networks leaves no blind spot.

What one network carries means nothing to another. A lane keeps a mark of the network that its h and c are of. With its
first point behind a swap, the new network is led over the values in the window, oldest first, from a state of zeros.
Each lane pays for that once, when it is heard of again; the swap itself takes no time, however many lanes there are.

The window has values and no times: points count as one sampling interval apart, normalised as of now, and without
look-back, whose slots are a period older than the window by now. Forecasts that are pending stay those of the network
before, and are answered by the points to come.
"""

import numpy as np

from detectors.compiled import compiled
from detectors.features import tell_clock
from detectors.lstm import lstm_step
from detectors.minifloat import load, store
from detectors.normalise import asinh, scale_of


@compiled
def rebuild_hidden(lane, hidden, window, plan, weights, work):
    """Lead the network over the values in a lane's window, and mark the lane as its own.

    Args:
        lane: scalars of the lane, before its next point.
        hidden: (2 * layers * H,) h of each layer, then c of each layer, overwritten.
        window: (window,) the newest values in frame units, point t at t % window.
        plan, weights: of the network.
        work: scratch, whose first lane is used.
    """
    layers, size, length = plan.layers, plan.hidden, len(window)
    h, c, inputs, gates = work.h, work.c, work.inputs[0], work.gates[0]
    h[:, 0] = np.float32(0.0)
    c[:, 0] = np.float32(0.0)
    scale = scale_of(lane)
    offset = lane.frame_mean - lane.mean
    frame = np.float64(lane.frame_scale) if lane.frame_scale > 0 else 1.0
    first = max(lane.points - length, 0)
    before = np.nan
    for point in range(first, lane.points):
        value = offset + frame * np.float64(load(window[point % length]))
        inputs[:] = np.float32(0.0)
        inputs[0] = asinh(value / scale)
        inputs[1] = asinh((value - before) / scale) if point > first else 0.0
        tell_clock(lane.last_time_us - (lane.points - 2 - point) * np.int64(lane.interval_us), inputs)
        before = value
        for layer in range(layers):
            x = inputs if layer == 0 else h[layer - 1, 0]
            w = weights.input_layer if layer == 0 else weights.upper_layers[layer - 1]
            lstm_step(x, h[layer, 0], c[layer, 0], w, weights.bias[layer], gates)
    for layer in range(layers):
        for j in range(size):
            hidden[layer * size + j] = store(hidden, h[layer, 0, j])
            hidden[(layers + layer) * size + j] = store(hidden, c[layer, 0, j])
    lane.network = weights.mark
