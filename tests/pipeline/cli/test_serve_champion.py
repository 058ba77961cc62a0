"""`driftline serve` with the champion of a registry, against a real broker."""

import json
import os
import signal
import subprocess
import uuid
from pathlib import Path

import pytest

from pipeline.adapters.bundles.registry import Registry
from tests.chaos.records import make_records
from tests.chaos.service import Names, Serving, write_config
from tests.kafka_broker import create_topic, read_committed, send
from tests.pipeline.adapters.bundles.bench import act
from tests.pipeline.cli.bundles import variant
from tests.pipeline.cli.test_serve import PARTITIONS, _drain

pytestmark = pytest.mark.kafka


def test_all_workers_have_the_champion_of_the_start(bootstrap: str, tmp_path: Path) -> None:
    """Whatever is promoted while they run, also the one that is killed and started again."""
    registry = Registry(str(tmp_path / "models"))
    first, second = (registry.publish(variant(seed=seed), act()) for seed in (2, 3))
    registry.promote(first, act())
    name = Names.of(f"run-{uuid.uuid4().hex[:8]}", f"in-{uuid.uuid4().hex[:8]}")
    create_topic(bootstrap, name.input, PARTITIONS, {})
    config = write_config(
        tmp_path / "c.toml", bootstrap, name, detector={"bundle": "champion"},
        models={"registry": str(tmp_path / "models")}, kafka={"session_timeout": "3s"},
    )  # fmt: skip
    service = Serving(config, tmp_path / "log", "--workers", "2")
    service.wait_until_ready()
    registry.promote(second, act(1))
    found = subprocess.run(["pgrep", "-P", str(service.process.pid)], capture_output=True, text=True, check=True)
    os.kill(int(found.stdout.split()[0]), signal.SIGKILL)
    service.wait_for(lambda: "worker_ended" in service.told)
    send(bootstrap, name.input, make_records(4000, 8, PARTITIONS, 9, garbage=0.0))
    _drain(bootstrap, name, service)
    assert service.stop() == 0
    (told,) = read_committed(bootstrap, name.anomalies)
    bundles = {json.loads(message.value)["bundle"] for part in told.values() for message in part}
    assert bundles == {first[:16]}


def test_without_a_champion_the_service_does_not_start(bootstrap: str, tmp_path: Path) -> None:
    """It says what to do, with exit status 2."""
    name = Names.of(f"run-{uuid.uuid4().hex[:8]}", "nowhere")
    config = write_config(
        tmp_path / "c.toml", bootstrap, name, detector={"bundle": "champion"},
        models={"registry": str(tmp_path / "models")},
    )  # fmt: skip
    service = Serving(config, tmp_path / "log")
    assert service.process.wait(60) == 2
    assert f"registry {tmp_path}/models: found no champion; expected one: driftline models add" in service.told
