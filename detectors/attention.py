"""Attention of the read-out to the last hidden states: what they held that is like the present one.

    a = softmax over s of (h_t . h_s / sqrt(H)),  s from t - W to t - 1,   recalled = sum over s of a_s h_s

(dot-product attention, Luong, Pham & Manning 2015, scaled as by Vaswani et al. 2017). States before the first are
zeros, as the one that the network begins with. The read-out is linear in h, the inputs, and what was recalled.
"""

import math

from detectors.compiled import compiled_fused


@compiled_fused
def _dot(a, b):
    """Product of two vectors, summed in four parts that follow from their length alone."""
    zero = a.dtype.type(0.0)
    s0, s1, s2, s3 = zero, zero, zero, zero
    whole = len(a) - len(a) % 4
    for j in range(0, whole, 4):
        s0, s1 = s0 + a[j] * b[j], s1 + a[j + 1] * b[j + 1]
        s2, s3 = s2 + a[j + 2] * b[j + 2], s3 + a[j + 3] * b[j + 3]
    for j in range(whole, len(a)):
        s0 += a[j] * b[j]
    return (s0 + s1) + (s2 + s3)


@compiled_fused
def recall(h, memory, weights, out):
    """What a lane recalls at a step, and the states to carry on, in place.

    Args:
        h: (H,) of the last layer at this step.
        memory: (W H,) of the W steps before, oldest first; moved on by a step, h the newest.
        weights: (W,) scratch, filled with a.
        out: (H,) filled.
    """
    size, count = len(h), len(weights)
    root = h.dtype.type(math.sqrt(size))
    highest = h.dtype.type(-math.inf)
    for s in range(count):
        weights[s] = _dot(h, memory[s * size : (s + 1) * size]) / root
        highest = max(highest, weights[s])
    total = h.dtype.type(0.0)
    for s in range(count):
        weights[s] = math.exp(weights[s] - highest)
        total += weights[s]
    for j in range(size):
        out[j] = 0.0
    for s in range(count):
        share = weights[s] / total
        weights[s] = share
        for j in range(size):
            out[j] += share * memory[s * size + j]
    for j in range((count - 1) * size):
        memory[j] = memory[size + j]
    for j in range(size):
        memory[(count - 1) * size + j] = h[j]


@compiled_fused
def read_recalled(recalled, w, out):
    """Add to the read-outs (J,) what they owe to what was recalled (H,): recalled w, with w (H, J)."""
    for k in range(len(recalled)):
        for j in range(len(out)):
            out[j] += recalled[k] * w[k, j]
