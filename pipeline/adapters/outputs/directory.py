"""The rules of an output directory: what its content means, who may write to it, and how a run leaves it."""

import fcntl
import os
import shutil
from pathlib import Path
from typing import Literal

from pipeline.adapters.outputs.durable import sync
from pipeline.errors import ConfigError

VERDICTS = "verdicts.parquet"
ANOMALIES = "anomalies.jsonl"
WORKING = ".replay"
"""Directory in the output directory with what a run needs; the run is unfinished as long as it is there."""

Existing = Literal["refuse", "resume", "overwrite"]


def lock(directory: Path, whose: str = "replay") -> int:
    """A descriptor that keeps other runs out of the directory until it is closed, by whatever end of the process.

    Args:
        directory: of the outputs.
        whose: what a run is called in the message.

    Raises:
        ConfigError: another run holds it.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        os.close(descriptor)
        raise ConfigError(
            f"{directory}: found another {whose} writing to it; expected none: "
            "wait for its end or choose another directory"
        ) from exc
    return descriptor


def require_use(directory: Path, existing: Existing) -> None:
    """Refuse a directory whose run, if it has one, `existing` has no use for.

    Raises:
        ConfigError: saying what was found and what can be done.
    """
    interrupted = (directory / WORKING).exists()
    finished = not interrupted and (directory / VERDICTS).exists()
    if finished and existing == "resume":
        raise ConfigError(
            f"{directory}: found a finished replay; expected an interrupted one: "
            "it needs no --resume; choose another directory or start afresh with --overwrite"
        )
    if finished and existing == "refuse":
        raise ConfigError(
            f"{directory}: found a finished replay; expected no outputs: "
            "choose another directory or start afresh with --overwrite"
        )
    if interrupted and existing == "refuse":
        raise ConfigError(
            f"{directory}: found an interrupted replay; expected no outputs: "
            "go on with --resume, start afresh with --overwrite or choose another directory"
        )


def remove_run(directory: Path) -> None:
    """Remove the outputs of the run in `directory`, finished or not."""
    for name in (VERDICTS, ANOMALIES):
        (directory / name).unlink(missing_ok=True)
    if (directory / WORKING).exists():
        remove_working(directory)


def remove_working(directory: Path) -> None:
    """Remove the working directory: at once by its name, then by its content."""
    over = directory / f"{WORKING}-over"
    shutil.rmtree(over, ignore_errors=True)
    (directory / WORKING).rename(over)
    sync(directory)
    shutil.rmtree(over)
