"""Making a prior: a network trained from nothing on synthetic streams."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

import numpy as np

from detectors.examples import Examples, training_examples, validation_examples
from detectors.frontend import series_inputs
from detectors.layout import PROFILES
from detectors.network import Network
from detectors.synthetic import Corpus, SyntheticStreams
from pipeline.errors import MissingExtraError

try:
    from detectors.training import StepReport, TrainingConfig, train
except ModuleNotFoundError as exc:
    if exc.name != "torch":
        raise
    raise MissingExtraError("found no torch; expected it for training: pip install 'driftline[train]'") from exc

PROFILE = "balanced"
"""Whose look-back the inputs are made with; every profile is served by the same network."""
BLOCK_BATCHES = 10
TRAINING_PART, VALIDATION_PART = 0, 1


@dataclass(frozen=True, slots=True)
class PretrainConfig:
    """What to train on, and how.

    Attributes:
        training: of the network; its seed is that of the corpus as well.
        batch: series per optimiser step.
        length: points per series, of which the last fifth is held back.
        validation_series: held-out series.
        time_limit_s: ends the run early, its learning rate lowered in time; None for no limit.
    """

    training: TrainingConfig
    batch: int = 24
    length: int = 1125
    validation_series: int = 96
    time_limit_s: float | None = None


@dataclass(frozen=True, slots=True)
class Prior:
    """A pre-trained network, with what its bundle is to say of it.

    Attributes:
        network: the best weights.
        training: configuration of the run and versions of the libraries that decide its bits.
        seed: of weights and corpus.
        data_hash: SHA-256 of the blocks of synthetic streams trained on.
        metrics: learning curve, and validation loss and errors by horizon.
    """

    network: Network
    training: dict[str, Any]
    seed: int
    data_hash: str
    metrics: dict[str, Any]


def pretrain(
    config: PretrainConfig,
    *,
    clock: Callable[[], float],
    progress: Callable[[StepReport], None],
) -> Prior:
    """Train a prior.

    Args:
        config: what and how; without a time limit it decides the weights, on one machine, to the bit.
        clock: seconds that only go forward; read for the time limit.
        progress: called after each optimiser step.
    """
    seed = config.training.seed
    held_out = Corpus(seed, VALIDATION_PART, config.validation_series, config.length).block(0)
    validation = validation_examples(*_as_seen(held_out), config.training.horizons)
    digest = hashlib.sha256()
    start = clock()
    limit = config.time_limit_s

    trained = train(
        config.training,
        _batches(config, digest.update),
        validation,
        elapsed_fraction=lambda: (clock() - start) / limit if limit else 0.0,
        progress=progress,
    )
    return Prior(
        network=trained.network,
        training=asdict(config)
        | {"profile": PROFILE, "versions": {"numpy": np.__version__, "torch": trained.torch_version}},
        seed=seed,
        data_hash=digest.hexdigest(),
        metrics={
            "device": trained.device,
            "best_step": trained.best_step,
            "learning_curve": asdict(trained.curve),
            "validation_loss": trained.loss_by_horizon,
            "validation_error": trained.error_by_horizon,
            "persistence_error": trained.persistence_error_by_horizon,
        },
    )


def _as_seen(streams: SyntheticStreams) -> tuple[Any, Any, Any, Any]:
    """Values, inputs, mean and sd, from the front end that scoring uses."""
    return streams.values, *series_inputs(streams.values, streams.time_us, PROFILES[PROFILE])


def _batches(config: PretrainConfig, update_hash: Callable[[bytes], None]) -> Iterator[Examples]:
    """Endless batches, made some at a time because that is cheaper; each block made is hashed."""
    corpus = Corpus(config.training.seed, TRAINING_PART, config.batch * BLOCK_BATCHES, config.length)
    for index in count():
        streams = corpus.block(index)
        update_hash(streams.to_bytes())
        examples = training_examples(*_as_seen(streams), config.training.horizons)
        for first in range(0, corpus.count, config.batch):
            yield examples.rows(first, first + config.batch)
