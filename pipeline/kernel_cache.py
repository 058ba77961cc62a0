"""Where compiled kernels are kept between runs: a directory named after the sources they were compiled from.

numba looks at a function's own file to tell whether what it compiled is out of date, not at the functions and constants
that the function takes from other files. A directory per state of all those files cannot hold anything stale.

Nor do numba's processes heed one another: what they compile at the same time is written by one after the other.
"""

import fcntl
import hashlib
import importlib.util
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np
from numba import __version__ as numba_version
from numba.core import config
from numba.core.caching import IndexDataCacheFile

from pipeline.errors import UserError

KEPT = 3
"""States of the sources whose kernels are kept, the newest used."""


def user_cache_dir(environ: Mapping[str, str]) -> Path | None:
    """Driftline's directory for what can be made anew, by the convention of XDG; None for a user without a home."""
    named = Path(environ.get("XDG_CACHE_HOME", ""))
    if named.is_absolute():
        return named / "driftline"
    with suppress(RuntimeError):
        return Path.home() / ".cache" / "driftline"
    return None


def use_cache_for_these_sources(cache_dir: Path | None) -> Path:
    """Have numba keep what it compiles from now on in a directory under `cache_dir`; returns that directory.

    To be called before a module with compiled functions is imported: each looks up the directory when it is defined.
    Without `cache_dir`, or where it cannot be written, a private directory under the system's temporary one takes its
    place.

    Raises:
        UserError: neither can be written.
    """
    parent = (cache_dir and _make_writable(cache_dir / "kernels")) or _make_private()
    if parent is None:
        raise UserError(
            f"found no way to write to {cache_dir or 'the home directory'} or a temporary directory; "
            "expected room for compiled kernels: name a writable directory by XDG_CACHE_HOME"
        )
    directory = parent / _digest_sources()
    directory.mkdir(exist_ok=True)
    os.utime(directory)
    _forget_old(parent)
    IndexDataCacheFile.save = _save_alone  # type: ignore[method-assign]
    config.CACHE_DIR = str(directory)  # type: ignore[attr-defined]  # numba makes its settings as it goes
    return directory


_save: Any = IndexDataCacheFile.save


def _save_alone(self: Any, key: Any, data: Any) -> None:
    """What numba does, while no other process does it.

    numba (0.68) reads which files a function's index names, and takes the first free name for what it has compiled. Of
    two processes that compile a function for different types at the same time, both take the same, and from then on one
    of the types is run by the code for the other.
    """
    with Path(f"{self._index_path}.lock").open("ab") as lock:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        _save(self, key, data)


def _sources() -> Iterator[Path]:
    """Every file that a compiled function may depend on."""
    spec = importlib.util.find_spec("detectors")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("found no package detectors; expected it beside pipeline")
    here = Path(__file__).parent
    yield from sorted(Path(spec.origin).parent.glob("*.py"))
    yield from sorted((here / "windows").glob("*.py"))
    yield here / "silence.py"
    yield from sorted((here / "records").glob("*.py"))


def _digest_sources() -> str:
    digest = hashlib.sha256(f"{numba_version} {np.__version__}".encode())
    for path in _sources():
        content = path.read_bytes()
        digest.update(f"\n{path.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _make_writable(directory: Path) -> Path | None:
    """The directory, once it is there; None where it cannot be written."""
    with suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return directory
    return None


def _make_private() -> Path | None:
    """A temporary directory that nobody else can write, since what lies in it is executed; if possible the same one."""
    with suppress(OSError):
        shared = Path(tempfile.gettempdir()) / f"driftline-kernels-{os.getuid()}"
        shared.mkdir(mode=0o700, exist_ok=True)
        found = shared.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
            return _make_writable(shared)
        return Path(tempfile.mkdtemp(prefix="driftline-kernels-"))
    return None


def _forget_old(directory: Path) -> None:
    """Remove all but the newest used of the directories in `directory`."""
    with suppress(FileNotFoundError):  # another process removes them too
        used = sorted(directory.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in used[KEPT:]:
            rmtree(path, ignore_errors=True)
