"""`driftline serve` with a trainer beside it, and a trainer alone, against a real broker."""

import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.adapters.bundles.registry import Registry
from pipeline.adapters.bundles.training_log import TrainingLog
from pipeline.learning.records import Run
from tests.chaos.service import Names, Serving, driftline, write_config
from tests.drifting.streams import make_drifting
from tests.kafka_broker import create_topic, send
from tests.pipeline.adapters.bundles.bench import act

pytestmark = [pytest.mark.kafka, pytest.mark.torch, pytest.mark.slow]
PARTITIONS = 2
SHIPPED = load_bundle(shipped_bundle_path()).short_id
ROOT = Path(__file__).parents[3]
STALL_S = 20.0
"""What was sent is committed within so long, whatever the trainer does; machines of tests are busy."""


def _told(text: str, event: str) -> list[dict[str, Any]]:
    """What a log tells of an event."""
    return [json.loads(line) for line in text.splitlines() if f'"event": "{event}"' in line]


def _stages(text: str, stage: str) -> list[dict[str, Any]]:
    return [one for one in _told(text, "training_stage") if one["stage"] == stage]


def _wait(
    condition: Callable[[], object], why: Callable[[], str], timeout_s: float = 120.0, nap_s: float = 0.05
) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"found no end of waiting; it told: {why()[-3000:]}"
        time.sleep(nap_s)


