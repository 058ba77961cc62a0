"""The supervisor over small processes of their own, that serve HTTP as workers do."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from pipeline import supervisor
from pipeline.adapters.http import serve_http
from pipeline.supervisor import Supervisor
from tests.processes import owned

ROOT = Path(__file__).parents[2]
WORKER = """
import os, signal, sys, threading, time
from pathlib import Path
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from pipeline.adapters.http import Health, serve_http

number, tells, life, folder = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
(folder / f"{number}.pid.new").write_text(str(os.getpid()))
(folder / f"{number}.pid.new").rename(folder / f"{number}.pid")
registry = CollectorRegistry()
records = Counter("d_records", "Records.", ["kind"], registry=registry)
records.labels("good").inc(10 + number, {"anomaly_id": f"m/{number}"})
Gauge("d_lanes", "Lanes.", registry=registry).set(5)
Histogram("d_seconds", "Time.", registry=registry, buckets=(1.0, 2.0)).observe(1.5)
Info("d_build", "Version.", registry=registry).info({"version": "1"})
health = Health(60.0)
health.set_unready("" if number == 0 else "restoring m/1")
port, _ = serve_http("127.0.0.1", 0, registry, health)
signal.signal(signal.SIGHUP, lambda *_: (folder / f"{number}.hup").touch())
mode = sys.argv[5]
signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "stubborn" else lambda *_: os._exit(0))
threading.Thread(target=lambda: (os.read(life, 1), os._exit(7)), daemon=True).start()
os.write(tells, f"{port}\\n".encode())
(folder / f"{number}.up").touch()
while True:
    time.sleep(0.05)
    wanted = folder / f"{number}.end"
    if wanted.exists():
        status = int(wanted.read_text())
        wanted.unlink()
        os._exit(status)
"""


class Told(list[tuple[str, dict[str, Any]]]):
    """Events as they are told."""

    def __call__(self, event: str, **fields: Any) -> None:
        """An event."""
        self.append((event, fields))


class Running:
    """A supervisor of two workers, in a thread."""

    def __init__(self, folder: Path, mode: str) -> None:
        self.folder = folder
        self.told = Told()
        self.stopping = self.hung_up = False
        self.status: int | None = None
        self.supervisor = Supervisor(
            lambda number, tells, life: [
                sys.executable, "-c", WORKER, str(number), str(tells), str(life), str(folder), mode,
            ],
            self.told,
        )  # fmt: skip
        self.supervisor.start(2)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.status = self.supervisor.run(lambda: self.stopping, self._take_hung_up, timeout_s=2.0)

    def _take_hung_up(self) -> bool:
        asked, self.hung_up = self.hung_up, False
        return asked

    def pid(self, number: int) -> int:
        """Of a worker as it runs now."""
        return int((self.folder / f"{number}.pid").read_text())

    def end(self, number: int, status: int) -> None:
        """Have a worker end so."""
        new = self.folder / f"{number}.end.new"
        new.write_text(str(status))
        new.rename(self.folder / f"{number}.end")  # whole when it is seen

    def wait_for(self, condition: Callable[[], Any]) -> None:
        """Until a condition holds."""
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, self.told
            time.sleep(0.05)

    def stop(self) -> int | None:
        """Exit status."""
        self.stopping = True
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self.status


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Running]]:
    """Starts a supervisor, and stops it in the end."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(supervisor, "_ANSWER_S", 60.0)  # however busy the machine is
    made = []

    def start(mode: str = "good") -> Running:
        made.append(Running(tmp_path, mode))
        made[-1].wait_for(lambda: not made[-1].supervisor.why_unhealthy())
        return made[-1]

    yield start
    for one in made:
        one.stop()


def _samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def test_the_metrics_of_all_workers_are_at_one_address(running: Callable[..., Running]) -> None:
    """Each sample bears its worker, and its exemplar; a name has one family; both formats are well formed."""
    registry = running().supervisor.registry()
    text = generate_latest(registry).decode()
    found = _samples(text)
    assert found["d_records_total", (("kind", "good"), ("worker", "0"))] == 10
    assert found["d_records_total", (("kind", "good"), ("worker", "1"))] == 11
    assert found["d_lanes", (("worker", "1"),)] == 5
    assert found["d_seconds_bucket", (("le", "2.0"), ("worker", "0"))] == 1
    assert found["d_seconds_bucket", (("le", "1.0"), ("worker", "0"))] == 0
    assert found["d_seconds_sum", (("worker", "1"),)] == 1.5
    assert found["d_build_info", (("version", "1"), ("worker", "0"))] == 1
    assert ("d_records_created", (("kind", "good"), ("worker", "0"))) in found
    assert found["driftline_workers", (("state", "up"),)] == 2
    assert found["driftline_worker_restarts_total", (("worker", "0"),)] == 0
    for line in ("# TYPE d_records_total counter", "# HELP d_records_total Records.", "# TYPE d_seconds histogram"):
        assert text.splitlines().count(line) == 1
    typeless: Any = (openmetrics.generate_latest, openmetrics_parser.text_string_to_metric_families)
    show, parse = typeless
    open_families = {family.name: family for family in parse(show(registry).decode())}
    assert open_families["d_records"].type == "counter"
    assert "d_records_created" not in open_families
    exemplars = {
        one.labels["worker"]: one.exemplar.labels for one in open_families["d_records"].samples if one.exemplar
    }
    assert exemplars == {"0": {"anomaly_id": "m/0"}, "1": {"anomaly_id": "m/1"}}


