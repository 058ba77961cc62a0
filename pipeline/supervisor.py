"""Several members of the group under one roof: started, started again, stopped together, shown at one address."""

import contextlib
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from pipeline.catalogue.process import WORKER_RESTARTS, WORKERS

FINAL = (2, 3)
"""Exit statuses that starting again does not cure: what the user gave, and losses that policy says to stop at."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _HEALTHY_S = 1.0, 30.0, 60.0
_ANSWER_S = 3.0
_NAP_S = 0.1
_OK = 200
_OPEN_METRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
"""The other format has no exemplars."""


@dataclass(slots=True, eq=False)
class Worker:
    """A member, or the place of one that is to be started again.

    Attributes:
        port: at which it serves HTTP; 0 until it has told.
        start_s: monotonic time at which it was started, or is to be.
        pause_s: before the next start, should it end soon.
    """

    number: int
    process: subprocess.Popen[bytes] | None = None
    port: int = 0
    start_s: float = 0.0
    pause_s: float = _FIRST_PAUSE_S
    restarts: int = 0
    told: int = -1
    heard: bytes = b""

    def get(self, path: str) -> tuple[int, str]:
        """(status, body) of its answer; (0, why) for none."""
        if self.process is None or not self.port:
            return 0, f"worker {self.number} is not up"
        try:
            request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=_OPEN_METRICS)
            with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:  # noqa: S310  our own address
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            return exc.code, exc.read().decode()
        except OSError as exc:
            return 0, f"worker {self.number} does not answer ({exc})"


def _reason(body: str) -> str:
    """What a worker says of its health, or what is told in its place."""
    try:
        return str(msgspec.json.decode(body)["reason"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return body.strip()


@dataclass(slots=True, eq=False)
class Supervisor(Collector):
    """Keeps workers running; shows their metrics, each with a label `worker`, and their health.

    Attributes:
        command: starts a worker, given its number, the descriptor to tell its port on, and one that closes when this
            process is gone.
        tell: told of events.
    """

    command: Callable[[int, int, int], Sequence[str]]
    tell: Callable[..., Any]
    workers: list[Worker] = field(default_factory=list)
    _life: tuple[int, int] = field(default_factory=os.pipe)

    def start(self, count: int) -> None:
        """Start so many."""
        for number in range(count):
            worker = Worker(number)
            self.workers.append(worker)
            self._start(worker)

    def run(self, stopping: Callable[[], bool], hung_up: Callable[[], bool], timeout_s: float) -> int:
        """Exit status, once told to stop, or when a worker ends in a way that cannot be cured.

        Args:
            stopping: whether to stop.
            hung_up: whether workers are to read their configuration again.
            timeout_s: most time that they have to stop.
        """
        status = 0
        while not stopping() and not status:
            if hung_up():
                self._signal(signal.SIGHUP)
            for worker in self.workers:
                status = status or self._look(worker)
            time.sleep(_NAP_S)
        self._stop(timeout_s)
        return status

    def _start(self, worker: Worker) -> None:
        told, tells = os.pipe()
        os.set_blocking(told, False)
        worker.process = subprocess.Popen(  # noqa: S603  our own command
            self.command(worker.number, tells, self._life[0]), pass_fds=(tells, self._life[0])
        )
        os.close(tells)
        worker.told, worker.heard, worker.port, worker.start_s = told, b"", 0, time.monotonic()

    def _look(self, worker: Worker) -> int:
        """An exit status that ends everything, or 0."""
        now = time.monotonic()
        if worker.process is None:
            if now >= worker.start_s:
                worker.restarts += 1
                self._start(worker)
            return 0
        if not worker.port:
            with contextlib.suppress(BlockingIOError):
                worker.heard += os.read(worker.told, 64)
            if worker.heard.endswith(b"\n"):
                worker.port = int(worker.heard)
        status = worker.process.poll()
        if status is None:
            return 0
        os.close(worker.told)
        worker.process = None
        if status in FINAL:
            self.tell("worker_ended_for_good", place=f"worker {worker.number}", status=status)
            return status
        if now - worker.start_s > _HEALTHY_S:
            worker.pause_s = _FIRST_PAUSE_S
        worker.start_s = now + worker.pause_s
        self.tell("worker_ended", place=f"worker {worker.number}", status=status, restart_in_s=worker.pause_s)
        worker.pause_s = min(worker.pause_s * 2, _LONGEST_PAUSE_S)
        return 0

    def _signal(self, number: signal.Signals) -> None:
        for worker in self.workers:
            if worker.process is not None:
                worker.process.send_signal(number)

    def _stop(self, timeout_s: float) -> None:
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + timeout_s
        for worker in self.workers:
            if worker.process is None:
                continue
            try:
                worker.process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                self.tell("worker_killed", place=f"worker {worker.number}", after_s=timeout_s)
                worker.process.kill()
                worker.process.wait()
            os.close(worker.told)
            worker.process = None
        for descriptor in self._life:
            os.close(descriptor)

    def why_unhealthy(self) -> str:
        """What the workers say who are not healthy, or ''."""
        return self._reasons("/healthz")

    def why_unready(self) -> str:
        """What the workers say who are not ready, or ''."""
        return self._reasons("/readyz")

    def _reasons(self, path: str) -> str:
        return "; ".join(f"worker {n}: {_reason(body)}" for n, (status, body) in self.ask(path) if status != _OK)

    def ask(self, path: str) -> list[tuple[int, tuple[int, str]]]:
        """(number, (status, body)) of every worker's answer at a path; see `Worker.get`."""
        with ThreadPoolExecutor(max(len(self.workers), 1)) as pool:
            return list(enumerate(pool.map(lambda worker: worker.get(path), self.workers)))

    def collect(self) -> Iterator[Any]:
        """Every worker's metrics, those of the same name together, and how many workers are up.

        Counters of a worker that is started again begin anew, as Prometheus expects of a process.
        """
        families: dict[str, Metric] = {}
        up = 0
        for number, (status, body) in self.ask("/metrics"):
            if status != _OK:
                continue
            up += 1
            for family in text_string_to_metric_families(body):
                merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                merged.samples += [
                    Sample(one.name, {**one.labels, "worker": str(number)}, one.value, one.timestamp, one.exemplar)
                    for one in family.samples
                ]
        workers, restarts = WORKERS.gauge_family(), WORKER_RESTARTS.counter_family()
        workers.add_metric(["up"], up)
        workers.add_metric(["down"], len(self.workers) - up)
        for worker in self.workers:
            restarts.add_metric([str(worker.number)], worker.restarts)
        yield from (workers, restarts, *families.values())

    def registry(self) -> CollectorRegistry:
        """A registry that shows all of this."""
        registry = CollectorRegistry()
        registry.register(self)
        return registry

    def describe(self) -> list[Metric]:
        """Nothing, so that registering asks no worker."""
        return []
