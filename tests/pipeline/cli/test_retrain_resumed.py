"""A follower that was ended in the middle of a training goes on with it, against a real broker."""

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.adapters.bundles.lease import Lease
from pipeline.adapters.bundles.registry import Registry
from pipeline.learning.records import Run
from tests.drifting.streams import make_drifting
from tests.kafka_broker import send
from tests.pipeline.adapters.bundles.bench import act
from tests.pipeline.cli.bundles import variant
from tests.pipeline.cli.followers import Follower, ask, begin, configure, make, runs_of, told

pytestmark = [pytest.mark.kafka, pytest.mark.torch, pytest.mark.slow]
KEYS, POINTS = 6, 1500


def _state(folder: Path) -> list[Path]:
    return [*(folder / "kept").glob("*.resume")]


def _train_and_kill(follower: Follower, folder: Path) -> None:
    """Kill a follower once its training is kept."""
    follower.wait_for(lambda: _state(folder), nap_s=0.005)
    follower.kill()
    assert _state(folder), follower.told
    assert not told(follower.told, "training_ended")


def _run_of(follower: Follower, folder: Path) -> Run:
    follower.wait_for(lambda: told(follower.told, "training_ended"))
    follower.wait_for(lambda: not _state(folder))
    (run,) = runs_of(folder)
    assert run.bundle, run
    return run


def test_a_killed_follower_goes_on_to_the_same_bundle(bootstrap: str, tmp_path: Path) -> None:
    """Killed in the middle, and more sent meanwhile: run, history and bundle are those of an undisturbed follower.

    A training that was ended by the loss of the lease is gone on with as well, once nobody else trains.
    """
    folders = [tmp_path / name for name in ("whole", "killed")]
    name, _ = make(bootstrap, tmp_path)
    files = [configure(bootstrap, folder, name, steps=200) for folder in folders]
    streams = [*make_drifting(POINTS, change=0, keys=KEYS)]
    send(bootstrap, name.input, streams)
    for file in files:
        begin(file)
        ask(file)
    follower = Follower(files[0], tmp_path / "log-whole")
    whole = _run_of(follower, folders[0])
    follower.process.kill()

    log = tmp_path / "log-killed"
    follower = Follower(files[1], log)
    _train_and_kill(follower, folders[1])
    # of times that it learns from, and behind them
    send(bootstrap, name.input, [*streams[600:900], *make_drifting(POINTS + 20, change=0, keys=KEYS, begin=POINTS)])
    begun = told(follower.told, "training_began")

    follower = Follower(files[1], log, constants={"pipeline.cli.learning.attending.LEASE_S": 1.5})
    follower.wait_for(lambda: told(follower.told, "training_goes_on"), nap_s=0.005)
    follower.process.send_signal(signal.SIGSTOP)
    url = str(folders[1] / "models")
    other = Lease(url, "another", timedelta(hours=1), clock=lambda: datetime.now(UTC) + timedelta(seconds=3))
    assert other.take()
    follower.process.send_signal(signal.SIGCONT)
    follower.wait_for(lambda: told(follower.told, "lease_lost"), nap_s=0.005)
    follower.wait_for(lambda: told(follower.told, "trainer_waits"))
    assert "another trains" in told(follower.told, "trainer_waits")[-1]["reason"]
    other.give_back()

    killed = _run_of(follower, folders[1])
    assert [one["run"] for one in begun] == [killed.name]
    assert len(told(follower.told, "training_began")) == 1
    assert len(told(follower.told, "training_resumed")) == len(killed.resumed) == 2
    assert killed.resumed_step is not None
    assert killed.resumed_step >= 50
    assert (killed.since, killed.until, killed.judged_from) == (whole.since, whole.until, whole.judged_from)
    assert (killed.bundle, killed.answers != ()) == (whole.bundle, True)
    assert whole.resumed == ()
    assert Registry(url).verify().keys() == Registry(str(folders[0] / "models")).verify().keys()


def test_what_is_out_of_date_or_damaged_is_not_gone_on_with(bootstrap: str, tmp_path: Path) -> None:
    """The state of a training that was damaged is begun anew; one for another champion is dropped. Both are told."""
    name, file = make(bootstrap, tmp_path, steps=200)
    begin(file)
    send(bootstrap, name.input, make_drifting(POINTS, change=0, keys=KEYS))
    ask(file)
    log = tmp_path / "log"
    follower = Follower(file, log)
    _train_and_kill(follower, tmp_path)
    (state,) = _state(tmp_path)
    state.write_bytes(state.read_bytes()[:-100])
    follower = Follower(file, log)
    follower.wait_for(lambda: told(follower.told, "training_begun_anew"))
    assert "found a file that cannot be read" in told(follower.told, "training_begun_anew")[0]["error"]
    _train_and_kill(follower, tmp_path)
    registry = Registry(str(tmp_path / "models"))
    shipped = registry.champion()
    configure(bootstrap, tmp_path, name, steps=60)
    registry.promote(registry.publish(variant(gain=0.9, seed=2), act()), act())
    follower = Follower(file, log)
    follower.wait_for(lambda: runs_of(tmp_path))
    assert "another bundle is champion since" in told(follower.told, "training_dropped")[0]["reason"]
    (run,) = runs_of(tmp_path)
    assert run.champion != shipped
    assert (run.resumed, run.resumed_step) == ((), None)
