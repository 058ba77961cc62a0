"""Snapshots as files in a folder at any URL that fsspec knows.

    <url>/<group>/<topic>/<partition>/<offset, 20 digits>-<digest>/page-00000.zst ...
                                                                   complete.json

No file is ever renamed or changed: an object store will do. A snapshot's folder bears its content's digest, so that two
writers of the same snapshot write the same, and those of different ones do not meet.

What lies there and is damaged is passed over; a store that cannot be reached is another matter, and raises.
"""

import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import quote

import fsspec
import msgspec

from pipeline.adapters.state.assembly import Assembly, DamagedError, read_mark
from pipeline.adapters.state.pages import PREPARE_S, Mark, Snapshot, Steps, cut, name, weight
from pipeline.errors import CheckpointError, ConfigError
from pipeline.records import Checkpoint, Place

_KEPT = 2
_MARK = "complete.json"
_FOLDER = re.compile(r"\d{20}-[0-9a-f]{12}")
_WRITE_S = 0.5


class FileStateStore:
    """Fulfils `pipeline.interfaces.StateStore` by files.

    Args:
        url: of the folder.

    Raises:
        ConfigError: no such kind of URL, or a package for it is missing.
    """

    def __init__(self, url: str, group: str) -> None:
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as exc:
            raise ConfigError(f"[state] store: found {url!r} ({exc}); expected 'kafka' or the URL of a folder") from exc
        self._url = url
        self._group = group

    def writer(self, place: Place, offset: int, state: Checkpoint) -> "_Writer":
        """See `pipeline.interfaces.StateStore`."""
        return _Writer(self, place, cut(offset, state))

    def reader(self, place: Place, at_most: int, note: str) -> "_Reader":
        """See `pipeline.interfaces.StateStore`."""
        return _Reader(self, place, at_most, note)

    def forget(self, place: Place) -> None:
        """Nothing is known but what lies there."""

    def close(self) -> None:
        """Nothing is kept open."""

    def probe(self) -> None:
        """Write, read and remove a file.

        Raises:
            CheckpointError: that cannot be done.
        """
        path = f"{self._root.rstrip('/')}/probe-{uuid.uuid4().hex}"
        with self.told(Place("probe", 0)):
            self.put(path, b"driftline")
            if self.get(path) != b"driftline":
                raise OSError("what was written did not come back")
            self._files.rm_file(path)

    def folder(self, place: Place) -> str:
        """Of the snapshots of a partition."""
        safe = [quote(part, safe="") for part in (self._group, place.topic, str(place.partition))]
        return "/".join([self._root.rstrip("/"), *safe])

    def snapshots(self, place: Place) -> list[str]:
        """Folders of the snapshots of a partition, complete or not, oldest first; nothing else that may lie there."""
        with self.told(place):
            folder = self.folder(place)
            self._files.invalidate_cache()
            try:
                found = self._files.ls(folder, detail=False)
            except FileNotFoundError:
                return []
            names = sorted({str(path).rstrip("/").rpartition("/")[2] for path in found})
            return [f"{folder}/{one}" for one in names if _FOLDER.fullmatch(one)]

    def mark(self, snapshot: str) -> bytes:
        """Of a snapshot; empty for one that is not complete, as its writer was interrupted."""
        try:
            return self.get(f"{snapshot}/{_MARK}")
        except FileNotFoundError:
            return b""

    def put(self, path: str, content: bytes) -> None:
        """Write a file."""
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(path, content)

    def get(self, path: str) -> bytes:
        """Read a file."""
        return bytes(self._files.cat_file(path))

    def remove(self, snapshot: str) -> None:
        """Remove a snapshot, its mark first; another writer may be about it too."""
        with suppress(FileNotFoundError):
            self._files.rm_file(f"{snapshot}/{_MARK}")
        with suppress(FileNotFoundError):
            self._files.rm(snapshot, recursive=True)

    @contextmanager
    def told(self, place: Place) -> Iterator[None]:
        """Tells whatever goes wrong with files as `CheckpointError`."""
        try:
            yield
        except CheckpointError:
            raise
        except Exception as exc:
            # each kind of store raises its own
            raise CheckpointError(
                f"{self._url}, state of {name(place)}: found that it cannot be reached ({type(exc).__name__}: {exc}); "
                "expected a folder to read and write"
            ) from exc


