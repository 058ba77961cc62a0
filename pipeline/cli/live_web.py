"""Puts the live page together: what it asks, what happened to bundles and became of trainings, and its files."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.adapters.bundles.history import Event
from pipeline.adapters.bundles.reading import RegistryView
from pipeline.adapters.bundles.training_log import TrainingLog
from pipeline.adapters.live.api import endpoints
from pipeline.adapters.live.networks import ModelEvent, ModelHistory, Training, WaitingSignal
from pipeline.adapters.live.page import page_files
from pipeline.adapters.live.source import LiveSource
from pipeline.adapters.live.web import Web, names_of
from pipeline.adapters.report.shared import shared_files
from pipeline.cli.champion import SHORT
from pipeline.cli.opening import followed_registry
from pipeline.config import Config
from pipeline.errors import DriftlineError
from pipeline.learning.records import Run, Signal
from pipeline.learning.schedule import is_answered

_LOOK_S = 10.0
_WAIT_S = 2.0
_MOST = 100


def make_web(config: Config, source: LiveSource) -> Web | None:
    """The page and the API over what they ask; None where they are not wanted."""
    if not config.http.live:
        return None
    followed = followed_registry(config)
    url = followed or config.models.registry
    models = RegistryLook(lambda: (RegistryView(url), TrainingLog(url)), is_followed=followed is not None)
    hosts = names_of(config.http.host, config.http.hosts or ())
    return Web(endpoints(source, models), page_files(shared_files()), hosts)


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read last."""

    champion: str | None = None
    held: bool = False
    events: list[ModelEvent] = field(default_factory=list)
    trainings: list[Training] = field(default_factory=list)
    waiting: list[WaitingSignal] = field(default_factory=list)


class RegistryLook:
    """Fulfils `pipeline.adapters.live.source.ModelSource`.

    A registry may be far away. So it is read on a thread of its own, when somebody asks and what is known is old.

    Args:
        open_registry: it, and what it keeps of learning; it may raise `DriftlineError`.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        open_registry: Callable[[], tuple[RegistryView, TrainingLog]],
        *,
        is_followed: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_registry = open_registry
        self._is_followed = is_followed
        self._clock = clock
        self._registry: tuple[RegistryView, TrainingLog] | None = None
        self._lock = threading.Lock()
        self._looked_s: float | None = None
        self._looking: threading.Thread | None = None
        self._known = _Known()
        self._trouble = False

    def history(self, bundle: str) -> ModelHistory:
        """See `ModelSource`."""
        with self._lock:
            now = self._clock()
            if self._looking is None and (self._looked_s is None or now - self._looked_s > _LOOK_S):
                self._looked_s = now
                self._looking = threading.Thread(target=self._look, name="models", daemon=True)
                self._looking.start()
            looking = self._looking
        if looking is not None:
            looking.join(_WAIT_S)
        known = self._known
        return ModelHistory(
            bundle,
            self._is_followed,
            known.champion,
            known.held,
            self._trouble,
            known.events,
            known.trainings,
            known.waiting,
        )

    def _look(self) -> None:
        try:
            self._registry = self._registry or self._open_registry()
            view, log = self._registry
            standing, events = view.standing(), view.history()
            runs, signals = log.runs(), log.signals()
            self._known = _Known(
                _short(standing.champion),
                standing.hold is not None,
                [_told(event) for event in reversed(events[-_MOST:])],
                [_training(run) for run in reversed(runs[-_MOST:])],
                [_waiting(one) for one in signals if not is_answered(one, runs, standing.champion or "")][:_MOST],
            )
            self._trouble = False
        except DriftlineError:
            self._trouble = True  # its message may name paths; the log of whoever follows the registry has it
        finally:
            self._looking = None


def _told(event: Event) -> ModelEvent:
    return ModelEvent(
        event.sequence,
        event.kind,
        _milliseconds(event.at),
        event.actor,
        event.reason,
        _short(event.bundle),
        _short(event.champion),
    )


def _training(run: Run) -> Training:
    return Training(
        name=run.name,
        time_ms=_milliseconds(run.at),
        trigger=run.trigger,
        outcome=run.outcome,
        told="" if run.outcome == "failed" else run.told,  # an error may name paths
        since_ms=_milliseconds(run.since),
        until_ms=_milliseconds(run.until),
        champion=_short(run.champion),
        bundle=_short(run.bundle),
        champion_loss=run.champion_loss,
        challenger_loss=run.challenger_loss,
        points=run.points,
        duration_s=sum(run.seconds.values()),
        device=run.device,
    )


def _waiting(signal: Signal) -> WaitingSignal:
    return WaitingSignal(
        name=signal.name,
        kind=signal.kind,
        time_ms=_milliseconds(signal.at),
        by=signal.by,
        reason=signal.reason,
        topic=signal.topic,
        partition=signal.partition,
        before=signal.before,
        behind=signal.behind,
    )


def _milliseconds(time: datetime) -> float:
    return time.timestamp() * 1000.0


def _short(bundle: str | None) -> str | None:
    return bundle[:SHORT] if bundle else None
