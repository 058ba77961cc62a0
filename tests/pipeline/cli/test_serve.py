"""`driftline serve` against a real broker, as a user runs it."""

import json
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from pipeline.adapters.kafka import connection
from pipeline.cli import run
from pipeline.records import Place
from tests.chaos.records import GARBAGE, make_records
from tests.chaos.service import Names, Samples, Serving, driftline, write_config
from tests.chaos.state import state_hash
from tests.kafka_broker import create_topic, read_committed, read_to_end, send
from tests.pipeline.cli.followers import is_gone, wait

pytestmark = pytest.mark.kafka
PARTITIONS = 2


@pytest.fixture
def names(bootstrap: str) -> Callable[..., Names]:
    """Makes a fresh topic, with its run."""

    def make(**config: str) -> Names:
        topic = f"in-{uuid.uuid4().hex[:8]}"
        create_topic(bootstrap, topic, PARTITIONS, config)
        return Names.of(f"run-{topic}", topic)

    return make


def _drain(bootstrap: str, names: Names, service: Serving) -> None:
    """Until all there is is committed, and shown as such."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=names.group, enable_auto_commit=False)
    try:
        places = [TopicPartition(names.input, n) for n in range(PARTITIONS)]
        ends = consumer.end_offsets(places)
        service.wait_for(lambda: all((consumer.committed(one) or 0) >= ends[one] for one in places))
    finally:
        consumer.close()
    service.wait_until_ready()
    # metrics, and what the API tells, come a moment behind the commit
    service.wait_for(lambda: service.offsets() == {tuple(one): end for one, end in ends.items()})


def _verdicts(bootstrap: str, names: Names) -> dict[tuple[str, int], dict[str, Any]]:
    """By key and time of the scored and warming points."""
    (found,) = read_committed(bootstrap, names.verdicts)
    told = [json.loads(line) for one in found.values() for message in one for line in message.value.splitlines()]
    return {(one["key"], one["time"]): one for one in told if one["disposition"] in {"scored", "warming"}}


def _anomalies(bootstrap: str, names: Names) -> list[dict[str, Any]]:
    """As they are told."""
    (found,) = read_committed(bootstrap, names.anomalies)
    return [json.loads(one.value) for part in found.values() for one in part]


def test_live_replayed_from_the_topic_and_from_a_file_are_the_same_bits(
    bootstrap: str, names: Callable[..., Names], tmp_path: Path
) -> None:
    """What the service says, what a replay of the topic says and what one of the same records in a file says agree."""
    name = names()
    records = list(make_records(6000, 12, PARTITIONS, 3, garbage=0.0))
    send(bootstrap, name.input, records)
    config = write_config(tmp_path / "c.toml", bootstrap, name)
    service = Serving(config, tmp_path / "log")
    _drain(bootstrap, name, service)
    assert service.stop() == 0
    live = _verdicts(bootstrap, name)
    assert sum(one["is_anomaly"] for one in live.values()) > 5

    out = tmp_path / "topic"
    assert (
        run(["replay", f"kafka://{bootstrap}/{name.input}", "--config", str(config), "--out", str(out), "--quiet"]) == 0
    )
    file = tmp_path / "records.jsonl"
    file.write_text("".join(json.dumps({"key": key.decode(), **json.loads(value)}) + "\n" for _, key, value in records))
    again = tmp_path / "file"
    arguments = ["--key-field", "key", "--time-field", "time", "--value-fields", "value", "--profile", "dense"]
    assert run(["replay", str(file), *arguments, "--out", str(again), "--quiet"]) == 0
    for directory in (out, again):
        table = pq.read_table(directory / "verdicts.parquet").to_pylist()
        seen = 0
        for row in table:
            if row["disposition"] not in {"scored", "warming"}:
                continue
            one = live[row["key"], int(row["time"].timestamp() * 1_000_000 + 0.5)]
            for column in ("value", "expected", "lower", "upper", "is_anomaly", "severity", "phase"):
                assert row[column] == one[column], column
            for column in ("score", "threshold", "surprise", "segment_score"):
                assert (row[column] is None) == (one[column] is None)
                assert row[column] is None or np.float32(row[column]) == np.float32(one[column])
            seen += 1
        assert seen == len(live)
    anomalies = {json.loads(line)["id"]: line for line in (out / "anomalies.jsonl").read_text().splitlines()}
    told = _anomalies(bootstrap, name)
    assert {one["id"] for one in told} == anomalies.keys()
    assert all(json.loads(anomalies[one["id"]]) == one for one in told)
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    groups = [group if isinstance(group, str) else str(group) for group in admin.list_groups()]
    admin.close()
    assert not any("replay" in group for group in groups)


def test_garbage_changes_no_verdict(bootstrap: str, names: Callable[..., Names], tmp_path: Path) -> None:
    """With every other message unusable, those lie in the dead letters as they came, and the rest is scored alike."""
    bits = []
    for share, extra in ((0.0, b""), (0.5, b"\x80" * 10_000_000)):
        name = names(**{"max.message.bytes": str(20 * 2**20)})
        records = list(make_records(3000, 8, PARTITIONS, 5, garbage=share))
        if extra:
            records[100:100] = [(0, b"key-0", extra)]
        send(bootstrap, name.input, records)
        service = Serving(write_config(tmp_path / f"{share}.toml", bootstrap, name), tmp_path / f"{share}.log")
        _drain(bootstrap, name, service)
        metrics = service.metrics()
        assert service.stop() == 0
        unusable = sum(value in GARBAGE or len(value) > 10**6 for _, _, value in records)
        bits.append({key: {field: one[field] for field in one if field not in {"offset", "episode", "source"}}
                     for key, one in _verdicts(bootstrap, name).items()})  # fmt: skip
        dead = read_to_end(bootstrap, name.dead_letters)
        assert sorted(one.value or b"" for one in dead) == sorted(
            value for _, _, value in records if value in GARBAGE or len(value) > 10**6
        )
        assert all(dict(one.headers)["driftline.reason"] for one in dead)
        assert len(dead) == unusable
        told = sum(value for (metric, _), value in metrics.items() if metric == "driftline_dead_letters_total")
        assert told == unusable
    assert len(bits[1]) > 2000
    assert bits[0] == bits[1]


def test_a_dead_letter_that_its_topic_does_not_take_is_cut(
    bootstrap: str, names: Callable[..., Names], tmp_path: Path
) -> None:
    """A topic made by somebody else, that takes less than the input does, does not stop the service."""
    name = names()
    create_topic(bootstrap, name.dead_letters, PARTITIONS, {"max.message.bytes": "20000"})
    long = os.urandom(50_000)
    send(bootstrap, name.input, [*make_records(50, 4, PARTITIONS, 5, garbage=0.0), (0, b"key-0", long)])
    service = Serving(write_config(tmp_path / "c.toml", bootstrap, name), tmp_path / "log")
    _drain(bootstrap, name, service)
    assert service.stop() == 0
    (dead,) = read_to_end(bootstrap, name.dead_letters)
    assert dict(dead.headers)["driftline.truncated"] == b"50000 bytes"
    assert 10_000 < len(dead.value) < 20_000
    assert long.startswith(dead.value)


def test_a_killed_process_goes_on_from_carried_state(
    bootstrap: str, names: Callable[..., Names], tmp_path: Path
) -> None:
    """Behind kill -9 the first new verdicts are scored, not warming, and no episode is opened twice."""
    name = names()
    records = list(make_records(4000, 8, PARTITIONS, 9))
    config = write_config(tmp_path / "c.toml", bootstrap, name)
    send(bootstrap, name.input, records[:3000])
    first = Serving(config, tmp_path / "first.log")
    _drain(bootstrap, name, first)
    first.kill()
    before = _verdicts(bootstrap, name)
    send(bootstrap, name.input, records[3000:])
    second = Serving(config, tmp_path / "second.log")
    _drain(bootstrap, name, second)
    assert second.stop() == 0
    new = [one for key, one in _verdicts(bootstrap, name).items() if key not in before]
    assert len(new) > 500
    assert {one["disposition"] for one in new} == {"scored"}
    told = _anomalies(bootstrap, name)
    ids = [one["id"] for one in told]
    assert len(ids) == len(set(ids)) > 3


def test_state_is_portable(bootstrap: str, names: Callable[..., Names], tmp_path: Path) -> None:
    """Stopped in one directory and started in an empty one, with nothing but the broker in common: the same bits."""
    topic = names().input
    records = list(make_records(5000, 8, PARTITIONS, 13))
    send(bootstrap, topic, records[:3000])
    moved, whole = Names.of(f"moved-{topic}", topic), Names.of(f"whole-{topic}", topic)
    for number, left in enumerate((records[3000:], [])):
        home = tmp_path / f"home-{number}"
        home.mkdir()
        config = write_config(home / "driftline.toml", bootstrap, moved)
        service = Serving(config, tmp_path / f"{number}.log", home=home)
        _drain(bootstrap, moved, service)
        assert service.stop() == 0
        shutil.rmtree(home)
        if left:
            send(bootstrap, topic, left)
    service = Serving(write_config(tmp_path / "whole.toml", bootstrap, whole), tmp_path / "whole.log")
    _drain(bootstrap, whole, service)
    assert service.stop() == 0
    outputs = ("anomalies", "verdicts", "dead_letters")
    found = read_committed(bootstrap, *(getattr(run, output) for run in (moved, whole) for output in outputs))
    for one, other in zip(found[:3], found[3:], strict=True):
        assert one == other
        assert sum(map(len, one.values())) > 5
    for place in (Place(topic, number) for number in range(PARTITIONS)):
        assert state_hash(bootstrap, moved, place) == state_hash(bootstrap, whole, place)


def test_operations(bootstrap: str, names: Callable[..., Names], tmp_path: Path) -> None:
    """It tells when it is ready, takes a changed configuration unless it is bad, and ends on SIGTERM."""
    name = names()
    config = write_config(tmp_path / "c.toml", bootstrap, name)
    service = Serving(config, tmp_path / "log")
    service.wait_until_ready()
    assert service.get("/healthz") == (200, '{"ok":true,"reason":""}\n')
    assert service.get("/nothing")[0] == 404
    assert "driftline_bundle_info{" in service.get("/metrics")[1]
    whole = config.read_text()
    config.write_text(whole.replace('commit_interval = "300ms"', 'commit_interval = "200ms"'))
    service.wait_for(lambda: '"keys": ["service.commit_interval"]' in service.told)
    config.write_text("nonsense")
    service.process.send_signal(signal.SIGHUP)
    service.wait_for(lambda: "config_rejected" in service.told)
    config.write_text(whole.replace('profile = "dense"', 'profile = "balanced"'))
    service.wait_for(lambda: "config_needs_restart" in service.told)
    assert service.stop() == 0  # within [service] shutdown_timeout, else it is another status


def test_workers_share_the_partitions_under_one_address(
    bootstrap: str, names: Callable[..., Names], tmp_path: Path
) -> None:
    """Metrics of all workers are at one address, one that is killed is started again, and all stop together."""
    name = names()
    send(bootstrap, name.input, make_records(2000, 8, PARTITIONS, 9, garbage=0.0))
    config = write_config(tmp_path / "c.toml", bootstrap, name, kafka={"session_timeout": "3s"})
    service = Serving(config, tmp_path / "log", "--workers", "2")
    port = service.port()
    _drain(bootstrap, name, service)
    metrics: Samples = {}

    def do_both_answer() -> bool:
        metrics.update(service.metrics())
        return metrics["driftline_workers", (("state", "up"),)] == 2

    service.wait_for(do_both_answer)
    by_worker = {dict(labels)["worker"]: value for (one, labels), value in metrics.items()
                 if one == "driftline_records_consumed_total"}  # fmt: skip
    assert by_worker.keys() == {"0", "1"}
    assert sum(by_worker.values()) == 2000
    children = subprocess.run(
        ["pgrep", "-P", str(service.process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()  # fmt: skip
    assert len(children) == 2
    os.kill(int(children[0]), signal.SIGKILL)
    service.wait_for(lambda: "worker_ended" in service.told)
    service.wait_for(lambda: service.metrics().get(("driftline_workers", (("state", "up"),))) == 2)
    service.wait_until_ready()
    assert service.port() == port
    assert service.stop() == 0
    assert all(not Path(f"/proc/{child}").exists() for child in children)


def test_workers_end_with_their_supervisor(bootstrap: str, names: Callable[..., Names], tmp_path: Path) -> None:
    """A supervisor that is killed leaves no workers behind."""
    service = Serving(write_config(tmp_path / "c.toml", bootstrap, names()), tmp_path / "log", "--workers", "2")
    service.wait_until_ready()
    children = subprocess.run(
        ["pgrep", "-P", str(service.process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()  # fmt: skip
    service.kill()
    wait(lambda: all(map(is_gone, map(int, children))), lambda: service.told)


def test_check_tells_what_is_there_and_what_is_not(
    bootstrap: str,
    names: Callable[..., Names],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What could start is told so with status 0, what could not with 2 and the reason; nothing is made on the way."""
    name = names()
    send(bootstrap, name.input, make_records(50, 8, PARTITIONS, 9))
    config = write_config(tmp_path / "c.toml", bootstrap, name)
    assert run(["check", "--config", str(config)]) == 0
    told = capsys.readouterr().out
    for expected in ("The service could start.", "to be made with 2 partitions", "a record read", "per million lanes"):
        assert expected in told
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    assert name.state not in admin.list_topics()
    admin.close()
    wrong = write_config(
        tmp_path / "wrong.toml", bootstrap, name, output={"create": False}, state={"store": f"file://{tmp_path}/c.toml"}
    )
    assert run(["check", "--config", str(wrong)]) == 2
    told = capsys.readouterr().out
    assert f"{name.anomalies}: found no such topic" in told
    assert "expected a folder to read and write" in told
    assert "The service could not start." in told
    monkeypatch.setattr(connection, "_BOOTSTRAP_MS", 1_500)
    nowhere = write_config(tmp_path / "nowhere.toml", "127.0.0.1:1", name)
    assert run(["check", "--config", str(nowhere)]) == 2
    assert "found no answer from 127.0.0.1:1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"input": {"topics": ["no-such-topic"]}}, "found no topic no-such-topic"),
        ({"output": {"create": False}}, "found no such topic; expected one of 2 partitions"),
        ({"kafka": {"bootstrap": ["127.0.0.1:1"]}}, "found no answer from 127.0.0.1:1"),
        ({"state": {"store": "nonsense://x"}}, "[state] store: found 'nonsense://x'"),
    ],
)
def test_what_cannot_work_is_told_in_one_line(
    bootstrap: str, names: Callable[..., Names], tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    """A service that cannot start says what was found and what to do, and nothing else."""
    config = write_config(tmp_path / "c.toml", bootstrap, names(), **changes)
    constants = {"pipeline.adapters.kafka.connection._BOOTSTRAP_MS": 3_000}
    command = driftline("serve", "--config", str(config), constants=constants)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    errors = [line for line in done.stderr.splitlines() if line.startswith("driftline: error: ")]
    assert len(errors) == 1
    assert told in errors[0]
    assert "Traceback" not in done.stderr
    assert done.returncode in {1, 2}


@pytest.mark.parametrize("kind", ["json", "json-array", "json-lines", "arrow"])
def test_a_fleet_is_produced_in_every_format_and_replayed(
    bootstrap: str, names: Callable[..., Names], tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `driftline produce` sends in a format comes back from a replay of the topic, every point of it."""
    name = names()
    url = f"kafka://{bootstrap}/{name.input}"
    arguments = ["fleet", "--to", url, "--streams", "16", "--points", "800", "--format", kind, "--quiet"]
    assert run(["produce", *arguments]) == 0
    assert f"sent to {name.input}" in capsys.readouterr().out
    config = write_config(tmp_path / "c.toml", bootstrap, name, input={"format": kind})
    out = tmp_path / "out"
    assert run(["replay", url, "--config", str(config), "--out", str(out), "--quiet", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["records"]["consumed"] > 12_000
    assert summary["lanes"] == 16
    assert not summary["problems"] or set(summary["problems"]) == {"missing"}
