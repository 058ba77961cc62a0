"""From a history to a network: a shared one tuned, or a joint one for the fields of its keys."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.excerpts import Excerpts, Series, Track, is_dead, joint_series, lane_series, least_steps
from detectors.network import Network
from pipeline.errors import MissingExtraError, ShortHistoryError
from pipeline.resuming import TrainingStore, identity_of, run_training
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
            from. None for all.
    """

    training: TrainingConfig
    batch: int | None = None
    length: int = 256
    validation: int = 64
    by_pane: bool = False
    time_limit_s: float | None = None
    learn_from_us: int | None = None


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted network, with what its bundle is to say of it.

    Attributes:
        network: the best weights.
        training: configuration of the run and versions of the libraries that decide its bits.
        data_hash: SHA-256 of the history.
        window_us: event time of its first point, and the one before which it ends.
        metrics: of the data and the run.
    """

    network: Network
    training: dict[str, Any]
    data_hash: str
    window_us: tuple[int, int]
    metrics: dict[str, Any]


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
    gathered = gather(history, config)
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
            "series": len(series),
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
    )


@dataclass(frozen=True, slots=True)
class Gathered:
    """What there is to learn from.

    Attributes:
        series: by name.
        too_short: series that are left out, being too short.
        dead: those that are left out, of which nothing is left to learn that is not masked.
    """

    series: list[Series]
    too_short: int
    dead: int


def gather(history: History, config: FitConfig) -> Gathered:
    """The series to learn from.

    Points of episodes are masked, and so are those of lanes that tell one value for a whole excerpt.

    Raises:
        ShortHistoryError: none is long enough, or none of those that are has anything to learn from.
    """
    names, horizons = config.training.fields, config.training.horizons
    excerpt = config.training.context + config.length
    needed = max(least_steps(horizons), excerpt * 5 // 4 + 1)
    found: list[Series] = []
    too_short = longest = 0
    for _, points in history:
        step = group(points, by_pane=config.by_pane)
        tracks = {name: _track(points, step, place, excerpt) for place, name in enumerate(history.fields)}
        steps = [int(step[-1]) + 1] if names else [len(track.values) for track in tracks.values()]
        longest = max(longest, *steps)
        too_short += sum(count < needed for count in steps)
        if not names:
            found += [
                lane_series(track, horizons, begin=_begin(track.time_us, len(track.values), config))
                for track in tracks.values()
                if len(track.values) >= needed
            ]
        elif steps[0] >= needed:
            first = np.searchsorted(step, np.arange(steps[0]))
            begin = _begin(points["time_us"][first], steps[0], config)
            found.append(joint_series([tracks[name] for name in names], steps[0], horizons, begin=begin))
    if not found:
        raise ShortHistoryError(
            f"found a history of at most {longest} records a key; expected at least {needed} to learn from"
        )
    series = [one for one in found if np.isfinite(one.targets[: one.split]).any()]
    if not series:
        raise ShortHistoryError(
            f"found {len(found)} series, of which all points are of incidents or of one value for {excerpt} records; "
            "expected some that change: give a longer history"
        )
    return Gathered(series, too_short, len(found) - len(series))


def _begin(time_us: NDArray[np.int64], steps: int, config: FitConfig) -> int:
    """First step that is learned from, of the event times of all."""
    if config.learn_from_us is None:
        return 0
    newest = steps - least_steps(config.training.horizons)
    return max(min(int(np.searchsorted(time_us, config.learn_from_us)), newest), 0)


def group(points: NDArray[np.void], *, by_pane: bool) -> NDArray[np.int64]:
    """Step of the key that each of its points (n,) is of: points of one record, or of one pane, step together.

    It is the rule by which `detectors.groups` groups them.
    """
    together = np.diff(points["time_us" if by_pane else "position"]) == 0
    steps: NDArray[np.int64] = np.concatenate([[0], np.cumsum(~together)]).astype(np.int64)
    return steps


def _track(points: NDArray[np.void], step: NDArray[np.int64], place: int, excerpt: int) -> Track:
    """The points of the field at a place; a lane that has one value for a whole excerpt is masked there."""
    mine = points["field"] == place
    values, time_us, in_episode = (points[name][mine] for name in ("value", "time_us", "in_episode"))
    return Track(values, time_us, step[mine], in_episode | is_dead(values, excerpt))


def _digest(series: Sequence[Series]) -> str:
    """SHA-256 in hex of all that is learned from, what is masked included."""
    digest = hashlib.sha256()
    for one in series:
        digest.update(one.inputs.tobytes())
        digest.update(one.targets.tobytes())
    return digest.hexdigest()
