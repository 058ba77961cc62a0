"""From a history to a network: a shared one tuned, or a joint one for the fields of its keys."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from detectors.excerpts import Excerpts
from detectors.network import Network
from detectors.series import Series
from pipeline.errors import MissingExtraError, ShortHistoryError
from pipeline.resuming import TrainingStore, identity_of, run_training
from pipeline.training.gathering import GatherConfig, gather
from pipeline.training.history import History

try:
    from detectors.training import ExcerptSource, Hooks, StepReport, TrainingConfig
except ModuleNotFoundError as exc:
    if exc.name != "torch":
        raise
    raise MissingExtraError("found no torch; expected it for training: pip install 'driftline[train]'") from exc


@dataclass(frozen=True, slots=True)
class FitConfig:
    """How to fit.

    Attributes:
        training: of the network; its seed decides the excerpts as well.
        batch: excerpts per optimiser step; None for as many as the memory of a CUDA device has room for, 24 on a CPU.
        length: steps of an excerpt, through which gradients flow.
        validation: excerpts of what is held back.
        by_pane: whether windows are by event time, so that what a key's fields have at a time belongs together.
        time_limit_s: ends the run early, its learning rate lowered in time; None for no limit.
        learn_from_us: event time from which on there is something to learn, and of which the newest fifth is held back;
            what comes before is gone through, so that states are those of scoring. At least `least_steps` are learned
            from, and beside them histories in which what is new has gone on. None for all.
    """

    training: TrainingConfig
    batch: int | None = None
    length: int = 256
    validation: int = 64
    by_pane: bool = False
    time_limit_s: float | None = None
    learn_from_us: int | None = None

    @property
    def gathering(self) -> GatherConfig:
        """What decides the series."""
        of = self.training
        return GatherConfig(of.horizons, of.fields, of.context, self.length, self.by_pane, self.learn_from_us, of.seed)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted network, with what its bundle is to say of it.

    Attributes:
        network: the best weights.
        training: configuration of the run and versions of the libraries that decide its bits.
        data_hash: SHA-256 of the history.
        window_us: event time of its first point, and the one before which it ends.
        metrics: of the data and the run.
        device_bytes: most memory of its own that the device had in use; 0 for a CPU. The bundle does not tell it,
            being the same however often a run was interrupted.
    """

    network: Network
    training: dict[str, Any]
    data_hash: str
    window_us: tuple[int, int]
    metrics: dict[str, Any]
    device_bytes: int


def fit(
    history: History,
    config: FitConfig,
    start: Network | None,
    *,
    clock: Callable[[], float],
    progress: Callable[[StepReport], None],
    note: Callable[[str], None] = lambda _line: None,
    store: TrainingStore | None = None,
) -> Fitted:
    """Fit a network to a history.

    Args:
        history: of a replay that is over.
        config: what and how; without a time limit it and the history decide the weights, on one machine, to the bit.
        start: weights to begin with; None for random ones.
        clock: seconds that only go forward; read for the time limit.
        progress: called after each optimiser step.
        note: called with what the user is to know.
        store: keeps what an interrupted fit is gone on from, and has what one was interrupted; None for nothing.

    Raises:
        CheckpointError: what is kept is damaged, or of another history or configuration.
        ShortHistoryError: the history is too short to learn from, or there is nothing of it that is not masked.
    """
    gathered = gather(history, config.gathering)
    series = gathered.series
    excerpts = Excerpts(series, config.training.context, config.length, len(config.training.fields) or 1)
    validation = excerpts.held_back(config.validation)
    if not np.isfinite(validation.targets).any(axis=(0, 1)).all():
        raise ShortHistoryError(
            "found a horizon of which nothing is left to judge by, all being masked or across gaps; expected some: "
            "give a longer history"
        )
    began, limit = clock(), config.time_limit_s
    source = ExcerptSource(excerpts, config.training.seed, config.batch)
    hooks = Hooks(lambda: (clock() - began) / limit if limit else 0.0, progress, note)
    data_hash = history.digest()
    told = asdict(config) | {"training": config.training.to_dict()}
    trained = run_training(
        config.training,
        source,
        validation,
        start=start,
        hooks=hooks,
        store=store,
        identity=identity_of(told, start, {"history": data_hash, "series": _digest(series)}),
    )
    return Fitted(
        network=trained.network,
        training=told | {"batch": trained.batch, "versions": {"numpy": np.__version__, "torch": trained.torch_version}},
        data_hash=data_hash,
        window_us=history.window_us(),
        metrics={
            "device": trained.device,
            "precision": trained.precision,
            "processes": trained.processes,
            "best_step": trained.best_step,
            "series": len(series) - gathered.prolonged,
            "series_prolonged": gathered.prolonged,
            "series_too_short": gathered.too_short,
            "series_dead": gathered.dead,
            "points": history.points_kept,
            "points_seen": history.points_seen,
            "keys_seen": history.keys_seen,
            "learning_curve": asdict(trained.curve),
            "validation_loss": trained.loss_by_horizon,
            "validation_error": trained.error_by_horizon,
            "persistence_error": trained.persistence_error_by_horizon,
        },
        device_bytes=trained.device_bytes,
    )


def _digest(series: Sequence[Series]) -> str:
    """SHA-256 in hex of all that is learned from, what is masked included."""
    digest = hashlib.sha256()
    for one in series:
        digest.update(one.inputs.tobytes())
        digest.update(one.targets.tobytes())
    return digest.hexdigest()
