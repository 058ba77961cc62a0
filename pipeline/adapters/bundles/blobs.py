"""Small files at any URL that fsspec knows: each is whole or absent, and some are made by one writer alone.

On a local disk a file is written beside, synced, and linked or renamed into place; an object store does as much by
itself.
"""

import errno
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import has_magic
from fsspec.implementations.local import LocalFileSystem

from pipeline.adapters.bundles.durable import sync_directory
from pipeline.errors import ConfigError, RegistryError, UserError, without_secrets

PARTIAL = "partial"
"""Folder of files that are being written, on a local disk."""
_NO_LINKS = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV, errno.EMLINK}


class Blobs:
    """Files by name, which may have slashes, under a URL.

    Args:
        url: of a folder, which need not be there.

    Attributes:
        shown: the URL as it may be printed.

    Raises:
        ConfigError: no such kind of URL, or a package for it is missing.
    """

    def __init__(self, url: str) -> None:
        self.shown = without_secrets(url)
        self._url = url
        self._opened: tuple[Any, str] | None = None
        try:
            self._open()
        except ConfigError:
            raise
        except Exception:  # noqa: BLE001  each kind of store has its own
            return  # some connect at once: one that is away is told where it is used, and asked again there

    def _open(self) -> tuple[Any, str]:
        """(files, path of the folder among them)."""
        if self._opened is None:
            try:
                files, root = fsspec.core.url_to_fs(self._url)
            except (ValueError, ImportError) as exc:
                raise ConfigError(
                    f"registry {self.shown}: found that it cannot be used ({without_secrets(str(exc))}); expected the "
                    "URL of a folder, such as file:///var/lib/driftline/models or s3://bucket/models (with pip "
                    "install 'driftline[s3]')"
                ) from exc
            if not isinstance(files, LocalFileSystem) and has_magic(str(root)):
                raise ConfigError(f"registry {self.shown}: found a wildcard in it; expected none of *, ? and [")
            self._opened = files, str(root).rstrip("/")
        return self._opened

    @property
    def _files(self) -> Any:
        return self._open()[0]

    @property
    def _root(self) -> str:
        return self._open()[1]

    @property
    def _is_local(self) -> bool:
        return isinstance(self._files, LocalFileSystem)

    def create(self, name: str, content: bytes) -> bool:
        """Write a file that is not there; False when it is, or another writer was first.

        Where neither hard links nor the store allow to tell, the last writer wins; what was written is read back.
        """
        with self.told():
            path = self._path(name)
            if self._is_local:
                with self._told_missing():
                    return self._link(path, content)
            try:
                self._pipe(path, content, mode="create")
            except FileExistsError:
                return False
            except (NotImplementedError, ValueError, TypeError):
                if self._files.exists(path):
                    return False
                self._pipe(path, content)
            return bytes(self._files.cat_file(path)) == content

    def put(self, name: str, content: bytes) -> None:
        """Write a file, over one that is there."""
        with self.told():
            path = self._path(name)
            if not self._is_local:
                self._pipe(path, content)
                return
            with self._told_missing():
                partial = self._write_partial(path, content)
                partial.replace(path)
                sync_directory(Path(path).parent)

    def get(self, names: Sequence[str]) -> list[bytes | None]:
        """Content of each file, at once where the store can; None for one that is not there."""
        if not names:
            return []
        with self.told():
            paths = [self._path(name) for name in names]
            if self._is_local:
                return [_read(Path(path)) for path in paths]
            found: Any = self._files.cat(paths, on_error="return")
            found = found if isinstance(found, dict) else {paths[0]: found}
            by_path = {self._files._strip_protocol(path): content for path, content in found.items()}  # noqa: SLF001
            return [_content(by_path[self._files._strip_protocol(path)]) for path in paths]  # noqa: SLF001

    def names(self, folder: str) -> list[str]:
        """What lies in a folder, without what lies deeper, in order; nothing where it is not there."""
        with self.told():
            path = self._path(folder)
            self._files.invalidate_cache()
            try:
                found = {str(one).rstrip("/") for one in self._files.ls(path, detail=False)}
            except FileNotFoundError:
                return []
            # an object store may list the folder itself
            return sorted({one.rpartition("/")[2] for one in found if not path.endswith(one)})

    def newest(self, folder: str) -> datetime | None:
        """When a file of a folder was written last; None where that cannot be told."""
        with suppress(NotImplementedError, FileNotFoundError), self.told():
            path = self._path(folder)
            self._files.invalidate_cache()
            files = [str(one) for one in self._files.find(path)]
            times: list[datetime] = [self._files.modified(one) for one in files or [path]]
            return max(time if time.tzinfo else time.replace(tzinfo=UTC) for time in times)
        return None

    def remove(self, name: str) -> None:
        """Remove a file, or a folder with all that is in it; another may be about it too."""
        with self.told(), suppress(FileNotFoundError):
            self._files.rm(self._path(name), recursive=True)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tells whatever goes wrong with files as `RegistryError`, without the secrets of the URL."""
        try:
            yield
        except (UserError, FileNotFoundError, NotImplementedError):
            raise
        except Exception as exc:
            # each kind of store raises its own
            raise RegistryError(
                f"registry {self.shown}: found that it cannot be reached ({type(exc).__name__}: "
                f"{without_secrets(str(exc))}); expected a folder to read and write"
            ) from exc

    @contextmanager
    def _told_missing(self) -> Iterator[None]:
        """Around what writes: nothing is looked for there, so what is missing is a folder that cannot be made."""
        try:
            yield
        except FileNotFoundError as exc:
            raise RegistryError(
                f"registry {self.shown}: found that it cannot be made ({exc.strerror}); expected a folder to read and "
                "write: see to the name, or choose another"
            ) from exc

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _pipe(self, path: str, content: bytes, **how: Any) -> None:
        """Write where a folder may have to be made first, though never a bucket."""
        try:
            self._files.pipe_file(path, content, **how)
        except FileNotFoundError as exc:
            bucket = path.partition("/")[0]
            if bucket and not self._files.exists(bucket):
                raise RegistryError(
                    f"registry {self.shown}: found no bucket {bucket!r}; expected one: make it, or see to the name"
                ) from exc
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, content, **how)

    def _write_partial(self, path: str, content: bytes) -> Path:
        """A synced file with the content, on the disk of `path`, whose folder there is from now on."""
        partial = Path(self._root, PARTIAL, uuid.uuid4().hex)
        for folder in (partial.parent, Path(path).parent):
            folder.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return partial

    def _link(self, path: str, content: bytes) -> bool:
        """Put a file in its place unless one is there: a link, unlike a rename, replaces nothing."""
        partial, target = self._write_partial(path, content), Path(path)
        try:
            target.hardlink_to(partial)
        except FileExistsError:
            return False
        except OSError as exc:
            if exc.errno not in _NO_LINKS:
                raise
            if target.exists():
                return False
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        sync_directory(target.parent)
        return True


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _content(found: Any) -> bytes | None:
    """Content of a file, None for none, or raises what kept it from being read."""
    if isinstance(found, FileNotFoundError):
        return None
    if isinstance(found, Exception):
        raise found
    return bytes(found)
