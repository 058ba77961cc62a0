"""One step of the LSTM with carried state, in a fixed order of summation.

    i, f, o = sigmoid(W x + U h + b),  g = tanh(W x + U h + b),  c' = f c + i g,  h' = o tanh(c')

(Hochreiter & Schmidhuber 1997, with the forget gate of Gers, Schmidhuber & Cummins 2000.) Every sum runs over its terms
in index order whatever the batch, so the same record in the same state gives the same bits: no BLAS here.
"""

import math

import numpy as np
from numba import types
from numba.extending import overload

from detectors.compiled import compiled, compiled_fused

SCORED_OUTPUTS = 8
"""Read-outs that scoring uses: location at 1, 8, 32, 96 steps; log scale at 1, 32, 96; degrees of freedom at 1."""

_LIMIT = np.float32(8.0)
# odd rational approximation of tanh on [-8, 8], relative error 7e-9 before rounding; fitted by reweighted least squares
_P1, _P2, _P3, _P4 = (
    np.float32(v) for v in (0.1344451755285263, 0.0035716211423277855, 2.189503902627621e-05, 1.5230931182941276e-08)
)
_Q1, _Q2, _Q3, _Q4 = (
    np.float32(v) for v in (0.46777844429016113, 0.026164531707763672, 0.0003411329525988549, 8.522658276888251e-07)
)
_ONE = np.float32(1.0)


@compiled
def _rational_tanh(x):
    x = min(max(x, -_LIMIT), _LIMIT)
    u = x * x
    numerator = (((_P4 * u + _P3) * u + _P2) * u + _P1) * u + _ONE
    denominator = (((_Q4 * u + _Q3) * u + _Q2) * u + _Q1) * u + _ONE
    return x * numerator / denominator


def tanh(x):
    """Hyperbolic tangent: error at most 4e-7 in float32 (a rational form that vectorises), exact in float64."""
    raise NotImplementedError("compiled code only")


@overload(tanh)
def _tanh(x):
    if x == types.float32:
        return lambda x: _rational_tanh(x)
    return lambda x: math.tanh(x)


@compiled
def _activate(gates, h, c):
    """New (h, c) of one lane from its gates (4H,), in place. Nothing fuses here, where there would be a choice what."""
    size = len(h)
    half = gates.dtype.type(0.5)
    for j in range(3 * size):
        gates[j] = tanh(gates[j] * half) * half + half
    for j in range(3 * size, 4 * size):
        gates[j] = tanh(gates[j])
    for j in range(size):
        cell = gates[size + j] * c[j] + gates[j] * gates[3 * size + j]
        c[j] = cell
        h[j] = gates[2 * size + j] * tanh(cell)


@compiled_fused
def lstm_step(x, h, c, w, b, gates):
    """Advance one layer of one lane by one step, in place.

    Args:
        x: (I,) input.
        h, c: (H,) carried state, overwritten.
        w: (I + H, 4H) input weights over recurrent weights, gates in the order i, f, o, g.
        b: (4H,) bias.
        gates: (4H,) scratch.
    """
    inputs, size = len(x), len(h)
    for j in range(4 * size):
        gates[j] = b[j]
    for k in range(inputs):
        for j in range(4 * size):
            gates[j] += x[k] * w[k, j]
    # four rows at a time save trips to `gates`; the order of summation is still that of k
    whole = size - size % 4
    for k in range(0, whole, 4):
        h0, h1, h2, h3, r = h[k], h[k + 1], h[k + 2], h[k + 3], inputs + k
        for j in range(4 * size):
            gates[j] = (((gates[j] + h0 * w[r, j]) + h1 * w[r + 1, j]) + h2 * w[r + 2, j]) + h3 * w[r + 3, j]
    for k in range(whole, size):
        for j in range(4 * size):
            gates[j] += h[k] * w[inputs + k, j]
    _activate(gates, h, c)


@compiled_fused
def lstm_step_4(x, h, c, w, b, gates):
    """`lstm_step` for four lanes at once, to the same bits: each weight is fetched once for the four.

    Args:
        x: (4, I); h, c: (4, H); gates: (4, 4H).
    """
    inputs, size = x.shape[1], h.shape[1]
    for j in range(4 * size):
        gates[0, j] = gates[1, j] = gates[2, j] = gates[3, j] = b[j]
    for k in range(inputs):
        x0, x1, x2, x3 = x[0, k], x[1, k], x[2, k], x[3, k]
        for j in range(4 * size):
            weight = w[k, j]
            gates[0, j] += x0 * weight
            gates[1, j] += x1 * weight
            gates[2, j] += x2 * weight
            gates[3, j] += x3 * weight
    whole = size - size % 4
    for k in range(0, whole, 4):
        p0, p1, p2, p3 = h[0, k], h[0, k + 1], h[0, k + 2], h[0, k + 3]
        q0, q1, q2, q3 = h[1, k], h[1, k + 1], h[1, k + 2], h[1, k + 3]
        s0, s1, s2, s3 = h[2, k], h[2, k + 1], h[2, k + 2], h[2, k + 3]
        t0, t1, t2, t3 = h[3, k], h[3, k + 1], h[3, k + 2], h[3, k + 3]
        r = inputs + k
        for j in range(4 * size):
            w0, w1, w2, w3 = w[r, j], w[r + 1, j], w[r + 2, j], w[r + 3, j]
            gates[0, j] = (((gates[0, j] + p0 * w0) + p1 * w1) + p2 * w2) + p3 * w3
            gates[1, j] = (((gates[1, j] + q0 * w0) + q1 * w1) + q2 * w2) + q3 * w3
            gates[2, j] = (((gates[2, j] + s0 * w0) + s1 * w1) + s2 * w2) + s3 * w3
            gates[3, j] = (((gates[3, j] + t0 * w0) + t1 * w1) + t2 * w2) + t3 * w3
    for k in range(whole, size):
        for j in range(4 * size):
            weight = w[inputs + k, j]
            for lane in range(4):
                gates[lane, j] += h[lane, k] * weight
    for lane in range(4):
        _activate(gates[lane], h[lane], c[lane])


@compiled_fused
def read_out(x, h, w, b, out):
    """Linear read-out of the last layer's h and the inputs: out = b + [h, x] w, with w (H + I, SCORED_OUTPUTS)."""
    # one scalar a read-out stays in a register, where an element of `out` would be fetched and put back for each term
    a0, a1, a2, a3, a4, a5, a6, a7 = b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]
    size = len(h)
    for k in range(size):
        v = h[k]
        a0, a1, a2, a3 = a0 + v * w[k, 0], a1 + v * w[k, 1], a2 + v * w[k, 2], a3 + v * w[k, 3]
        a4, a5, a6, a7 = a4 + v * w[k, 4], a5 + v * w[k, 5], a6 + v * w[k, 6], a7 + v * w[k, 7]
    for k in range(len(x)):
        v, r = x[k], size + k
        a0, a1, a2, a3 = a0 + v * w[r, 0], a1 + v * w[r, 1], a2 + v * w[r, 2], a3 + v * w[r, 3]
        a4, a5, a6, a7 = a4 + v * w[r, 4], a5 + v * w[r, 5], a6 + v * w[r, 6], a7 + v * w[r, 7]
    out[0], out[1], out[2], out[3], out[4], out[5], out[6], out[7] = a0, a1, a2, a3, a4, a5, a6, a7
