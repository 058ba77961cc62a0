import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from numba.core import config
from numba.core.caching import IndexDataCacheFile

from pipeline.errors import UserError
from pipeline.kernel_cache import KEPT, use_cache_for_these_sources, user_cache_dir

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys, numba
from pathlib import Path
from pipeline.kernel_cache import use_cache_for_these_sources
directory = use_cache_for_these_sources(Path(sys.argv[1]))
from detectors.probe import probe
print(probe(0.0), sum(probe.stats.cache_hits.values()))
assert Path(probe.stats.cache_path).is_relative_to(directory), probe.stats.cache_path
"""


@pytest.fixture(autouse=True)
def _same_cache_afterwards() -> Iterator[None]:
    """Leaves the rest of the run its own cache."""
    before = config.CACHE_DIR  # type: ignore[attr-defined]  # numba makes its settings as it goes
    yield
    config.CACHE_DIR = before  # type: ignore[attr-defined]  # as above


@pytest.fixture
def no_home(tmp_path: Path) -> Path:
    """A cache directory that cannot be made: a file is in its way."""
    (tmp_path / "file").touch()
    return tmp_path / "file" / "driftline"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary directory, for this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return tmp_path / "tmp"


def test_a_change_of_a_function_recompiles_what_calls_it_from_another_file(tmp_path: Path) -> None:
    """What was compiled is used again while the sources stay, and no more once a callee in another file has changed."""
    for package in ("detectors", "pipeline"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "detectors" / "probe.py").write_text(
        "from detectors.compiled import compiled\n"
        "from detectors.normalise import asinh\n"
        "@compiled\n"
        "def probe(x):\n"
        "    return asinh(x)\n"
    )

    def run() -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path / "cache")],
            cwd=tmp_path,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.split()

    assert run() == ["0.0", "0"]
    assert run() == ["0.0", "1"]
    normalise = tmp_path / "detectors" / "normalise.py"
    source = normalise.read_text()
    changed = source.replace("return y if x >= 0 else -y", "return y + 1.0 if x >= 0 else -y")
    assert changed != source
    normalise.write_text(changed)
    assert run() == ["1.0", "0"]
    normalise.write_text(source)
    assert run() == ["0.0", "1"]


def test_two_processes_that_compile_a_function_at_once_keep_both(tmp_path: Path) -> None:
    """Compiled for two types at the same time, a function has both in its cache, each under its own name."""
    use_cache_for_these_sources(tmp_path)
    files: Any = IndexDataCacheFile
    load_index = files._load_index
    both = Barrier(2, timeout=1)

    class Slow(IndexDataCacheFile):
        def _load_index(self) -> Any:
            overloads = load_index(self)
            with suppress(BrokenBarrierError):  # where the other waits for this one
                both.wait()
            return overloads

    slow: Any = Slow
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: slow(tmp_path, "f", "").save(name, f"compiled for {name}"), "ab"))
    assert [files(tmp_path, "f", "").load(name) for name in "ab"] == ["compiled for a", "compiled for b"]


def test_the_newest_used_are_kept(tmp_path: Path) -> None:
    """Kernels of a few states of the sources are kept, the longest unused go first."""
    kernels = tmp_path / "kernels"
    for age in range(5):
        (kernels / f"old{age}").mkdir(parents=True)
        os.utime(kernels / f"old{age}", (1e9 - age, 1e9 - age))
    directory = use_cache_for_these_sources(tmp_path)
    assert {path.name for path in kernels.iterdir()} == {directory.name, *(f"old{age}" for age in range(KEPT - 1))}
    assert use_cache_for_these_sources(tmp_path) == directory


def test_without_a_writable_cache_a_private_temporary_directory_serves(no_home: Path, temporary: Path) -> None:
    """Where the user's cache cannot be written, kernels go to a temporary directory that only this user can enter."""
    for cache_dir in (no_home, None):
        directory = use_cache_for_these_sources(cache_dir)
        assert directory.parent.parent == temporary
        assert directory.parent.stat().st_mode & 0o777 == 0o700
    assert len(list(temporary.iterdir())) == 1


def test_a_directory_that_others_could_write_is_not_trusted(no_home: Path, temporary: Path) -> None:
    """A temporary directory open to others, or a link in its place, is left alone: its content would be executed."""
    shared = use_cache_for_these_sources(no_home).parent
    shared.chmod(0o777)
    assert use_cache_for_these_sources(no_home).parent != shared
    shutil.rmtree(shared)
    (temporary / "elsewhere").mkdir(mode=0o700)
    shared.symlink_to(temporary / "elsewhere")
    use_cache_for_these_sources(no_home)
    assert not any((temporary / "elsewhere").iterdir())


def test_without_any_writable_directory_one_line_says_so(no_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When nothing can be written the error names the place and the way out."""
    monkeypatch.setattr(tempfile, "tempdir", str(no_home))
    with pytest.raises(UserError, match=r"found no way to write to .*driftline.* XDG_CACHE_HOME"):
        use_cache_for_these_sources(no_home)


def test_the_users_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """XDG_CACHE_HOME counts when it is an absolute path; else the cache is in the home directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache_dir({"XDG_CACHE_HOME": "/var/cache/me"}) == Path("/var/cache/me/driftline")
    for environ in ({}, {"XDG_CACHE_HOME": ""}, {"XDG_CACHE_HOME": "relative"}):
        assert user_cache_dir(environ) == tmp_path / ".cache" / "driftline"
