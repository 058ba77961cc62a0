"""What deploy/compose.yaml starts, as processes of this machine: broker, service, trainer, traffic and Prometheus.

The trainer is the one that the service keeps beside it where torch is installed, instead of a container of its own.
"""

import os
import re
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.capabilities import find_prometheus
from tests.chaos.service import driftline
from tests.deploy.live import Prometheus, scraping
from tests.deploy.reading import DEPLOY, ROOT, read_yaml
from tests.kafka_broker import Broker, create_topic, free_port
from tests.processes import owned

SCRAPE_S = 15
_COMPOSE = read_yaml(DEPLOY / "compose.yaml")["services"]
_START_S = 600.0
_STOP_S = 90.0


class Process:
    """A command of Driftline that runs, with its log.

    Args:
        environ: beside the environment there is.
        log: file that all it tells is appended to.
    """

    def __init__(self, arguments: list[str], environ: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as stream:
            self._process = owned(
                subprocess.Popen(
                    driftline(*arguments),
                    stdout=stream,
                    stderr=stream,
                    cwd=log.parent,
                    env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
                )
            )

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wait(self) -> int:
        """Exit status, once it has ended by itself."""
        return self._process.wait()

    def stop(self) -> int:
        """Exit status, having asked it to end."""
        if self.is_running:
            self._process.terminate()
        try:
            return self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class Traffic:
    """Made-up machines, sent live; when all is sent they begin anew, as the container that compose restarts."""

    def __init__(self, bootstrap: str, environ: Mapping[str, str], log: Path) -> None:
        self._arguments = [
            f"kafka://{bootstrap}/metrics" if one.startswith("kafka://") else one
            for one in _COMPOSE["traffic"]["command"]
        ]
        self._environ, self._log = environ, log
        self._lock, self._ended = threading.Lock(), False
        self._process = Process(self._arguments, environ, log)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while self._process.wait() == 0:
            with self._lock:
                if self._ended:
                    return
                self._process = Process(self._arguments, self._environ, self._log)

    def stop(self) -> int:
        """How many messages were sent, at the end."""
        with self._lock:
            self._ended = True
        self._process.stop()
        self._thread.join()
        return sum(int(one.replace(",", "")) for one in re.findall(r"in ([\d,]+) messages", self._log.read_text()))


class Installation:
    """All of it; `stop` ends it, however far it has come.

    Args:
        directory: for data and logs.
        workers: of the service.
    """

    prometheus: Prometheus
    traffic: Traffic
    status: int

    def __init__(self, directory: Path, workers: int) -> None:
        self._running: list[Callable[[], object]] = []
        try:
            self._start(directory, workers)
        except BaseException:
            self.stop()
            raise

    def _start(self, directory: Path, workers: int) -> None:
        program = find_prometheus("prometheus")
        assert program is not None, "found no prometheus; expected it on PATH: `make prometheus` fetches it"
        broker = Broker(directory / "broker")
        broker.start()
        self._running.append(broker.stop)
        partitions = next(one for one in _COMPOSE["topics"]["command"] if one.startswith("--partitions="))
        create_topic(broker.bootstrap, "metrics", int(partitions.partition("=")[2]))
        addresses = {"driftline": f"127.0.0.1:{free_port()}", "driftline-trainer": f"127.0.0.1:{free_port()}"}
        environ = {
            "DRIFTLINE_KAFKA__BOOTSTRAP": broker.bootstrap,
            "DRIFTLINE_MODELS__REGISTRY": (directory / "models").as_uri(),
            "DRIFTLINE_HTTP__HOST": "127.0.0.1",
            "DRIFTLINE_HTTP__PORT": addresses["driftline"].rpartition(":")[2],
            "DRIFTLINE_RETRAIN__METRICS_PORT": addresses["driftline-trainer"].rpartition(":")[2],
        }
        service = Process(
            ["serve", "--config", str(DEPLOY / "driftline.toml"), "--workers", str(workers)],
            environ,
            directory / "driftline.log",
        )

        def stop_service() -> None:
            self.status = service.stop()

        self._running.append(stop_service)
        config = scraping({job: [one] for job, one in addresses.items()}, every=f"{SCRAPE_S}s")
        self.prometheus = Prometheus(program, directory / "prometheus", config)
        self._running.append(self.prometheus.stop)
        self.traffic = Traffic(broker.bootstrap, environ, directory / "traffic.log")
        self._running.append(self.traffic.stop)
        for address, path in zip(addresses.values(), ("readyz", "healthz"), strict=True):
            _wait_for(f"http://{address}/{path}", directory / "driftline.log")
        while self.prometheus.value("count(up == 1)") < len(addresses):
            time.sleep(0.5)

    def stop(self) -> None:
        """End what has been started, the last first; `status` is that of the service then."""
        while self._running:
            self._running.pop()()


def _wait_for(url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310  our own address
                return
        except OSError:
            assert time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(0.5)
