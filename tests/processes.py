"""Processes of tests, and of programs such as campaigns: each ends with the block in which it was started."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

_Process = TypeVar("_Process", bound=subprocess.Popen[Any])

_blocks: list[list[subprocess.Popen[Any]]] = []
"""The innermost is the last."""


def owned(process: _Process) -> _Process:
    """The process, which is killed at the end of the innermost block of `ending_processes` if it still runs then.

    Around every test, every fixture and every program there is such a block.

    Raises:
        RuntimeError: there is none; the process has been killed.
    """
    if not _blocks:
        _end([process])
        raise RuntimeError("found nothing that would end the process; expected a block of ending_processes around it")
    _blocks[-1].append(process)
    return process


@contextmanager
def ending_processes() -> Iterator[None]:
    """At the end of the block, however it comes, kill those of its processes that still run."""
    mine: list[subprocess.Popen[Any]] = []
    _blocks.append(mine)
    try:
        yield
    finally:
        _blocks[:] = [one for one in _blocks if one is not mine]
        _end(mine)


def _end(processes: list[subprocess.Popen[Any]]) -> None:
    for process in reversed(processes):  # those that were started last need the others
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@contextmanager
def program() -> Iterator[None]:
    """The block of a whole program, which Ctrl-C and SIGTERM end in good order, with their exit status."""

    def end(number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)  # the end is not cut short
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    with ending_processes():
        yield


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder of a program; what is started within the block has ended before it is removed."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, ending_processes():
        yield Path(name)
