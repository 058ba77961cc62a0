"""Short trainings on noisy sines."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from detectors.examples import Examples, training_examples, validation_examples
from detectors.network import Network

if TYPE_CHECKING:
    from detectors.training import Trained

HORIZONS = (1, 3)
CONFIG: dict[str, Any] = {
    "seed": 7,
    "hidden": 6,
    "horizons": HORIZONS,
    "steps": 60,
    "warm_up_steps": 5,
    "peak_rate": 1e-2,
    "validate_every": 20,
    "device": "cpu",
}


def waves(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Eight noisy sines of random phase, with the value and its increment as inputs and a fixed normaliser."""
    rng = np.random.default_rng(seed)
    values = np.sin(np.arange(250) / 3 + rng.uniform(0, 6, (8, 1))) + 0.05 * rng.normal(size=(8, 250))
    z = np.arcsinh(values)
    inputs = np.stack([z, np.diff(z, axis=1, prepend=z[:, :1])], axis=-1).astype(np.float32)
    return values, inputs, np.zeros_like(values), np.ones_like(values)


def batches(first_step: int) -> Iterator[Examples]:
    """Endless fresh batches, each step's by its number."""
    seed = 99 + first_step
    while True:
        yield training_examples(*waves(seed), HORIZONS)
        seed += 1


def run(*, hooks: dict[str, Any] | None = None, resume: Any = None, **changes: Any) -> "Trained":
    """A short run on the waves, with changes to its configuration and with hooks."""
    from detectors.training import Hooks, StreamSource, TrainingConfig, train

    config = TrainingConfig(**CONFIG | changes)
    source = StreamSource(batches, 8)
    return train(config, source, validation_examples(*waves(7), HORIZONS), resume=resume, hooks=Hooks(**hooks or {}))


def same(one: Network, other: Network) -> bool:
    """Whether two networks have the same weights, to the bit."""
    return all(array.tobytes() == other.arrays[name].tobytes() for name, array in one.arrays.items())
