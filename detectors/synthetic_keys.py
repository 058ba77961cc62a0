"""Synthetic keys of several fields that belong together, without faults: what joint lanes are calibrated on.

The fields of a key follow three signals in common, each with weights and a delay of its own, and have noise of their
own, a tenth of what they have in common to as much. Signals and noise are those of `detectors.synthetic`.
"""

from dataclasses import dataclass

import numpy as np

from detectors.synthetic import Times, make_clock, make_noise, make_signal
from detectors.waves import Floats, autoregressive

SIGNALS, LONGEST_DELAY = 3, 3
_LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class SyntheticKeys:
    """Keys whose records have all fields.

    Attributes:
        values: (keys, fields, length), finite.
        time_us: (keys, length) microseconds since 1970-01-01 UTC, regular.
    """

    values: Floats
    time_us: Times


def make_keys(rng: np.random.Generator, count: int, fields: int, length: int) -> SyntheticKeys:
    """`count` keys of `fields` fields and `length` records each; `rng` is the source of all randomness."""
    _, time_us = make_clock(rng, count, length + LONGEST_DELAY)
    signals = make_signal(rng, time_us.repeat(SIGNALS, axis=0))
    # what has no part at all in it still moves
    signals += 0.1 * autoregressive(rng.normal(size=signals.shape), rng.uniform(0.5, 0.99, (len(signals), 1)))
    signals = _standardised(signals).reshape(count, SIGNALS, -1)
    weights = rng.normal(size=(count, fields, SIGNALS))
    weights /= np.linalg.norm(weights, axis=2, keepdims=True)
    common = weights @ signals
    delay = rng.integers(0, LONGEST_DELAY + 1, (count, fields, 1))
    followed = np.take_along_axis(common, LONGEST_DELAY - delay + np.arange(length), axis=2)
    now_us = time_us[:, LONGEST_DELAY:]
    noise, _ = make_noise(rng, now_us.repeat(fields, axis=0))
    noise = _standardised(autoregressive(noise, rng.uniform(0, 0.9, (len(noise), 1))))
    size = 10.0 ** rng.uniform(-1, 0, (count, fields, 1))
    values = followed + size * noise.reshape(count, fields, length)
    scale = 10.0 ** rng.uniform(-1, 3, (count, fields, 1))
    return SyntheticKeys((values + 5 * rng.normal(size=(count, fields, 1))) * scale, now_us)


def _standardised(rows: Floats) -> Floats:
    centred = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(centred.std(axis=1, keepdims=True), _LEAST))
