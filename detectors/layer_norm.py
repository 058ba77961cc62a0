"""One step of the layer-normalised LSTM with carried state, in a fixed order of summation.

    i, f, o, g = LN(W x; a) + LN(U h; a') + b,  c' = sigmoid(f) c + sigmoid(i) tanh(g),
    h' = sigmoid(o) tanh(LN(c'; a'', b'')),     LN(v; a) = a (v - mean(v)) / sqrt(variance(v) + 1e-5)

(Ba, Kiros & Hinton 2016, equations 20 to 22; the three biases that are only ever added up are one, b.) The products are
normalised over all four gates of a layer together.
"""

import math

from detectors.compiled import compiled, compiled_fused
from detectors.lstm import tanh
from detectors.products import add_product, add_product_4

GATES = 8
"""Numbers of scratch per unit: the four gates' parts from x, then those from h."""
VECTORS = 14
"""Numbers per unit of b (4H), a (4H), a' (4H), a'' (H) and b'' (H), which lie in one row."""
EPSILON = 1e-5


@compiled
def _mean(v):
    """Mean of (N,), summed in four parts that follow from N alone."""
    zero = v.dtype.type(0.0)
    s0, s1, s2, s3 = zero, zero, zero, zero
    whole = len(v) - len(v) % 4
    for j in range(0, whole, 4):
        s0, s1, s2, s3 = s0 + v[j], s1 + v[j + 1], s2 + v[j + 2], s3 + v[j + 3]
    for j in range(whole, len(v)):
        s0 += v[j]
    return ((s0 + s1) + (s2 + s3)) / v.dtype.type(len(v))


@compiled
def _inverse_deviation(v, mean):
    """1 / sqrt(variance + epsilon) of (N,), likewise."""
    zero = v.dtype.type(0.0)
    s0, s1, s2, s3 = zero, zero, zero, zero
    whole = len(v) - len(v) % 4
    for j in range(0, whole, 4):
        d0, d1, d2, d3 = v[j] - mean, v[j + 1] - mean, v[j + 2] - mean, v[j + 3] - mean
        s0, s1, s2, s3 = s0 + d0 * d0, s1 + d1 * d1, s2 + d2 * d2, s3 + d3 * d3
    for j in range(whole, len(v)):
        s0 += (v[j] - mean) * (v[j] - mean)
    variance = ((s0 + s1) + (s2 + s3)) / v.dtype.type(len(v))
    return v.dtype.type(1.0) / math.sqrt(variance + v.dtype.type(EPSILON))


@compiled
def _activate(gates, h, c, b):
    """New (h, c) of one lane from its gates (8H,), in place. Nothing fuses here, where there would be a choice what."""
    size = len(h)
    half = gates.dtype.type(0.5)
    from_x, from_h = gates[: 4 * size], gates[4 * size : 8 * size]
    mean_x, mean_h = _mean(from_x), _mean(from_h)
    scale_x, scale_h = _inverse_deviation(from_x, mean_x), _inverse_deviation(from_h, mean_h)
    gain_x, gain_h = b[4 * size : 8 * size], b[8 * size : 12 * size]
    for j in range(4 * size):
        x_part = (from_x[j] - mean_x) * scale_x * gain_x[j]
        h_part = (from_h[j] - mean_h) * scale_h * gain_h[j]
        gates[j] = (x_part + h_part) + b[j]
    for j in range(3 * size):
        gates[j] = tanh(gates[j] * half) * half + half
    for j in range(3 * size, 4 * size):
        gates[j] = tanh(gates[j])
    for j in range(size):
        c[j] = gates[size + j] * c[j] + gates[j] * gates[3 * size + j]
    mean_c = _mean(c)
    scale_c = _inverse_deviation(c, mean_c)
    for j in range(size):
        level = (c[j] - mean_c) * scale_c * b[12 * size + j] + b[13 * size + j]
        h[j] = gates[2 * size + j] * tanh(level)


@compiled_fused
def layer_norm_step(x, h, c, w, b, gates):
    """Advance one layer of one lane by one step, in place.

    Args:
        x: (I,) input.
        h, c: (H,) carried state, overwritten.
        w: (I + H, 4H) input weights over recurrent weights, gates in the order i, f, o, g.
        b: (14H,) see `VECTORS`.
        gates: (8H,) scratch.
    """
    inputs, size = len(x), len(h)
    for j in range(GATES * size):
        gates[j] = 0.0
    add_product(x, w[:inputs], gates[: 4 * size])
    add_product(h, w[inputs:], gates[4 * size : 8 * size])
    _activate(gates, h, c, b)


@compiled_fused
def layer_norm_step_4(x, h, c, w, b, gates):
    """`layer_norm_step` for four lanes at once, to the same bits: each weight is fetched once for the four.

    Args:
        x: (4, I); h, c: (4, H); gates: (4, 8H).
    """
    inputs, size = x.shape[1], h.shape[1]
    for lane in range(4):
        for j in range(GATES * size):
            gates[lane, j] = 0.0
    low, high = 4 * size, 8 * size
    add_product_4(x, w[:inputs], gates[0, :low], gates[1, :low], gates[2, :low], gates[3, :low])
    add_product_4(h, w[inputs:], gates[0, low:high], gates[1, low:high], gates[2, low:high], gates[3, low:high])
    for lane in range(4):
        _activate(gates[lane], h[lane], c[lane], b)
