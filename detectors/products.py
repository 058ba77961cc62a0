"""Products of a vector and a matrix, in a fixed order of summation: for one lane, and for four to the same bits."""

from detectors.compiled import compiled_fused


@compiled_fused
def add_product(x, w, out):
    """Add x w to `out`, term by term in the order of x.

    Args:
        x: (I,).
        w: (I, J).
        out: (J,), updated.
    """
    inputs, width = len(x), len(out)
    # four rows at a time save trips to `out`; the order of summation is still that of k
    whole = inputs - inputs % 4
    for k in range(0, whole, 4):
        x0, x1, x2, x3 = x[k], x[k + 1], x[k + 2], x[k + 3]
        for j in range(width):
            out[j] = (((out[j] + x0 * w[k, j]) + x1 * w[k + 1, j]) + x2 * w[k + 2, j]) + x3 * w[k + 3, j]
    for k in range(whole, inputs):
        for j in range(width):
            out[j] += x[k] * w[k, j]


@compiled_fused
def add_product_4(x, w, out_0, out_1, out_2, out_3):
    """`add_product` for four lanes at once: each weight is fetched once for the four.

    Args:
        x: (4, I).
        w: (I, J).
        out_0, out_1, out_2, out_3: (J,) of each lane, updated.
    """
    inputs, width = x.shape[1], len(out_0)
    whole = inputs - inputs % 4
    for k in range(0, whole, 4):
        p0, p1, p2, p3 = x[0, k], x[0, k + 1], x[0, k + 2], x[0, k + 3]
        q0, q1, q2, q3 = x[1, k], x[1, k + 1], x[1, k + 2], x[1, k + 3]
        s0, s1, s2, s3 = x[2, k], x[2, k + 1], x[2, k + 2], x[2, k + 3]
        t0, t1, t2, t3 = x[3, k], x[3, k + 1], x[3, k + 2], x[3, k + 3]
        for j in range(width):
            w0, w1, w2, w3 = w[k, j], w[k + 1, j], w[k + 2, j], w[k + 3, j]
            out_0[j] = (((out_0[j] + p0 * w0) + p1 * w1) + p2 * w2) + p3 * w3
            out_1[j] = (((out_1[j] + q0 * w0) + q1 * w1) + q2 * w2) + q3 * w3
            out_2[j] = (((out_2[j] + s0 * w0) + s1 * w1) + s2 * w2) + s3 * w3
            out_3[j] = (((out_3[j] + t0 * w0) + t1 * w1) + t2 * w2) + t3 * w3
    for k in range(whole, inputs):
        for j in range(width):
            weight = w[k, j]
            out_0[j] += x[0, k] * weight
            out_1[j] += x[1, k] * weight
            out_2[j] += x[2, k] * weight
            out_3[j] += x[3, k] * weight
