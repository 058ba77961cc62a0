"""Trainings that go on where they were when their process ended."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from detectors.examples import Examples
from detectors.network import Network
from pipeline.errors import CheckpointError, MissingExtraError

try:
    from detectors.training import TORCH_VERSION, Hooks, Source, Trained, TrainingConfig, TrainingState, train
except ModuleNotFoundError as exc:
    if exc.name != "torch":
        raise
    raise MissingExtraError("found no torch; expected it for training: pip install 'driftline[train]'") from exc


class TrainingStore(Protocol):
    """Keeps what a training can be gone on from."""

    def load(self, identity: str) -> Mapping[str, NDArray[Any]] | None:
        """What was kept last of a training; None for nothing."""

    def keep(self, identity: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keep that instead, whole or not at all."""


def run_training(
    config: TrainingConfig,
    source: Source,
    validation: Examples,
    *,
    start: Network | None,
    hooks: Hooks,
    store: TrainingStore | None,
    identity: str,
) -> Trained:
    """Train, going on from what the store has of this training, and keeping there what it can be gone on from.

    Args:
        config, source, validation, start: see `detectors.training.train`.
        hooks: its `keep` is replaced.
        store: None to keep nothing.
        identity: of the training, see `identity_of`.

    Raises:
        CheckpointError: what the store has is damaged or of another training.
        ValueError: see `detectors.training.train`.
    """
    if store is None:
        return train(config, source, validation, start=start, hooks=hooks)
    resume = _resume(store.load(identity))
    if resume is not None:
        hooks.note(f"going on behind step {resume.step} of a training that was interrupted")
    keeping = replace(hooks, keep=lambda state: store.keep(identity, state.to_arrays()))
    return train(config, source, validation, start=start, resume=resume, hooks=keeping)


def identity_of(config: Mapping[str, Any], start: Network | None, learned: Mapping[str, str]) -> str:
    """SHA-256 in hex of all that decides the weights of a training.

    Args:
        config: of the run, as JSON has it.
        start: weights to begin with.
        learned: digests of what is learned from, by name.
    """
    versions = {"numpy": np.__version__, "torch": TORCH_VERSION}
    told = {"config": config, "learned": learned, "versions": versions}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    arrays = {} if start is None else start.arrays
    for name in sorted(arrays):
        digest.update(name.encode() + arrays[name].tobytes())
    return digest.hexdigest()


def _resume(arrays: Mapping[str, NDArray[Any]] | None) -> TrainingState | None:
    if arrays is None:
        return None
    try:
        return TrainingState.from_arrays(arrays)
    except (KeyError, ValueError) as exc:
        raise CheckpointError(
            f"found an interrupted training that this version cannot go on with ({exc}); expected one of its own: "
            "begin anew with --fresh"
        ) from exc
