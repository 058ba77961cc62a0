"""`driftline serve` with the champion of a registry, against a real broker."""

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.structure import Structure
from pipeline.adapters.bundles import Bundle
from pipeline.adapters.bundles.registry import Registry
from pipeline.cli import run
from pipeline.cli.workshop import EngineWorkshop
from pipeline.config import Config, load_config
from pipeline.records import Place
from pipeline.service.outputs import send_outputs
from pipeline.service.plan import Topics
from tests.chaos.records import INTERVAL_MS, make_records
from tests.chaos.service import WAIT_S, Names, Serving, write_config
from tests.kafka_broker import create_topic, read_committed, read_to_end, send
from tests.pipeline.adapters.bundles.bench import act
from tests.pipeline.cli.bundles import joint_variant, structure_variant, variant
from tests.pipeline.cli.test_serve import PARTITIONS, _drain
from tests.pipeline.service.fakes import MemoryLog, MemoryOutbox, Stored, Trap

pytestmark = pytest.mark.kafka


def _swaps(told: str) -> dict[int, list[int]]:
    """Offsets at which each partition went over to another bundle, by what the log says."""
    found: dict[int, list[int]] = {n: [] for n in range(PARTITIONS)}
    for line in told.splitlines():
        if '"swapped"' in line:
            event = json.loads(line)
            found[int(event["place"].rpartition("/")[2])].append(event["offset"])
    return found


def _total(service: Serving, metric: str) -> float:
    return sum(value for (name, _), value in service.metrics().items() if name == metric)


def _expected(
    config: Config,
    bundles: list[Bundle],
    swaps: dict[int, list[int]],
    messages: Sequence[Any],
    scratch: Path,
) -> dict[str, dict[int, list[str]]]:
    """Outputs of engines that take one message after another, and go over to the next bundle where it is told."""
    log, name = MemoryLog(), Names.of(config.kafka.group, str((config.input.topics or ("",))[0]))
    outbox = MemoryOutbox(log, Trap())
    topics = Topics(name.anomalies, name.dead_letters, name.verdicts)
    workshops = [EngineWorkshop(config, bundle, scratch) for bundle in bundles]
    for partition in range(PARTITIONS):
        mine = sorted((one for one in messages if one.partition == partition), key=lambda one: one.offset)
        place = Place(name.input, partition)
        at, work = 0, workshops[0].make(place)
        decoder = work.make_decoder(None)
        for one in mine:
            while at < len(swaps[partition]) and one.offset >= swaps[partition][at]:
                at += 1
                changed = workshops[at].carry(place, work)
                assert changed is not None
                work, decoder = changed, changed.make_decoder(decoder.unit)
            message = Stored(one.offset, one.key, one.value)
            batch = decoder.decode([message])
            send_outputs(outbox, topics, place, [message], batch, work.engine.process(batch), 1)
        for workshop in workshops:
            workshop.release(place)
    outbox.commit({})
    return {
        topic: {n: [value.decode() for _, value, _ in mine] for n, mine in log.contents(topic).items()}
        for topic in (name.anomalies, name.verdicts)
    }


