"""`driftline serve` as a process, for tests: started, killed, stopped and asked."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from prometheus_client.parser import text_string_to_metric_families

from tests.processes import owned

_ROOT = Path(__file__).parents[2]
WAIT_S = 180.0
"""For what a process does; a busy machine may take its time."""
_COMMITTED = "driftline_committed_offset"
Samples: TypeAlias = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@dataclass(frozen=True, slots=True)
class Names:
    """Topics and group of a run."""

    group: str
    input: str
    anomalies: str
    verdicts: str
    dead_letters: str
    state: str

    @classmethod
    def of(cls, run: str, topic: str) -> "Names":
        """Names of a run over a topic."""
        return cls(run, topic, f"{run}.anomalies", f"{run}.verdicts", f"{run}.dead-letters", f"{run}.state")


def write_config(path: Path, bootstrap: str, names: Names, **changes: Mapping[str, Any]) -> Path:
    """A configuration with short timeouts; `changes` are keys by section."""
    tables: dict[str, dict[str, Any]] = {
        "detector": {"profile": "dense"},
        "source": {"time_field": "time", "value_fields": ["value"]},
        "kafka": {
            "bootstrap": [bootstrap],
            "group": names.group,
            "session_timeout": "6s",
            "transaction_timeout": "10s",
        },
        "input": {"topics": [names.input], "max_message": "1MiB"},
        "output": {
            "anomalies": names.anomalies,
            "verdicts": names.verdicts,
            "dead_letters": names.dead_letters,
            "create": True,
        },
        "state": {"topic": names.state, "snapshot_interval": "3s"},
        "service": {"commit_interval": "300ms", "micro_batch": 500},
        "http": {"port": 0},
        "log": {"format": "json"},
    }
    for section, keys in changes.items():
        tables.setdefault(section, {}).update(keys)
    lines = []
    for section, keys in tables.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items()), ""]
    path.write_text("\n".join(lines))
    return path


def driftline(*arguments: str, constants: Mapping[str, float] | None = None) -> list[str]:
    """The command.

    Args:
        constants: of modules, by their full names, to be others: waits that an operator need not set and a test would
            sit out.
    """
    if not constants:
        return [sys.executable, "-m", "pipeline", *arguments]
    lines = []
    for name, value in constants.items():
        module, _, constant = name.rpartition(".")
        lines += [f"import {module} as m", f"m.{constant}", f"m.{constant} = {value!r}"]
    return [sys.executable, "-c", "\n".join([*lines, "from pipeline.cli import main", "main()"]), *arguments]


class Serving:
    """A process of the service, which ends with the test or program that starts it.

    Args:
        log: file that its standard error is appended to.
        constants: see `driftline`.
        home: directory that it works and keeps temporary files in, instead of those of the tests.
    """

    def __init__(
        self,
        config: Path,
        log: Path,
        *arguments: str,
        home: Path | None = None,
        constants: Mapping[str, float] | None = None,
    ) -> None:
        self.log = log
        self._start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as stream:
            self.process = owned(
                subprocess.Popen(
                    driftline("serve", "--config", str(config), *arguments, constants=constants),
                    stderr=stream,
                    stdout=stream,
                    cwd=home or _ROOT,
                    env={
                        **os.environ,
                        "PYTHONFAULTHANDLER": "1",
                        "PYTHONPATH": str(_ROOT),
                        **({} if home is None else {"TMPDIR": str(home)}),
                    },
                )
            )

    @property
    def told(self) -> str:
        """What this process has told."""
        with self.log.open("rb") as stream:
            stream.seek(self._start)
            return stream.read().decode(errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        """Stop it where it is, as a machine does that is out of memory or being moved."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self, timeout_s: float = WAIT_S) -> int:
        """Exit status, having asked it to stop."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def port(self, timeout_s: float = WAIT_S) -> int:
        """At which it serves HTTP."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = re.search(r'"http": "127\.0\.0\.1:(\d+)"', self.told)
            if found:
                return int(found[1])
            if not self.is_running:
                break
            time.sleep(0.05)
        raise AssertionError(f"found no port; it told: {self.told[-3000:]}")

    def get(self, path: str, *, timeout_s: float = 60.0) -> tuple[int, str]:
        """(status, body) of its answer."""
        try:
            url = f"http://127.0.0.1:{self.port()}{path}"
            with urllib.request.urlopen(url, timeout=timeout_s) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            return exc.code, exc.read().decode()

    def metrics(self, *, timeout_s: float = 60.0) -> Samples:
        """Samples by name and labels."""
        families = text_string_to_metric_families(self.get("/metrics", timeout_s=timeout_s)[1])
        return {
            (one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples
        }

    def offsets(self) -> dict[tuple[str, int], int]:
        """Offset that each partition is committed at, as it is shown together with all that was counted up to there."""
        shown = ((dict(labels), value) for (name, labels), value in self.metrics().items() if name == _COMMITTED)
        return {(labels["topic"], int(labels["partition"])): int(value) for labels, value in shown}

    def wait_until_ready(self, timeout_s: float = WAIT_S) -> None:
        """Until it holds its partitions, all restored."""
        self.wait_for(lambda: self.get("/readyz")[0] == 200, timeout_s)

    def wait_for(self, condition: Any, timeout_s: float = WAIT_S) -> None:
        """Until a condition holds; fails when the process ends before. One that is too busy to answer is waited for."""
        deadline = time.monotonic() + timeout_s
        while not _holds(condition):
            if not self.is_running or time.monotonic() > deadline:
                raise AssertionError(f"found no end of waiting; it told: {self.told[-3000:]}")
            time.sleep(0.1)


def _holds(condition: Callable[[], object]) -> bool:
    try:
        return bool(condition())
    except (TimeoutError, urllib.error.URLError):
        return False
