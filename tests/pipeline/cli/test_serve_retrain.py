"""`driftline serve` with a trainer beside it, and a trainer alone, against a real broker."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.adapters.bundles.registry import Registry
from pipeline.adapters.bundles.training_log import TrainingLog
from pipeline.learning.records import Run
from tests.chaos.service import WAIT_S, Serving
from tests.drifting.streams import make_drifting
from tests.kafka_broker import send
from tests.pipeline.adapters.bundles.bench import act
from tests.pipeline.cli.followers import PARTITIONS, Follower, ask, begin, is_gone, make, runs_of, stages, told, wait

pytestmark = [pytest.mark.kafka, pytest.mark.torch, pytest.mark.slow]
SHIPPED = load_bundle(shipped_bundle_path()).short_id
STALL_S = 60.0
"""What was sent is committed within so long, whatever the trainer does; machines of tests are busy."""


def _require_whole(tmp_path: Path) -> None:
    registry = Registry(str(tmp_path / "models"))
    assert all(wrong is None for wrong in registry.verify().values())
    assert registry.champion() == registry.standing().champion


def test_drift_is_told_trained_away_judged_and_swapped_in(bootstrap: str, tmp_path: Path) -> None:
    """All by the service and its trainer, which is killed on the way; what comes is committed all the while."""
    name, file = make(bootstrap, tmp_path, enabled=True)
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
    assert told(service.told, "drift") == []
    while not told(service.told, "drift"):
        assert sent < 3500, "found no drift"
        feed(100)
    while not stages(service.told, "training"):
        assert told(service.told, "training_ended") == []
        feed(2)
    trainer = told(service.told, "trainer_started")[-1]["trainer"]
    training = stages(service.told, "training")[-1]["pid"]
    os.kill(trainer, signal.SIGKILL)
    wait(lambda: is_gone(training), lambda: service.told)
    _require_whole(tmp_path)
    service.wait_for(lambda: len(told(service.told, "following")) == 2)
    while not told(service.told, "training_ended"):
        feed(2)
    service.wait_for(lambda: len(told(service.told, "swapped")) == PARTITIONS)
    feed(10)
    (run,) = TrainingLog(str(tmp_path / "models")).runs()
    assert (run.outcome, run.trigger, run.champion) == ("promoted", "drift", shipped), run
    assert set(run.answers) <= {one["signal"] for one in told(service.told, "drift")}
    _require_promoted(registry, run)
    samples = service.metrics()
    assert samples["driftline_drifts_total", ()] == len(told(service.told, "drift"))
    assert samples["driftline_accounting_imbalance_records", (("partition", "0"), ("topic", name.input))] == 0
    trainer = told(service.told, "trainer_started")[-1]["trainer"]
    assert service.stop() == 0
    assert is_gone(trainer)
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


def test_what_was_learned_from_poison_is_refused_and_kills_do_no_harm(bootstrap: str, tmp_path: Path) -> None:
    """A trainer alone: refused, then killed in the middle and while publishing, then promoted, then told to stop."""
    name, file = make(bootstrap, tmp_path)
    registry = Registry(str(tmp_path / "models"))
    begin(file)
    shipped = registry.champion()
    streams: Any = {"change": 1440, "keys": 12, "poisoned": 1150}
    log = tmp_path / "log"
    follower = Follower(file, log)
    follower.wait_for(lambda: told(follower.told, "trainer_waits"))
    ask(file)  # there is nothing to learn from yet: no harm, and no busy loop
    send(bootstrap, name.input, make_drifting(1440, **streams))
    follower.wait_for(lambda: [one for one in runs_of(tmp_path) if one.outcome != "not_enough_history"])
    refused = runs_of(tmp_path)[-1]
    assert (refused.outcome, refused.trigger) == ("refused", "requested"), refused
    assert refused.champion_loss is not None
    assert refused.challenger_loss is not None
    assert refused.challenger_loss > refused.champion_loss
    assert refused.peak_bytes["process"] > 2**26  # numpy, numba and torch alone take more
    assert (refused.peak_bytes["device"] > 0) == (refused.device != "cpu")
    assert registry.champion() == shipped
    assert len(registry.standing().published) == 1
    assert all((tmp_path / "models" / "runs" / report).stat().st_size for report in refused.reports)
    assert len(refused.reports) == 2

    send(bootstrap, name.input, make_drifting(2880, begin=1440, **streams))
    ask(file)
    follower.wait_for(lambda: len(stages(follower.told, "training")) == 2)
    follower.kill()
    _require_whole(tmp_path)

    follower = Follower(file, log)
    before, recorded = len(stages(follower.told, "publishing")), len(runs_of(tmp_path))
    follower.wait_for(lambda: len(stages(follower.told, "publishing")) > before, nap_s=0.002)
    with suppress(ProcessLookupError):  # it may be done with that by now
        os.kill(stages(follower.told, "publishing")[-1]["pid"], signal.SIGKILL)
    follower.wait_for(lambda: len(runs_of(tmp_path)) > recorded)
    _require_whole(tmp_path)
    follower.wait_for(lambda: registry.champion() != shipped)
    _require_whole(tmp_path)
    # killed before it was promoted, behind that, or having told it; the record comes a moment after
    outcomes = [one.outcome for one in runs_of(tmp_path)[recorded:]]
    assert outcomes in (["failed"], ["failed", "promoted"], ["promoted"])

    ask(file)
    before = len(stages(follower.told, "training"))
    follower.wait_for(lambda: len(stages(follower.told, "training")) > before)
    training = stages(follower.told, "training")[-1]["pid"]
    follower.process.terminate()
    assert follower.process.wait(WAIT_S) == 0
    assert told(follower.told, "training_stopped")
    assert is_gone(training)
    _require_whole(tmp_path)


def test_of_two_trainers_one_trains_and_a_hold_is_kept(bootstrap: str, tmp_path: Path) -> None:
    """However many there are, a request is answered by one run; what passes waits for the release of promotion."""
    name, file = make(bootstrap, tmp_path)
    registry = Registry(str(tmp_path / "models"))
    begin(file)
    registry.hold(act(reason="a test"))
    send(bootstrap, name.input, make_drifting(1440, change=0, keys=12))
    ask(file)
    logs = [tmp_path / f"log{n}" for n in range(2)]
    followers = [Follower(file, log) for log in logs]
    wait(lambda: runs_of(tmp_path), lambda: followers[0].told + followers[1].told)
    time.sleep(3.0)
    (run,) = runs_of(tmp_path)
    assert run.outcome == "held", run
    assert sum(len(told(one.told, "training_began")) for one in followers) == 1
    assert run.bundle in registry.standing().published
    assert registry.champion() != run.bundle
    assert len(registry.reports(run.bundle)) == 2