class _Writer:
    """Fulfils `pipeline.interfaces.SnapshotWriter`."""

    def __init__(self, store: FileStateStore, place: Place, snapshot: Snapshot) -> None:
        self._store = store
        self._place = place
        self._snapshot = snapshot
        self._written = 0

    def write(self, max_bytes: int) -> bool:
        """See `pipeline.interfaces.SnapshotWriter`; not for longer than a moment, as a store may be far away."""
        if not self._snapshot.prepare(PREPARE_S):
            return False
        deadline = time.monotonic() + _WRITE_S
        mark = self._snapshot.mark
        folder = f"{self._store.folder(self._place)}/{_folder_name(mark)}"
        with self._store.told(self._place):
            left = max_bytes
            while left > 0:
                page = next(self._snapshot.pages, None)
                if page is None:
                    self._store.put(f"{folder}/{_MARK}", msgspec.json.encode(mark))
                    self._clean(folder)
                    return True
                self._store.put(f"{folder}/{_page_name(self._written)}", page)
                self._written += 1
                left -= weight(page)
                if time.monotonic() > deadline:
                    break
        return False

    def _clean(self, mine: str) -> None:
        """Remove what is older than the newest few complete ones."""
        older = [one for one in self._store.snapshots(self._place) if one < mine]
        complete = 1
        for one in reversed(older):
            if complete >= _KEPT:
                self._store.remove(one)
            elif self._store.mark(one):
                complete += 1

    def note(self) -> str:
        """See `pipeline.interfaces.SnapshotWriter`."""
        return self._snapshot.mark.id


class _Reader:
    """Fulfils `pipeline.interfaces.SnapshotReader`: first that of the note, then the newest."""

    def __init__(self, store: FileStateStore, place: Place, at_most: int, note: str) -> None:
        self._store = store
        self._place = place
        self._at_most = at_most
        self._note = note
        self._waiting: list[str] | None = None
        self._assembly: Assembly | None = None
        self._mark: Mark | None = None
        self._last: Steps[Checkpoint] | None = None
        self._found: tuple[Checkpoint, int] | None = None
        self._damages: list[str] = []

    def read(self, budget_s: float) -> bool:
        """See `pipeline.interfaces.SnapshotReader`.

        Raises:
            CheckpointError: the store cannot be reached, which says nothing of what lies there.
        """
        deadline = time.monotonic() + budget_s
        if self._waiting is None:
            self._waiting = self._list()
        while self._waiting and self._found is None:
            try:
                with self._store.told(self._place):
                    self._go_on(self._waiting[-1], deadline - time.monotonic())
            except DamagedError as exc:
                self._damages.append(str(exc))
                self._leave()
            if time.monotonic() > deadline:
                break
        return not self._waiting or self._found is not None

    def _list(self) -> list[str]:
        """Folders to look at, the best one last."""
        found = self._store.snapshots(self._place)
        found = [one for one in found if _offset(one) <= self._at_most]
        return sorted(found, key=lambda one: _is_of(one, self._note))

    def _go_on(self, snapshot: str, budget_s: float) -> None:
        """Read the mark, a page, or put all together."""
        if self._mark is None or self._assembly is None:
            content = self._store.mark(snapshot)
            if not content:
                self._leave()
                return
            self._mark = read_mark(snapshot, content)
            if f"{_folder_name(self._mark)}" != snapshot.rpartition("/")[2]:
                raise DamagedError(f"{snapshot}: found the mark of snapshot {self._mark.id}; expected its own")
            self._assembly = Assembly(snapshot, self._mark)
        elif self._assembly.pages < self._mark.pages:
            path = f"{snapshot}/{_page_name(self._assembly.pages)}"
            try:
                page = self._store.get(path)
            except FileNotFoundError as exc:
                raise DamagedError(f"{path}: found no such page; expected {self._mark.pages} of them") from exc
            self._assembly.add(page)
        else:
            self._last = self._last or Steps(self._assembly.finish())
            if self._last.go_on(budget_s):
                self._found = self._last.result(), self._mark.offset
                self._assembly = self._last = None

    def _leave(self) -> None:
        """Pass over one."""
        if self._waiting:
            self._waiting.pop()
        self._mark = self._assembly = self._last = None

    def found(self) -> tuple[Checkpoint, int] | None:
        """See `pipeline.interfaces.SnapshotReader`."""
        return self._found

    def damages(self) -> Sequence[str]:
        """See `pipeline.interfaces.SnapshotReader`."""
        return self._damages


def _folder_name(mark: Mark) -> str:
    return f"{mark.offset:020d}-{mark.digest[:12]}"


def _page_name(number: int) -> str:
    return f"page-{number:05d}.zst"


def _offset(snapshot: str) -> int:
    return int(snapshot.rpartition("/")[2].partition("-")[0])


def _is_of(snapshot: str, note: str) -> bool:
    """Whether a writer's note is of this snapshot."""
    return f"{_offset(snapshot)}-{snapshot.rpartition('-')[2]}" == note
