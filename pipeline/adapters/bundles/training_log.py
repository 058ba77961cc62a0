"""What a registry keeps of learning, beside its bundles.

    <url>/signals/<time, kind, 8 digits>.json
    <url>/runs/<time, 8 digits>.json
    <url>/runs/<time, 8 digits>-gate.html, -gate.json

Each is one file, whole or absent, that is never changed.
"""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from pipeline.adapters.bundles.blobs import Blobs
from pipeline.errors import RegistryError
from pipeline.learning.records import Run, Signal, decode, encode

SIGNALS, RUNS = "signals", "runs"
_END = ".json"
R = TypeVar("R", Signal, Run)


class TrainingLog:
    """Signals and runs of the registry at a URL; what was read once is not read again.

    Attributes:
        shown: the URL as it may be printed.
        damaged: by name, why a file is passed over.

    Raises:
        ConfigError: no such kind of URL, or a package for it is missing.
    """

    def __init__(self, url: str) -> None:
        self._blobs = Blobs(url)
        self._known: dict[str, Signal | Run | None] = {}
        self.shown = self._blobs.shown
        self.damaged: dict[str, str] = {}

    def signals(self) -> list[Signal]:
        """All signals, the oldest first.

        Raises:
            RegistryError: the registry cannot be reached.
        """
        return self._all(SIGNALS, Signal)

    def runs(self) -> list[Run]:
        """All runs, the oldest first; raises as `signals` does."""
        return self._all(RUNS, Run)

    def tell(self, signal: Signal) -> None:
        """Keep a signal; one of this name that is there is left as it is, so that it may be told again.

        Raises:
            RegistryError: the registry cannot be reached.
        """
        self._blobs.create(f"{SIGNALS}/{signal.name}{_END}", encode(signal))

    def keep(self, run: Run) -> None:
        """Keep what became of a run.

        Raises:
            RegistryError: there is one of this name, or the registry cannot be reached.
        """
        if not self._blobs.create(f"{RUNS}/{run.name}{_END}", encode(run)):
            raise RegistryError(f"registry {self.shown}: found a run {run.name}; expected none of this name")

    def attach(self, run: str, reports: Iterable[tuple[str, bytes]]) -> tuple[str, ...]:
        """Keep reports beside a run, and give their names, which are made of that of the run and theirs.

        Raises:
            RegistryError: the registry cannot be reached.
        """
        names = []
        for name, content in reports:
            names.append(f"{run}-{name}")
            self._blobs.put(f"{RUNS}/{names[-1]}", content)
        return tuple(names)

    def remove(self, signals: Sequence[str]) -> None:
        """Remove signals by their names.

        Raises:
            RegistryError: the registry cannot be reached.
        """
        for name in signals:
            self._blobs.remove(f"{SIGNALS}/{name}{_END}")

    def _all(self, folder: str, kind: type[R]) -> list[R]:
        paths = [f"{folder}/{name}" for name in self._blobs.names(folder) if _is_record(name)]
        new = [path for path in paths if path not in self._known]
        for path, raw in zip(new, self._blobs.get(new), strict=True):
            if raw is None:
                continue  # collected meanwhile
            try:
                self._known[path] = decode(kind, raw)
            except ValueError as exc:
                self._known[path] = None
                self.damaged[path] = str(exc)
        found = (self._known.get(path) for path in paths)
        return sorted((one for one in found if isinstance(one, kind)), key=lambda one: (one.at, one.name))


def new_name(at: datetime, kind: str = "") -> str:
    """A name that nobody else gives, which sorts by time."""
    return "-".join(filter(None, (f"{at:%Y%m%dT%H%M%SZ}", kind, uuid.uuid4().hex[:8])))


def _is_record(name: str) -> bool:
    return name.endswith(_END) and not name.endswith("-gate.json")
