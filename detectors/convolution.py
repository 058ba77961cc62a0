"""A causal convolution over the newest inputs of a lane, in front of the first layer of its network.

    y_t = tanh(b + sum over k of V_k x_(t-k)),  k from 0 to K - 1

(as in LeCun et al. 1989, over time; inputs before the first are zeros.) It gives as many channels as there are inputs.
The lane carries its last K - 1 inputs.
"""

from detectors.compiled import compiled, compiled_fused
from detectors.lstm import tanh
from detectors.products import add_product


@compiled_fused
def convolve(x, recent, w, b, out):
    """Channels of one step, and the inputs to carry on, in place.

    Args:
        x: (I,) inputs of the step.
        recent: (K I,) inputs of the K - 1 steps before, oldest first, and room for x; moved on by a step.
        w: (K I, I) V of the oldest step first.
        b: (I,).
        out: (I,) filled with y.
    """
    inputs = len(x)
    kept = len(recent) - inputs
    for i in range(inputs):
        recent[kept + i] = x[i]
        out[i] = b[i]
    add_product(recent, w, out)
    _squash(out)
    for i in range(kept):
        recent[i] = recent[inputs + i]


@compiled
def _squash(values):
    for i in range(len(values)):
        values[i] = tanh(values[i])