def _with_two_fields(records: Iterable[tuple[int, bytes, bytes]]) -> Iterator[tuple[int, bytes, bytes]]:
    """The records with a field that follows the other one, and is not there now and then."""
    for partition, key, value in records:
        fields = json.loads(value)
        if int(fields["time"]) // INTERVAL_MS % 7:
            fields["load"] = round(3 * fields["value"] + 0.01 * (int(fields["time"]) // INTERVAL_MS % 13), 6)
        yield partition, key, json.dumps(fields).encode()


@pytest.mark.parametrize(
    ("fields", "newer"),
    [
        (("value",), variant(gain=0.8, seed=2)),
        (("load", "value"), joint_variant(("load", "value"))),
        (("value",), structure_variant(Structure("gru"))),
        (("value",), structure_variant(Structure("layer-norm-lstm", 4, 8))),
    ],
    ids=["shared", "joint", "gru", "convolution-and-attention"],
)
def test_a_newer_champion_is_gone_over_to_at_one_offset(
    bootstrap: str, tmp_path: Path, fields: tuple[str, ...], newer: Bundle
) -> None:
    """Two workers, one of them killed behind the swap: what readers see is what an engine with those swaps says.

    Whether the newer champion is of weights alone, or another network: one for both fields together, or of another
    structure.
    """
    registry = Registry(str(tmp_path / "models"))
    bundles = [variant(), newer]
    first, second = (registry.publish(bundle, act()) for bundle in bundles)
    registry.promote(first, act())
    name = Names.of(f"run-{uuid.uuid4().hex[:8]}", f"in-{uuid.uuid4().hex[:8]}")
    create_topic(bootstrap, name.input, PARTITIONS, {})
    file = write_config(
        tmp_path / "c.toml", bootstrap, name, detector={"bundle": "champion"},
        models={"registry": str(tmp_path / "models"), "check_interval": "200ms", "rollback": len(fields) == 1},
        kafka={"session_timeout": "3s"}, log={"repeat_interval": "0s"},
        source={"value_fields": [*reversed(fields)]},  # the network has them in another order
    )  # fmt: skip
    records = list(make_records(6000, 8, PARTITIONS, 9, garbage=0.0))
    if len(fields) > 1:
        records = list(_with_two_fields(records))
    service = Serving(file, tmp_path / "log", "--workers", "2")
    service.wait_until_ready()
    send(bootstrap, name.input, records[:4000])
    _drain(bootstrap, name, service)
    registry.promote(second, act(1))
    service.wait_for(lambda: all(_swaps(service.told).values()))
    send(bootstrap, name.input, records[4000:5000])
    found = subprocess.run(["pgrep", "-P", str(service.process.pid)], capture_output=True, text=True, check=True)
    os.kill(int(found.stdout.split()[0]), signal.SIGKILL)
    send(bootstrap, name.input, records[5000:])
    service.wait_for(lambda: "worker_ended" in service.told)
    _drain(bootstrap, name, service)
    swaps = _swaps(service.told)
    assert all(len(set(mine)) == 1 for mine in swaps.values())
    service.wait_for(lambda: _total(service, "driftline_swaps_total") >= 1)  # a busy worker's part may be missing
    assert service.stop() == 0
    messages = read_to_end(bootstrap, name.input)
    anomalies, verdicts = read_committed(bootstrap, name.anomalies, name.verdicts)
    config = load_config(file, {}, environ={}).config
    one_each = {partition: mine[:1] for partition, mine in swaps.items()}
    expected = _expected(config, bundles, one_each, messages, tmp_path)
    assert {n: [one.value for one in mine] for n, mine in anomalies.items()} == expected[name.anomalies]
    assert {n: [one.value for one in mine] for n, mine in verdicts.items()} == expected[name.verdicts]
    told = {one["id"]: one for mine in anomalies.values() for one in (json.loads(message.value) for message in mine)}
    assert {one["bundle"] for one in told.values()} == {first[:16], second[:16]}
    # and so does a replay of the topic that is told of the swaps
    arguments = ["--config", str(file), "--swaps", str(tmp_path / "log"), "--out", str(tmp_path / "out"), "--quiet"]
    assert run(["replay", f"kafka://{bootstrap}/{name.input}", *arguments]) == 0
    lines = (tmp_path / "out" / "anomalies.jsonl").read_text().splitlines()
    assert {one["id"]: one for one in map(json.loads, lines)} == told


def _without_rhythm(records: Iterable[tuple[int, bytes, bytes]]) -> Iterator[tuple[int, bytes, bytes]]:
    """The same streams at the same times, as noise that nobody can forecast."""
    rng = np.random.default_rng(7)
    for partition, key, value in records:
        yield partition, key, json.dumps(json.loads(value) | {"value": round(rng.normal(10, 0.7), 6)}).encode()


@pytest.mark.parametrize(
    ("newer", "changed", "lesson"),
    [
        (variant(gain=3.0, seed=2), False, ": the streams are as they were, and the newer bundle was worse"),
        (variant(seed=2), True, ": the streams have changed, and the newer bundle need not have been worse"),
    ],
    ids=["worse-bundle", "changed-streams"],
)
def test_a_bundle_that_is_worse_in_service_is_left(
    bootstrap: str, tmp_path: Path, newer: Bundle, *, changed: bool, lesson: str
) -> None:
    """The registry is rolled back and promotion held, once and loudly, and the bundle before scores again.

    Then the log explains it, once: a bundle of three times the weights was worse, and one of the very same weights was
    not, but the streams lost their rhythm right behind the swap to it. What the log says frees promotion does.
    """
    registry = Registry(str(tmp_path / "models"))
    first, second = (registry.publish(bundle, act()) for bundle in (variant(), newer))
    registry.promote(first, act())
    name = Names.of(f"run-{uuid.uuid4().hex[:8]}", f"in-{uuid.uuid4().hex[:8]}")
    create_topic(bootstrap, name.input, PARTITIONS, {})
    file = write_config(
        tmp_path / "c.toml", bootstrap, name, detector={"bundle": "champion"},
        models={"registry": str(tmp_path / "models"), "check_interval": "200ms"}, log={"repeat_interval": "0s"},
    )  # fmt: skip
    records = list(make_records(220_000, 40, PARTITIONS, 9, garbage=0.0))
    if changed:
        records[80_000:] = _without_rhythm(records[80_000:])
    service = Serving(file, tmp_path / "log")
    service.wait_until_ready()
    send(bootstrap, name.input, records[:80_000])
    _drain(bootstrap, name, service)
    registry.promote(second, act(1))
    service.wait_for(lambda: all(_swaps(service.told).values()))
    assert service.metrics()[("driftline_bundle_probation", ())] == 0  # told with the next batch
    send(bootstrap, name.input, records[80_000:120_000])
    service.wait_for(lambda: all(len(mine) == 2 for mine in _swaps(service.told).values()))
    send(bootstrap, name.input, records[120_000:])
    _drain(bootstrap, name, service)
    assert service.told.count('"rolled_back"') == 1
    assert service.metrics()[("driftline_rollbacks_total", ())] == 1
    (explained,) = [json.loads(line) for line in service.told.splitlines() if '"rollback_explained"' in line]
    assert (explained["level"], explained["bundle"]) == ("warning", second[:16])
    assert lesson in explained["lesson"]
    assert service.stop() == 0
    standing = Registry(str(tmp_path / "models")).standing()
    assert standing.champion == first
    assert standing.hold is not None
    assert "residual" in standing.hold.reason or "alarms" in standing.hold.reason
    told = [*explained["release"].split()[1:], "--config", str(file), "--reason", explained["lesson"]]
    assert run(told) == 0
    assert Registry(str(tmp_path / "models")).standing().hold is None
    (outputs,) = read_committed(bootstrap, name.anomalies)
    for mine in outputs.values():
        bundles = [json.loads(one.value or "")["bundle"] for one in mine]
        assert bundles[0] == first[:16]


def test_without_a_champion_the_service_does_not_start(bootstrap: str, tmp_path: Path) -> None:
    """It says what to do, with exit status 2."""
    name = Names.of(f"run-{uuid.uuid4().hex[:8]}", "nowhere")
    config = write_config(
        tmp_path / "c.toml", bootstrap, name, detector={"bundle": "champion"},
        models={"registry": str(tmp_path / "models")},
    )  # fmt: skip
    service = Serving(config, tmp_path / "log")
    assert service.process.wait(WAIT_S) == 2
    assert f"registry {tmp_path}/models: found no champion; expected one: driftline models add" in service.told
