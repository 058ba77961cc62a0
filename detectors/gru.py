"""One step of the GRU with carried state, in a fixed order of summation.

    r, z = sigmoid(W x + a + U h + b),  n = tanh(W_n x + a_n + r (U_n h + b_n)),  h' = (1 - z) n + z h

(Cho et al. 2014, with the reset gate behind the product with U, as cuDNN and torch have it.)
"""

from detectors.compiled import compiled, compiled_fused
from detectors.lstm import tanh
from detectors.products import add_product, add_product_4

GATES = 6
"""Numbers of scratch per unit: the three gates' parts from x, then those from h."""


@compiled
def _activate(gates, h):
    """New h of one lane from its gates (6H,), in place. Nothing fuses here, where there would be a choice what."""
    size = len(h)
    half, one = gates.dtype.type(0.5), gates.dtype.type(1.0)
    for j in range(2 * size):
        gates[j] = tanh((gates[j] + gates[3 * size + j]) * half) * half + half
    for j in range(size):
        candidate = tanh(gates[2 * size + j] + gates[j] * gates[5 * size + j])
        update = gates[size + j]
        h[j] = (one - update) * candidate + update * h[j]


@compiled_fused
def gru_step(x, h, w, b, gates):
    """Advance one layer of one lane by one step, in place.

    Args:
        x: (I,) input.
        h: (H,) carried state, overwritten.
        w: (I + H, 3H) input weights over recurrent weights, gates in the order r, z, n.
        b: (6H,) bias of the gates from x, then from h.
        gates: (6H,) scratch.
    """
    inputs, size = len(x), len(h)
    for j in range(GATES * size):
        gates[j] = b[j]
    add_product(x, w[:inputs], gates[: 3 * size])
    add_product(h, w[inputs:], gates[3 * size : 6 * size])
    _activate(gates, h)


@compiled_fused
def gru_step_4(x, h, w, b, gates):
    """`gru_step` for four lanes at once, to the same bits: each weight is fetched once for the four.

    Args:
        x: (4, I); h: (4, H); gates: (4, 6H).
    """
    inputs, size = x.shape[1], h.shape[1]
    for lane in range(4):
        for j in range(GATES * size):
            gates[lane, j] = b[j]
    low, high = 3 * size, 6 * size
    add_product_4(x, w[:inputs], gates[0, :low], gates[1, :low], gates[2, :low], gates[3, :low])
    add_product_4(h, w[inputs:], gates[0, low:high], gates[1, low:high], gates[2, low:high], gates[3, low:high])
    for lane in range(4):
        _activate(gates[lane], h[lane])
