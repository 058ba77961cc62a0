"""Parts that made-up streams are put together from: autoregressions and periodic waves, a whole batch at once."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def autoregressive(noise: Floats, phi: Floats) -> Floats:
    """First-order autoregression x[t] = phi x[t-1] + noise[t], from 0.

    Args:
        noise: (count, length).
        phi: (count, 1).
    """
    out = noise.T.copy()  # time first, so that each step reads and writes contiguous rows
    for t in range(1, len(out)):
        out[t] += phi[:, 0] * out[t - 1]
    return np.ascontiguousarray(out.T)


def periodic(rng: np.random.Generator, phase: Floats) -> Floats:
    """A wave per row with a random phase: sine, sum of harmonics, pulse train, sharp peaks or half-sine with pauses.

    Args:
        rng: source of the shapes.
        phase: (count, length), in cycles.
    """
    count = len(phase)
    turned = (phase + rng.random((count, 1))) % 1.0
    kind = rng.integers(0, 5, count)
    out = np.empty_like(phase)
    sine, rich, pulse, peak, half = (np.flatnonzero(kind == k) for k in range(5))
    out[sine] = np.sin(2 * np.pi * turned[sine])
    out[rich] = _harmonics(rng, turned[rich])
    out[pulse] = 2.0 * (turned[pulse] < rng.uniform(0.05, 0.7, (len(pulse), 1)))
    out[peak] = 3.0 * np.exp(-0.5 * ((turned[peak] - 0.5) / rng.uniform(0.005, 0.08, (len(peak), 1))) ** 2)
    width = rng.uniform(0.3, 0.7, (len(half), 1))
    out[half] = 2.0 * np.sin(np.pi * np.minimum(turned[half] / width, 1.0))
    return out


def _harmonics(rng: np.random.Generator, phase: Floats) -> Floats:
    """Sum of 1 to 5 harmonics of falling weight, scaled to standard deviation 1; `phase` (count, length) in cycles."""
    count = len(phase)
    highest = rng.integers(1, 6, (count, 1))
    out = np.zeros_like(phase)
    for harmonic in range(1, 6):
        rows = np.flatnonzero(highest[:, 0] >= harmonic)
        weight = rng.normal(size=(len(rows), 1)) / harmonic
        out[rows] += weight * np.sin(2 * np.pi * (harmonic * phase[rows] + rng.random((len(rows), 1))))
    out /= out.std(axis=1, keepdims=True) + 1e-9
    return out
