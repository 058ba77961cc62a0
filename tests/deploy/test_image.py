"""The image that serves, as it was built, confined as deploy/README.md tells; `make image` builds it and runs these."""

import json
import os
import re
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from kafka import KafkaConsumer, TopicPartition

from pipeline.cli import run
from tests.chaos.records import make_records
from tests.chaos.service import Names, write_config
from tests.deploy.containers import CACHE, MODELS, Container, Image
from tests.deploy.reading import VERSION, find
from tests.kafka_broker import create_topic, free_port, read_committed, send
from tests.pipeline.cli.samples import write_stream

pytestmark = [pytest.mark.image, pytest.mark.slow]
PARTITIONS = 2


@pytest.fixture(scope="module")
def image() -> Image:
    """The one of DRIFTLINE_IMAGE."""
    return Image(os.environ["DRIFTLINE_IMAGE"])


@pytest.fixture(scope="module")
def volume(image: Image) -> Iterator[str]:
    """Of compiled kernels, as long as these tests run."""
    name = f"driftline-test-{uuid.uuid4().hex[:8]}"
    image.call("volume", "create", name)
    yield name
    image.call("volume", "rm", "--force", name)


def test_it_is_of_this_version_and_has_no_torch(image: Image) -> None:
    """It tells the version of these sources, and its Python finds no torch."""
    told = image.run("version")
    assert re.fullmatch(rf"driftline {re.escape(VERSION)}, bundle [0-9a-f]{{16}}\n", told.stdout), told.stderr
    missing = image.run("-c", "import torch", options=("--entrypoint", "python"))
    assert missing.returncode != 0
    assert "No module named 'torch'" in missing.stderr


def test_it_keeps_what_the_dockerfile_says(image: Image) -> None:
    """User, entry point, signal and health check are in the image; an image in OCI's format would lack the last."""
    settings = image.settings
    assert settings["User"] == "10001:10001"
    assert (settings["Entrypoint"], settings["Cmd"]) == (["driftline"], ["serve"])
    assert settings["StopSignal"] in {"SIGTERM", "15"}
    assert settings["Healthcheck"]["Test"][0] == "CMD"


def test_it_has_no_rights_and_writes_in_its_places_alone(image: Image, volume: str) -> None:
    """User 10001 without capabilities writes to the cache and to /tmp, and neither to its programs nor elsewhere."""
    look = f"id -u; grep CapEff /proc/self/status; for at in {CACHE} /tmp /opt/driftline /etc /var/lib/driftline; do "
    look += "touch $at/written 2>/dev/null && echo $at; done; true"
    options = ("--entrypoint", "sh", "--volume", f"{volume}:{CACHE}")
    told = image.run("-c", look, options=options)
    assert told.stdout.split() == ["10001", "CapEff:", "0" * 16, CACHE, "/tmp"], told.stderr  # noqa: S108  in it


def test_it_replays_and_tells_what_training_lacks(image: Image, volume: str, tmp_path: Path) -> None:
    """A file that is mounted is scored with compiled kernels; `train` ends with 2 and says what is missing."""
    file = write_stream(tmp_path / "machine.csv", 300, fault=None)
    options = ("--volume", f"{file}:/data/machine.csv:ro,z", "--volume", f"{volume}:{CACHE}")
    script = "driftline replay /data/machine.csv --out /tmp/out --quiet >/dev/null && cat /tmp/out/summary.json"
    replayed = image.run("-c", script, options=(*options, "--entrypoint", "sh"))
    assert replayed.returncode == 0, replayed.stderr
    assert json.loads(replayed.stdout)["records"]["scored"] > 0
    trained = image.run("train", "/data/machine.csv", "--out", "bundle", options=options)
    assert trained.returncode == 2
    assert "found no torch; expected it for training" in trained.stderr


