"""Snapshots as files in a folder at any URL that fsspec knows.

    <url>/<group>/<topic>/<partition>/<offset, 20 digits>-<digest>/page-00000.zst ...
                                                                   complete.json

No file is ever renamed or changed: an object store will do. A snapshot's folder bears its content's digest, so that two
writers of the same snapshot write the same, and those of different ones do not meet.
"""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import fsspec
import msgspec

from pipeline.adapters.state.pages import Mark, Snapshot, cut, join, name, read_mark
from pipeline.errors import CheckpointError, ConfigError
from pipeline.records import Checkpoint, Place

_KEPT = 2
_MARK = "complete.json"


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

    def reader(self, place: Place, at_most: int, note: str) -> "_Reader":  # noqa: ARG002  a folder needs no hint
        """See `pipeline.interfaces.StateStore`."""
        return _Reader(self, place, at_most)

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
        """Folders of the snapshots of a partition, oldest first."""
        with self.told(place):
            folder = self.folder(place)
            self._files.invalidate_cache()
            if not self._files.exists(folder):
                return []
            return sorted(str(path).rstrip("/") for path in self._files.ls(folder, detail=False))

    def is_complete(self, snapshot: str) -> bool:
        """Whether it has its mark."""
        return bool(self._files.exists(f"{snapshot}/{_MARK}"))

    def put(self, path: str, content: bytes) -> None:
        """Write a file."""
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(path, content)

    def get(self, path: str) -> bytes:
        """Read a file."""
        return bytes(self._files.cat_file(path))

    def remove(self, snapshot: str) -> None:
        """Remove a snapshot, its mark first."""
        if self.is_complete(snapshot):
            self._files.rm_file(f"{snapshot}/{_MARK}")
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
        self._folder = f"{store.folder(place)}/{_folder_name(snapshot.mark)}"
        self._written = 0

    def write(self, max_bytes: int) -> bool:
        """See `pipeline.interfaces.SnapshotWriter`."""
        with self._store.told(self._place):
            left = max_bytes
            while left > 0:
                page = next(self._snapshot.pages, None)
                if page is None:
                    self._store.put(f"{self._folder}/{_MARK}", msgspec.json.encode(self._snapshot.mark))
                    self._clean()
                    return True
                self._store.put(f"{self._folder}/page-{self._written:05d}.zst", page)
                self._written += 1
                left -= len(page)
        return False

    def _clean(self) -> None:
        """Remove what is older than the newest few complete ones."""
        older = [one for one in self._store.snapshots(self._place) if one < self._folder]
        complete = [one for one in older if self._store.is_complete(one)]
        oldest_kept = complete[-(_KEPT - 1)] if len(complete) >= _KEPT - 1 else ""
        for one in older:
            if one < oldest_kept:
                self._store.remove(one)

    def note(self) -> str:
        """See `pipeline.interfaces.SnapshotWriter`."""
        return self._snapshot.mark.id


class _Reader:
    """Fulfils `pipeline.interfaces.SnapshotReader`."""

    def __init__(self, store: FileStateStore, place: Place, at_most: int) -> None:
        self._store = store
        self._place = place
        self._at_most = at_most
        self._waiting: list[str] | None = None
        self._mark: Mark | None = None
        self._pages: list[bytes] = []
        self._found: tuple[Checkpoint, int] | None = None
        self._damages: list[str] = []

    def read(self, budget_s: float) -> bool:
        """See `pipeline.interfaces.SnapshotReader`."""
        deadline = time.monotonic() + budget_s
        if self._waiting is None:
            self._waiting = self._store.snapshots(self._place)
        while self._waiting and self._found is None:
            if time.monotonic() > deadline:
                return False
            try:
                with self._store.told(self._place):
                    self._go_on(self._waiting[-1])
            except CheckpointError as exc:
                self._damages.append(str(exc))
                self._leave()
        return True

    def _go_on(self, snapshot: str) -> None:
        """Read the mark, a page, or put all together."""
        waiting: Any = self._waiting
        if self._mark is None:
            ahead = int(snapshot.rpartition("/")[2].partition("-")[0]) > self._at_most
            if ahead or not self._store.is_complete(snapshot):
                waiting.pop()
                return
            self._mark = read_mark(snapshot, self._store.get(f"{snapshot}/{_MARK}"))
        elif len(self._pages) < self._mark.pages:
            self._pages.append(self._store.get(f"{snapshot}/page-{len(self._pages):05d}.zst"))
        else:
            self._found = join(snapshot, self._mark, self._pages), self._mark.offset
            self._pages = []

    def _leave(self) -> None:
        """Pass over a damaged one."""
        if self._waiting:
            self._waiting.pop()
        self._mark, self._pages = None, []

    def found(self) -> tuple[Checkpoint, int] | None:
        """See `pipeline.interfaces.SnapshotReader`."""
        return self._found

    def damages(self) -> Sequence[str]:
        """See `pipeline.interfaces.SnapshotReader`."""
        return self._damages


def _folder_name(mark: Mark) -> str:
    return f"{mark.offset:020d}-{mark.digest[:12]}"
