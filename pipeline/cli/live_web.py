"""Puts the live page together: what it asks, what happened to bundles, and its files."""

import threading
import time
from collections.abc import Callable

from pipeline.adapters.bundles.history import Event
from pipeline.adapters.bundles.reading import RegistryView
from pipeline.adapters.live.api import endpoints
from pipeline.adapters.live.model import ModelEvent, ModelHistory
from pipeline.adapters.live.page import page_files
from pipeline.adapters.live.source import LiveSource
from pipeline.adapters.live.web import Web, names_of
from pipeline.adapters.report.shared import shared_files
from pipeline.cli.champion import SHORT
from pipeline.cli.opening import followed_registry
from pipeline.config import Config
from pipeline.errors import DriftlineError

_LOOK_S = 10.0
_WAIT_S = 2.0
_EVENTS = 100


def make_web(config: Config, source: LiveSource) -> Web | None:
    """The page and the API over what they ask; None where they are not wanted."""
    if not config.http.live:
        return None
    followed = followed_registry(config)
    url = followed or config.models.registry
    models = RegistryLook(lambda: RegistryView(url), is_followed=followed is not None)
    hosts = names_of(config.http.host, config.http.hosts or ())
    return Web(endpoints(source, models), page_files(shared_files()), hosts)


class RegistryLook:
    """Fulfils `pipeline.adapters.live.source.ModelSource`.

    A registry may be far away. So it is read on a thread of its own, when somebody asks and what is known is old.

    Args:
        open_view: of the registry; it may raise `DriftlineError`.
        clock: monotonic seconds.
    """

    def __init__(
        self, open_view: Callable[[], RegistryView], *, is_followed: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._open_view = open_view
        self._is_followed = is_followed
        self._clock = clock
        self._view: RegistryView | None = None
        self._lock = threading.Lock()
        self._looked_s: float | None = None
        self._looking: threading.Thread | None = None
        self._known: tuple[str | None, bool, list[ModelEvent]] = (None, False, [])
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
        champion, held, events = self._known
        return ModelHistory(bundle, self._is_followed, champion, held, self._trouble, events)

    def _look(self) -> None:
        try:
            self._view = self._view or self._open_view()
            standing, events = self._view.standing(), self._view.history()
            self._known = (
                _short(standing.champion),
                standing.hold is not None,
                [_told(event) for event in reversed(events[-_EVENTS:])],
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
        event.at.timestamp() * 1000.0,
        event.actor,
        event.reason,
        _short(event.bundle),
        _short(event.champion),
    )


def _short(bundle: str | None) -> str | None:
    return bundle[:SHORT] if bundle else None