def _is_gone(pid: int) -> bool:
    """Whether a process has ended; one that its parent has not noticed yet counts."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def _make(bootstrap: str, tmp_path: Path, **retrain: Any) -> tuple[Names, Path]:
    """A topic, and a configuration with short times."""
    name = Names.of(f"run-{uuid.uuid4().hex[:8]}", f"in-{uuid.uuid4().hex[:8]}")
    create_topic(bootstrap, name.input, PARTITIONS, {})
    settings = {
        "history": "5d", "least_interval": "12h", "steps": 60, "check_interval": "500ms", "device": "cpu",
    }  # fmt: skip
    file = write_config(
        tmp_path / "c.toml", bootstrap, name, detector={"bundle": "champion"}, log={"repeat_interval": "0s"},
        models={"registry": str(tmp_path / "models"), "check_interval": "500ms"}, retrain={**settings, **retrain},
        gate={"margin": 0.002},  # the trainings are as short as can be
    )  # fmt: skip
    return name, file


def _require_whole(tmp_path: Path) -> None:
    registry = Registry(str(tmp_path / "models"))
    assert all(wrong is None for wrong in registry.verify().values())
    assert registry.champion() == registry.standing().champion


def test_drift_is_told_trained_away_judged_and_swapped_in(bootstrap: str, tmp_path: Path) -> None:
    """All by the service and its trainer, which is killed on the way; what comes is committed all the while."""
    name, file = _make(bootstrap, tmp_path, enabled=True)
    service = Serving(file, tmp_path / "log")
    service.wait_until_ready()
    registry = Registry(str(tmp_path / "models"))
    shipped = registry.champion()
    assert (shipped or "").startswith(SHIPPED)
    sent = 0

    def feed(points: int) -> None:
        """Send more, and see it committed in time."""
        nonlocal sent
        send(bootstrap, name.input, make_drifting(sent + points, change=1500, keys=40, begin=sent))
        sent += points
        service.wait_for(lambda: _lag(service) == 0, STALL_S)

    feed(1500)
    assert _told(service.told, "drift") == []
    while not _told(service.told, "drift"):
        assert sent < 3500, "found no drift"
        feed(100)
    while not _stages(service.told, "training"):
        assert _told(service.told, "training_ended") == []
        feed(2)
    trainer = _told(service.told, "trainer_started")[-1]["trainer"]
    training = _stages(service.told, "training")[-1]["pid"]
    os.kill(trainer, signal.SIGKILL)
    _wait(lambda: _is_gone(training), lambda: service.told)
    _require_whole(tmp_path)
    service.wait_for(lambda: len(_told(service.told, "following")) == 2)
    while not _told(service.told, "training_ended"):
        feed(2)
    service.wait_for(lambda: len(_told(service.told, "swapped")) == PARTITIONS)
    feed(10)
    (run,) = TrainingLog(str(tmp_path / "models")).runs()
    assert (run.outcome, run.trigger, run.champion) == ("promoted", "drift", shipped), run
    assert set(run.answers) <= {one["signal"] for one in _told(service.told, "drift")}
    _require_promoted(registry, run)
    samples = service.metrics()
    assert samples["driftline_drifts_total", ()] == len(_told(service.told, "drift"))
    assert samples["driftline_accounting_imbalance_records", (("partition", "0"), ("topic", name.input))] == 0
    trainer = _told(service.told, "trainer_started")[-1]["trainer"]
    assert service.stop() == 0
    assert _is_gone(trainer)
    _require_whole(tmp_path)


def _require_promoted(registry: Registry, run: Run) -> None:
    """The bundle of a run is champion, with its reports, and has learned from nothing that it was judged on."""
    assert registry.champion() == run.bundle
    manifest = registry.load(run.bundle).manifest
    assert manifest.lineage.parent == run.champion
    assert manifest.training_window is not None
    assert run.judged_from is not None
    assert run.since <= manifest.training_window.start
    assert manifest.training_window.end <= run.judged_from < run.until
    assert len(registry.reports(run.bundle)) == 2


def _lag(service: Serving) -> float:
    return sum(value for (name, _), value in service.metrics().items() if name == "driftline_lag_records")


class Follower:
    """`driftline train --follow` as a process."""

    def __init__(self, file: Path, log: Path) -> None:
        self._log = log
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                driftline("train", "--follow", "--config", str(file), "--metrics-port", "0"),
                stderr=stream, stdout=stream, cwd=ROOT,
            )  # fmt: skip

    @property
    def told(self) -> str:
        """By all that have used this log."""
        return self._log.read_text()


@pytest.fixture
def follow() -> Iterator[Callable[[Path, Path], Follower]]:
    """Starts followers, which are ended at the end."""
    started: list[Follower] = []

    def start(file: Path, log: Path) -> Follower:
        started.append(Follower(file, log))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


def _ask(file: Path) -> None:
    subprocess.run(driftline("models", "retrain", "--config", str(file), "--reason", "a test"), cwd=ROOT, check=True)


def _runs(tmp_path: Path) -> list[Run]:
    return TrainingLog(str(tmp_path / "models")).runs()


def test_what_was_learned_from_poison_is_refused_and_kills_do_no_harm(
    bootstrap: str, tmp_path: Path, follow: Callable[[Path, Path], Follower]
) -> None:
    """A trainer alone: refused, then killed in the middle and while publishing, then promoted, then told to stop."""
    name, file = _make(bootstrap, tmp_path)
    registry = Registry(str(tmp_path / "models"))
    subprocess.run(driftline("models", "add", "shipped", "--promote", "--config", str(file)), cwd=ROOT, check=True)
    shipped = registry.champion()
    streams: Any = {"change": 1440, "keys": 12, "poisoned": 1150}
    log = tmp_path / "log"
    follower = follow(file, log)
    _wait(lambda: _told(follower.told, "trainer_waits"), lambda: follower.told)
    _ask(file)  # there is nothing to learn from yet: no harm, and no busy loop
    send(bootstrap, name.input, make_drifting(1440, **streams))
    _wait(lambda: [one for one in _runs(tmp_path) if one.outcome != "not_enough_history"], lambda: follower.told)
    refused = _runs(tmp_path)[-1]
    assert (refused.outcome, refused.trigger) == ("refused", "requested"), refused
    assert refused.champion_loss is not None
    assert refused.challenger_loss is not None
    assert refused.challenger_loss > refused.champion_loss
    assert registry.champion() == shipped
    assert len(registry.standing().published) == 1
    assert all((tmp_path / "models" / "runs" / report).stat().st_size for report in refused.reports)
    assert len(refused.reports) == 2

    send(bootstrap, name.input, make_drifting(2880, begin=1440, **streams))
    _ask(file)
    _wait(lambda: len(_stages(follower.told, "training")) == 2, lambda: follower.told)
    training = _stages(follower.told, "training")[-1]["pid"]
    follower.process.kill()
    follower.process.wait()
    _wait(lambda: _is_gone(training), lambda: follower.told)
    _require_whole(tmp_path)

    follower = follow(file, log)
    before, recorded = len(_stages(follower.told, "publishing")), len(_runs(tmp_path))
    _wait(lambda: len(_stages(follower.told, "publishing")) > before, lambda: follower.told, nap_s=0.002)
    os.kill(_stages(follower.told, "publishing")[-1]["pid"], signal.SIGKILL)
    _wait(lambda: len(_runs(tmp_path)) > recorded, lambda: follower.told)
    _require_whole(tmp_path)
    _wait(lambda: registry.champion() != shipped, lambda: follower.told)
    _require_whole(tmp_path)
    # killed before it was promoted, behind that, or having told it; the record comes a moment after
    outcomes = [one.outcome for one in _runs(tmp_path)[recorded:]]
    assert outcomes in (["failed"], ["failed", "promoted"], ["promoted"])

    _ask(file)
    before = len(_stages(follower.told, "training"))
    _wait(lambda: len(_stages(follower.told, "training")) > before, lambda: follower.told)
    training = _stages(follower.told, "training")[-1]["pid"]
    began = time.monotonic()
    follower.process.terminate()
    assert follower.process.wait(60) == 0
    assert time.monotonic() - began < 10
    assert _is_gone(training)
    _require_whole(tmp_path)


def test_of_two_trainers_one_trains_and_a_hold_is_kept(
    bootstrap: str, tmp_path: Path, follow: Callable[[Path, Path], Follower]
) -> None:
    """However many there are, a request is answered by one run; what passes waits for the release of promotion."""
    name, file = _make(bootstrap, tmp_path)
    registry = Registry(str(tmp_path / "models"))
    subprocess.run(driftline("models", "add", "shipped", "--promote", "--config", str(file)), cwd=ROOT, check=True)
    registry.hold(act(reason="a test"))
    send(bootstrap, name.input, make_drifting(1440, change=0, keys=12))
    _ask(file)
    logs = [tmp_path / f"log{n}" for n in range(2)]
    followers = [follow(file, log) for log in logs]
    _wait(lambda: _runs(tmp_path), lambda: followers[0].told + followers[1].told)
    time.sleep(3.0)
    (run,) = _runs(tmp_path)
    assert run.outcome == "held", run
    assert sum(len(_told(one.told, "training_began")) for one in followers) == 1
    assert run.bundle in registry.standing().published
    assert registry.champion() != run.bundle
    assert len(registry.reports(run.bundle)) == 2
