"""Making a prior: a network trained from nothing on synthetic streams."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

import numpy as np

from detectors.examples import Examples, training_examples, validation_examples
from detectors.frontend import series_inputs
from detectors.network import Network
from detectors.profiles import PROFILES
from detectors.synthetic import Corpus, SyntheticStreams
from pipeline.errors import MissingExtraError
from pipeline.resuming import TrainingStore, identity_of, run_training

try:
    from detectors.training import Hooks, StepReport, StreamSource, TrainingConfig
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
        makers: threads that make streams ahead of the training, so that a fast device need not wait for them; 0 makes
            them in between. It decides nothing but the speed.
    """

    training: TrainingConfig
    batch: int = 24
    length: int = 1125
    validation_series: int = 96
    time_limit_s: float | None = None
    makers: int = 0


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
    note: Callable[[str], None] = lambda _line: None,
    store: TrainingStore | None = None,
) -> Prior:
    """Train a prior.

    Args:
        config: what and how; without a time limit it decides the weights, on one machine, to the bit.
        clock: seconds that only go forward; read for the time limit.
        progress: called after each optimiser step.
        note: called with what the user is to know.
        store: keeps what an interrupted run is gone on from, and has what one was interrupted; None for nothing.

    Raises:
        CheckpointError: what is kept is damaged or of another configuration.
    """
    seed = config.training.seed
    held_out = Corpus(seed, VALIDATION_PART, config.validation_series, config.length).block(0)
    validation = validation_examples(*_as_seen(held_out), config.training.horizons)
    streams = Streams(config)
    start = clock()
    limit = config.time_limit_s
    decisive = asdict(config) | {"training": config.training.to_dict()}
    del decisive["makers"]
    trained = run_training(
        config.training,
        StreamSource(streams.batches, config.batch),
        validation,
        start=None,
        hooks=Hooks(lambda: (clock() - start) / limit if limit else 0.0, progress, note),
        store=store,
        identity=identity_of(decisive, None, {"profile": PROFILE}),
    )
    return Prior(
        network=trained.network,
        training=decisive | {"profile": PROFILE, "versions": {"numpy": np.__version__, "torch": trained.torch_version}},
        seed=seed,
        data_hash=streams.digest(-(-trained.curve.step[-1] // BLOCK_BATCHES)),
        metrics={
            "device": trained.device,
            "precision": trained.precision,
            "processes": trained.processes,
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


class Streams:
    """The series of each step, and a hash of the blocks of streams that they are of.

    Args:
        config: of the training; its makers keep ahead.
    """

    def __init__(self, config: PretrainConfig) -> None:
        self._config = config
        self._corpus = Corpus(config.training.seed, TRAINING_PART, config.batch * BLOCK_BATCHES, config.length)
        self._hash, self._hashed = hashlib.sha256(), 0

    def digest(self, blocks: int) -> str:
        """SHA-256 in hex of so many blocks, which are those that were given out, or one more."""
        self._hash_up_to(blocks)
        return self._hash.hexdigest()

    def batches(self, first_step: int) -> Iterator[Examples]:
        """Series of each step from one on, made some steps at a time because that is cheaper."""
        size = self._config.batch
        first_block, skipped = divmod(first_step - 1, BLOCK_BATCHES)
        if self._hashed > first_block:
            self._hash, self._hashed = hashlib.sha256(), 0
        self._hash_up_to(first_block)  # those of a run that is gone on with
        for block, content in _ahead(self._make, first_block, self._config.makers):
            self._hash.update(content)
            self._hashed += 1
            for first in range(skipped * size, self._corpus.count, size):
                yield block.rows(first, first + size)
            skipped = 0

    def _hash_up_to(self, blocks: int) -> None:
        while self._hashed < blocks:
            self._hash.update(self._corpus.block(self._hashed).to_bytes())
            self._hashed += 1

    def _make(self, index: int) -> tuple[Examples, bytes]:
        streams = self._corpus.block(index)
        return training_examples(*_as_seen(streams), self._config.training.horizons), streams.to_bytes()


def _ahead(make: Callable[[int], tuple[Examples, bytes]], first: int, makers: int) -> Iterator[tuple[Examples, bytes]]:
    """What is made of each number from the first on, in order, by so many threads that keep ahead."""
    if not makers:
        yield from map(make, count(first))
    executor = ThreadPoolExecutor(makers, "driftline-streams")
    try:
        making: deque[Future[tuple[Examples, bytes]]] = deque(
            executor.submit(make, first + n) for n in range(makers + 1)
        )
        for number in count(first + makers + 1):
            yield making.popleft().result()
            making.append(executor.submit(make, number))
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