def test_health_of_all_workers_is_at_one_address(running: Callable[..., Running]) -> None:
    """One worker that is not ready makes all of it not ready, and is named with its reason, over real HTTP."""
    started = running()
    registry = started.supervisor.registry()
    port, stop = serve_http("127.0.0.1", 0, registry, started.supervisor)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10)
        assert caught.value.code == 503
        assert json.load(caught.value) == {"ok": False, "reason": "worker 1: restoring m/1"}
    finally:
        stop()


def test_a_worker_that_ends_is_started_again_after_a_pause_that_grows(running: Callable[..., Running]) -> None:
    """A crash is told and cured after 1 s, the next one after 2 s; meanwhile the worker counts as down."""
    started = running()
    first = started.pid(0)
    os.kill(first, signal.SIGKILL)
    started.wait_for(lambda: started.told)
    assert "worker 0 is not up" in started.supervisor.why_unhealthy()
    assert _samples(generate_latest(started.supervisor.registry()).decode())["driftline_workers", (("state", "down"),)]
    started.wait_for(lambda: started.pid(0) != first and not started.supervisor.why_unhealthy())
    started.end(0, 1)
    started.wait_for(lambda: len(started.told) == 2)
    assert started.told == [
        ("worker_ended", {"place": "worker 0", "status": -9, "restart_in_s": 1.0}),
        ("worker_ended", {"place": "worker 0", "status": 1, "restart_in_s": 2.0}),
    ]
    started.wait_for(lambda: not started.supervisor.why_unhealthy())
    text = generate_latest(started.supervisor.registry()).decode()
    assert _samples(text)["driftline_worker_restarts_total", (("worker", "0"),)] == 2


@pytest.mark.parametrize("status", [2, 3])
def test_what_starting_again_does_not_cure_ends_all(running: Callable[..., Running], status: int) -> None:
    """A worker that ends for a bad configuration, or for a loss that policy stops at, takes the others with it."""
    started = running()
    other = started.pid(1)
    started.end(0, status)
    started.wait_for(lambda: started.status is not None)
    assert started.status == status
    assert started.told == [("worker_ended_for_good", {"place": "worker 0", "status": status})]
    assert not Path(f"/proc/{other}").exists()


def test_a_hangup_reaches_every_worker(running: Callable[..., Running], tmp_path: Path) -> None:
    """SIGHUP is passed on."""
    started = running()
    started.hung_up = True
    started.wait_for(lambda: (tmp_path / "0.hup").exists() and (tmp_path / "1.hup").exists())


def test_a_stop_is_bounded(running: Callable[..., Running]) -> None:
    """Workers that do not heed SIGTERM are killed when their time is up, and that is told."""
    started = running("stubborn")
    began = time.monotonic()
    assert started.stop() == 0
    assert 1.5 < time.monotonic() - began < 30
    assert [event for event, _ in started.told] == ["worker_killed", "worker_killed"]


def test_workers_notice_that_their_supervisor_is_gone(tmp_path: Path) -> None:
    """However a supervisor goes, what its workers were given to wait on closes, and they end."""
    script = f"""
import sys, time
sys.path.insert(0, {str(ROOT)!r})
from pipeline.supervisor import Supervisor
command = lambda n, tells, life: [sys.executable, "-c", {WORKER!r}, str(n), str(tells), str(life), sys.argv[1], "good"]
supervisor = Supervisor(command, print)
supervisor.start(2)
supervisor.run(lambda: False, lambda: False, 2.0)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    process = owned(subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}))
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("*.up"))) < 2:
        assert time.monotonic() < deadline, "found no two workers"
        time.sleep(0.05)
    children = [int(path.read_text()) for path in tmp_path.glob("*.pid")]
    process.kill()
    process.wait()
    assert len(children) == 2
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline, "found workers without a supervisor"
        time.sleep(0.05)
