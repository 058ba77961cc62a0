"""A real Prometheus over a running service, for tests."""

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.deploy.queries import RULES
from tests.kafka_broker import free_port
from tests.processes import owned

JOB = "driftline"
_VARIABLES = {"$__rate_interval": "1m", "$__interval": "5s", "$job": ".*", "$topic": ".*"}
_START_S = 120.0


class Server:
    """A program of Prometheus that runs and is ready.

    Args:
        arguments: of its own, beside its configuration and where it listens.
        directory: for its configuration, data and log; made.
        config: what it reads.

    Attributes:
        address: host:port where it listens.
    """

    def __init__(self, program: str, arguments: Sequence[str], directory: Path, config: Mapping[str, Any]) -> None:
        directory.mkdir()
        (directory / "config.yml").write_text(json.dumps(config))  # which is YAML, too
        self.address = f"127.0.0.1:{free_port()}"
        self._url = f"http://{self.address}"
        self._log = directory / "log"
        given = [f"--config.file={directory / 'config.yml'}", f"--web.listen-address={self.address}", *arguments]
        with self._log.open("wb") as stream:
            self._process = owned(subprocess.Popen([program, *given], stdout=stream, stderr=stream))
        deadline = time.monotonic() + _START_S
        while not self._is_ready():
            assert time.monotonic() < deadline, self._log.read_text()[-2000:]
            assert self._process.poll() is None, self._log.read_text()[-2000:]
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=5):  # noqa: S310  our own address
                return True
        except OSError:
            return False

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(60)


def scraping(targets: Mapping[str, Sequence[str]], *, every: str = "1s") -> dict[str, Any]:
    """A configuration that scrapes targets of each job, and evaluates the rules.

    Args:
        targets: job to those of its targets, host:port.
        every: how often it does both, as Prometheus writes durations.
    """
    return {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": list(ours)}]} for job, ours in targets.items()
        ],
    }


class Prometheus(Server):
    """One that runs; see `Server`, and `scraping` for a configuration.

    Attributes:
        at: time that queries are about, in seconds since 1970-01-01 UTC; None for now. On a busy machine a scrape may
            fail, and then nothing is there until the next one.
    """

    at: float | None = None

    def __init__(self, program: str, directory: Path, config: Mapping[str, Any]) -> None:
        data = f"--storage.tsdb.path={directory / 'data'}"
        super().__init__(program, [data, "--enable-feature=exemplar-storage"], directory, config)

    def get(self, path: str, **given: str) -> Any:
        """What its HTTP API answers."""
        query = urllib.parse.urlencode(given)
        try:
            with urllib.request.urlopen(f"{self._url}/api/v1/{path}?{query}", timeout=30) as answer:  # noqa: S310
                told = json.load(answer)
        except urllib.error.HTTPError as exc:
            raise AssertionError(f"{given}: {exc.read().decode()}") from exc
        assert told["status"] == "success", told
        return told["data"]

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Series that a query gives, the variables of the dashboards being everything."""
        for name, value in _VARIABLES.items():
            expr = expr.replace(name, value)
        when = {} if self.at is None else {"time": str(self.at)}
        found: list[dict[str, Any]] = self.get("query", query=expr, **when)["result"]
        return found

    def evaluated_s(self) -> float:
        """Time at which the group of rules was evaluated that is longest ago."""
        return min(datetime.fromisoformat(group["lastEvaluation"]).timestamp() for group in self.get("rules")["groups"])

    def value(self, expr: str) -> float:
        """The one value that a query gives; 0 for none."""
        found = self.query(expr)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else 0.0