def test_it_begins_a_registry_that_is_empty(image: Image) -> None:
    """What compose and Kubernetes run once puts the shipped network in, on a new volume; then it is champion."""
    (container,) = find("StatefulSet")["spec"]["template"]["spec"]["initContainers"]
    script = container["args"][0].replace("--config /etc/driftline/driftline.toml", "--registry file://" + MODELS)
    name = f"driftline-test-{uuid.uuid4().hex[:8]}"
    options = ("--volume", f"{name}:{MODELS}", "--entrypoint", "sh", "--env", "HOSTNAME=driftline-0")
    try:
        begun = image.run("-c", script.replace("$(HOSTNAME)", "$HOSTNAME"), options=options)
        assert begun.returncode == 0, begun.stderr
        assert "is now champion" in begun.stdout + begun.stderr
        again = image.run("-c", script.replace("||", "&&").split("&&")[0], options=options)
        assert again.returncode == 0, again.stderr
    finally:
        image.call("volume", "rm", "--force", name)


def _status(port: int, path: str) -> int:
    """Of the answer; 0 without one."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as exc:
        return exc.code
    except OSError:
        return 0


def _wait(container: Container, condition: Callable[[], bool], timeout_s: float = 180.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert container.is_running, container.told[-3000:]
        assert time.monotonic() < deadline, container.told[-3000:]
        time.sleep(0.3)


def _committed(bootstrap: str, names: Names) -> bool:
    """Whether the group has committed all there is."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=names.group, enable_auto_commit=False)
    try:
        places = [TopicPartition(names.input, n) for n in range(PARTITIONS)]
        ends = consumer.end_offsets(places)
        return all((consumer.committed(place) or 0) >= ends[place] for place in places)
    finally:
        consumer.close()


@pytest.mark.kafka
def test_it_serves_through_a_stop_and_a_kill_and_says_what_a_replay_says(
    image: Image, volume: str, bootstrap: str, tmp_path: Path
) -> None:
    """Healthy by its own check; SIGTERM ends it with 0, all committed; in the end it has said what a replay says."""
    topic, port = f"in-{uuid.uuid4().hex[:8]}", free_port()
    names = Names.of(f"run-{topic}", topic)
    create_topic(bootstrap, topic, PARTITIONS)
    records = list(make_records(6000, 12, PARTITIONS, 3))
    config = write_config(tmp_path / "driftline.toml", bootstrap, names, http={"port": port})
    container = Container(image, volume, config)
    try:
        container.start()
        _wait(container, lambda: _status(port, "/healthz") == 200)
        check = [word.replace(":9464/", f":{port}/") for word in image.settings["Healthcheck"]["Test"][1:]]
        assert container.execute(*check) == 0
        _wait(container, lambda: _status(port, "/readyz") == 200)
        send(bootstrap, topic, records[:2000])
        _wait(container, lambda: _committed(bootstrap, names))
        assert container.stop() == 0, container.told[-3000:]
        assert _status(port, "/healthz") == 0
        send(bootstrap, topic, records[2000:4000])
        container.start()
        _wait(container, lambda: _status(port, "/readyz") == 200)
        container.kill()
        send(bootstrap, topic, records[4000:])
        container.start()
        _wait(container, lambda: _committed(bootstrap, names))
        _wait(container, lambda: _status(port, "/readyz") == 200)
        assert container.stop() == 0, container.told[-3000:]
    finally:
        container.remove()
    (found,) = read_committed(bootstrap, names.verdicts)
    lines = [json.loads(line) for part in found.values() for one in part for line in one.value.splitlines()]
    told = [one for one in lines if one["disposition"] in {"scored", "warming"}]
    out = tmp_path / "replayed"
    source = f"kafka://{bootstrap}/{topic}"
    assert run(["replay", source, "--config", str(config), "--out", str(out), "--quiet"]) == 0
    table = pq.read_table(out / "verdicts.parquet").to_pylist()
    replayed = {
        (row["key"], int(row["time"].timestamp() * 1_000_000 + 0.5)): row
        for row in table
        if row["disposition"] in {"scored", "warming"}
    }
    assert len(told) == len(replayed) > 5000
    assert sum(one["is_anomaly"] for one in told) > 5
    for one in told:
        row = replayed[one["key"], one["time"]]
        assert (row["value"], row["is_anomaly"]) == (one["value"], one["is_anomaly"])
        assert (row["score"] is None) == (one["score"] is None)
        assert row["score"] is None or np.float32(row["score"]) == np.float32(one["score"])
