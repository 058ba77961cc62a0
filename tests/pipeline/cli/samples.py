"""Files to replay, and the command line as tests call it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from pipeline.config import Config, Given, load_config
from tests.processes import owned

ROOT = Path(__file__).parents[3]
START = datetime(2024, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=5)


def write_stream(path: Path, points: int = 600, *, fault: int | None = 450) -> Path:
    """A daily rhythm with noise, five minutes apart, and a spike at row `fault`."""
    rng = np.random.default_rng(7)
    values = 50 + 5 * np.sin(np.arange(points) / 288 * 2 * np.pi) + rng.normal(0, 0.3, points)
    if fault is not None:
        values[fault : fault + 3] += 40
    lines = [f"{START + n * STEP:%Y-%m-%d %H:%M:%S},{value:.3f}\n" for n, value in enumerate(values)]
    path.write_text("timestamp,value\n" + "".join(lines))
    return path


def at(row: int) -> str:
    """Event time of a row, counted from 0, as an option takes it."""
    return (START + row * STEP).strftime("%Y-%m-%dT%H:%M:%S")


def start(*arguments: str | Path, **environ: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return owned(
        subprocess.Popen(
            [sys.executable, "-m", "pipeline", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environ,
        )
    )


def configured(**given: object) -> Config:
    """A configuration of keys whose dots are written as double underscores."""
    options = {name.replace("__", "."): Given(name, value) for name, value in given.items()}
    return load_config(None, options, environ={}).config


def until(fulfilled: Callable[[], object]) -> None:
    """Wait for what another thread brings about; fails after a minute."""
    deadline = time.monotonic() + 60
    while not fulfilled():
        assert time.monotonic() < deadline, "found it not fulfilled for a minute"
        time.sleep(0.005)
