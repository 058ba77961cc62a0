"""The champion of a registry, watched from beside the service: newer ones are read here, and left from here.

A registry may be far away. So a thread of its own looks at it every so often, reads a newer champion whole and checks
it, and only then is it there for the loop to take. What cannot be used is told once, and the one before goes on.
"""

import queue
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from pipeline.adapters.bundles import Bundle
from pipeline.adapters.bundles.history import Act
from pipeline.adapters.bundles.reading import RegistryView
from pipeline.adapters.bundles.registry import Registry
from pipeline.errors import BundleError, ConflictError, DriftlineError, RegistryError
from pipeline.service.plan import Log

ACTOR = "driftline serve"
SHORT = 16
"""Digits of an id as people are shown it."""


class KnownBundles:
    """Fulfils `pipeline.cli.workshop.Bundles`, where none is to be gone over to.

    Args:
        reader: of the registry that bundles of snapshots are looked for in, which restoring waits for.
        known: bundles that need not be looked for.
    """

    def __init__(self, reader: RegistryView, known: Iterable[Bundle], log: Log) -> None:
        self._reader = reader
        self._known = {bundle.short_id: bundle for bundle in known}
        self._log = log

    def newer(self) -> Bundle | None:
        """See `Bundles`."""
        return None

    def find(self, short_id: str) -> Bundle | None:
        """See `Bundles`."""
        if short_id not in self._known:
            try:
                self._known[short_id] = self._reader.load(self._reader.find(short_id))
            except DriftlineError as exc:
                self._log.error("bundle_unusable", bundle=short_id, error=str(exc))
        return self._known.get(short_id)


class ChampionWatch(KnownBundles):
    """Fulfils `pipeline.cli.workshop.Bundles` with the champion of a registry.

    Args:
        registry: used by the watch's own thread alone.
        reader, known: see `KnownBundles`.
        current: the bundle that scores at first.
        require_usable: raises `DriftlineError` for a bundle that this service cannot score with.
        interval_s: seconds between two looks.
    """

    def __init__(
        self,
        registry: Registry,
        reader: RegistryView,
        known: Iterable[Bundle],
        current: Bundle,
        require_usable: Callable[[Bundle], None],
        log: Log,
        *,
        interval_s: float,
    ) -> None:
        super().__init__(reader, (*known, current), log)
        self._registry = registry
        self._require_usable = require_usable
        self._interval_s = interval_s
        self._seen = current.manifest.id
        self._ready: queue.SimpleQueue[Bundle] = queue.SimpleQueue()
        self._to_leave: tuple[str, str] | None = None
        self._end = threading.Event()
        self._is_cut_off = False
        self._thread = threading.Thread(target=self._run, name="champion", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def close(self) -> None:
        """Look no more; one that hangs in the middle of a look is left to the end of the process."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(self._interval_s)

    def newer(self) -> Bundle | None:
        """See `Bundles`."""
        newest = None
        while not self._ready.empty():
            newest = self._ready.get()
        return newest

    def leave(self, bundle: str, reason: str) -> None:
        """Have the registry go back from a bundle, and hold promotion; answers at once.

        Args:
            bundle: its short id; when another one is champion by then, nothing is done.
        """
        self._to_leave = bundle, reason

    def learned(self, bundle: str, lesson: str) -> None:
        """Tell what the bundle before does now that another one was left.

        Args:
            bundle: short id of the one that was left.
        """
        self._log.warning("rollback_explained", bundle=bundle, lesson=lesson, release="driftline models release")

    def _run(self) -> None:
        while not self._end.wait(self._interval_s):
            try:
                if self._to_leave is not None:
                    self._go_back(*self._to_leave)
                    self._to_leave = None
                self._look()
                self._is_cut_off = False
            except RegistryError as exc:
                if not self._is_cut_off:
                    self._log.warning("registry_trouble", error=str(exc), detail="the bundle in service goes on")
                self._is_cut_off = True

    def _look(self) -> None:
        champion = self._registry.champion()
        if champion is None or champion == self._seen:
            return
        try:
            bundle = self._registry.load(champion)
            self._require_usable(bundle)
        except BundleError as exc:
            self._log.error("champion_refused", bundle=champion[:SHORT], error=str(exc))
        else:
            self._log.info("champion_found", bundle=bundle.short_id)
            self._ready.put(bundle)
        self._seen = champion

    def _go_back(self, bundle: str, reason: str) -> None:
        champion = self._registry.champion()
        if champion is None or not champion.startswith(bundle):
            return
        act = Act(ACTOR, datetime.now(UTC), reason)
        try:
            event = self._registry.rollback(act, hold=True, expected=champion)
        except ConflictError:
            return  # somebody else has just decided
        self._log.error(
            "rolled_back", bundle=bundle, to=(event.champion or "")[:SHORT], reason=reason,
            detail="promotion is held until driftline models release",
        )  # fmt: skip
