"""Whatever a test, a fixture or a program has started ends with it, also where it fails or is stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import processes
from tests.processes import ending_processes, owned

ROOT = Path(__file__).parents[1]
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
MODULE = f"""
import subprocess
from pathlib import Path
import pytest
from tests.processes import owned

def _start(name):
    Path(name).write_text(str(owned(subprocess.Popen({SLEEP!r})).pid))

@pytest.fixture(scope="module")
def kept():
    _start("kept")
    yield
    assert Path("/proc", Path("kept").read_text()).exists()

@pytest.fixture
def broken():
    _start("broken")
    assert False

def test_fails(kept):
    _start("fails")
    assert False

def test_next(kept):
    assert not Path("/proc", Path("fails").read_text()).exists()
    assert Path("/proc", Path("kept").read_text()).exists()

def test_broken(broken):
    pass
"""
PROGRAM = f"""
import subprocess, time
from tests.processes import owned, program
with program():
    print(owned(subprocess.Popen({SLEEP!r})).pid, flush=True)
    time.sleep(600)
"""


def _wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"found process {pid} still there"
        time.sleep(0.05)


def test_each_ends_with_the_innermost_block() -> None:
    """Also one that has been stopped where it was, and however the block ends; those of outer blocks go on."""
    outer = owned(subprocess.Popen(SLEEP))
    inner: list[subprocess.Popen[bytes]] = []

    def fail() -> None:
        with ending_processes():
            inner.extend(owned(subprocess.Popen(SLEEP, stdout=subprocess.PIPE)) for _ in range(2))
            inner[0].send_signal(signal.SIGSTOP)
            raise ValueError("any")

    with pytest.raises(ValueError, match="any"):
        fail()
    assert [one.returncode for one in inner] == [-signal.SIGKILL] * 2
    assert outer.poll() is None


def test_nobody_starts_what_nobody_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of every block a process is killed at once, and that is told."""
    monkeypatch.setattr(processes, "_blocks", [])
    process = subprocess.Popen(SLEEP)
    with pytest.raises(RuntimeError, match="expected a block of ending_processes around it"):
        owned(process)
    assert process.returncode == -signal.SIGKILL


def test_those_of_tests_and_fixtures_end_with_them(tmp_path: Path) -> None:
    """Of a test that fails before the next begins; of a fixture behind its own clean-up, or where it is not set up."""
    (tmp_path / "test_it.py").write_text(MODULE)
    options = ("-q", "-p", "tests.conftest", "-p", "no:warnings", "-c", os.devnull)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_it.py"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 failed, 1 passed, 1 error" in done.stdout, done.stdout
    for name in ("kept", "broken", "fails"):
        _wait_until_gone(int((tmp_path / name).read_text()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_those_of_a_program_end_with_it(number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end both, with the status of the signal and no traceback."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    owned(process)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in told
    _wait_until_gone(child)
