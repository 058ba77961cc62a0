"""Followers as processes, and what their tests have in common."""

import json
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.adapters.bundles.training_log import TrainingLog
from pipeline.learning.records import Run
from tests.chaos.service import Names, driftline, write_config
from tests.kafka_broker import create_topic
from tests.processes import owned

PARTITIONS = 2
ROOT = Path(__file__).parents[3]


def told(text: str, event: str) -> list[dict[str, Any]]:
    """What a log tells of an event."""
    return [json.loads(line) for line in text.splitlines() if f'"event": "{event}"' in line]


def stages(text: str, stage: str) -> list[dict[str, Any]]:
    """Which times a log tells that a stage of a training began."""
    return [one for one in told(text, "training_stage") if one["stage"] == stage]


def wait(
    condition: Callable[[], object], why: Callable[[], str], timeout_s: float = 240.0, nap_s: float = 0.05
) -> None:
    """Until a condition holds; fails with the end of what was told meanwhile."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"found no end of waiting; it told: {why()[-3000:]}"
        time.sleep(nap_s)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that its parent has not noticed yet counts."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def make(bootstrap: str, tmp_path: Path, **retrain: Any) -> tuple[Names, Path]:
    """A topic, and a configuration with short times."""
    name = Names.of(f"run-{uuid.uuid4().hex[:8]}", f"in-{uuid.uuid4().hex[:8]}")
    create_topic(bootstrap, name.input, PARTITIONS, {})
    return name, configure(bootstrap, tmp_path, name, **retrain)


def configure(bootstrap: str, tmp_path: Path, name: Names, **retrain: Any) -> Path:
    """A configuration with short times, of a registry of its own."""
    settings = {
        "history": "5d", "least_interval": "12h", "steps": 60, "check_interval": "500ms", "device": "cpu",
        "folder": str(tmp_path / "kept"),
        "time_limit": "30d",  # or the share of it that has passed would decide the weights on a slow machine
    }  # fmt: skip
    tmp_path.mkdir(exist_ok=True)
    return write_config(
        tmp_path / "c.toml", bootstrap, name, detector={"bundle": "champion"}, log={"repeat_interval": "0s"},
        models={"registry": str(tmp_path / "models"), "check_interval": "500ms"}, retrain={**settings, **retrain},
        gate={"margin": 0.002},  # the trainings are as short as can be
    )  # fmt: skip


def begin(file: Path) -> None:
    """Make the shipped bundle the champion of the registry."""
    subprocess.run(driftline("models", "add", "shipped", "--promote", "--config", str(file)), cwd=ROOT, check=True)


class Follower:
    """`driftline train --follow` as a process, which ends with the test or program that starts it.

    Args:
        log: file that what it tells is appended to.
        constants: of modules, to be others; see `driftline`.
    """

    def __init__(self, file: Path, log: Path, constants: Mapping[str, float] | None = None) -> None:
        self._log = log
        with log.open("ab") as stream:
            self.process = owned(
                subprocess.Popen(
                    driftline(
                        "train", "--follow", "--config", str(file), "--metrics-port", "0", constants=constants
                    ),
                    stderr=stream, stdout=stream, cwd=ROOT,
                )
            )  # fmt: skip

    @property
    def told(self) -> str:
        """By all that have used this log."""
        return self._log.read_text()

    def wait_for(self, condition: Callable[[], object], *, nap_s: float = 0.05) -> None:
        """Until a condition holds; fails when the process ends before."""
        wait(lambda: condition() or self.process.poll() is not None, lambda: self.told, nap_s=nap_s)
        assert condition(), f"found it ended with status {self.process.poll()}; it told: {self.told[-3000:]}"

    def kill(self) -> None:
        """End it at once, and see the process end that trains for it."""
        training = stages(self.told, "training")[-1]["pid"]
        self.process.kill()
        self.process.wait()
        wait(lambda: is_gone(training), lambda: self.told)


def ask(file: Path) -> None:
    """Request a training."""
    subprocess.run(driftline("models", "retrain", "--config", str(file), "--reason", "a test"), cwd=ROOT, check=True)


def runs_of(tmp_path: Path) -> list[Run]:
    """What became of trainings so far."""
    return TrainingLog(str(tmp_path / "models")).runs()
