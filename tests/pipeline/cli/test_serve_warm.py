"""`driftline serve --warm-from` against a real broker."""

import json
import uuid
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from kafka import KafkaConsumer, TopicPartition

from pipeline.cli import run
from tests.chaos.records import make_records
from tests.chaos.service import Names, Serving, write_config
from tests.kafka_broker import create_topic, read_committed, send

pytestmark = pytest.mark.kafka
PARTITIONS, KEYS, RECORDS, HISTORY = 2, 8, 4_000, 2_400


def _told(bootstrap: str, topic: str) -> list[dict[str, Any]]:
    (found,) = read_committed(bootstrap, topic)
    return [json.loads(line) for part in found.values() for one in part for line in one.value.splitlines()]


def _is_done(bootstrap: str, names: Names) -> bool:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=names.group, enable_auto_commit=False)
    try:
        places = [TopicPartition(names.input, n) for n in range(PARTITIONS)]
        ends = consumer.end_offsets(places)
        return all((consumer.committed(one) or 0) >= ends[one] for one in places)
    finally:
        consumer.close()


def test_a_new_group_begins_with_its_past_and_survives_a_kill(
    bootstrap: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every record of a fresh group is scored; killed and started again it says what a replay of the topic says."""
    topic = f"in-{uuid.uuid4().hex[:8]}"
    create_topic(bootstrap, topic, PARTITIONS)
    names = Names.of(f"run-{topic}", topic)
    records = list(make_records(RECORDS, KEYS, PARTITIONS, 3, garbage=0.0))
    history = tmp_path / "history.jsonl"
    history.write_text(
        "".join(json.dumps({"key": key.decode(), **json.loads(value)}) + "\n" for _, key, value in records[:HISTORY])
    )
    config = write_config(tmp_path / "c.toml", bootstrap, names)
    lanes = tmp_path / "fleet.lanes"
    assert run(["warm", str(history), "--config", str(config), "--key-field", "key", "--out", str(lanes)]) == 0

    send(bootstrap, topic, records[HISTORY : HISTORY + 800])
    service = Serving(config, tmp_path / "log", "--warm-from", str(lanes))
    service.wait_for(lambda: _is_done(bootstrap, names))
    service.kill()
    send(bootstrap, topic, records[HISTORY + 800 :])
    service = Serving(config, tmp_path / "log", "--warm-from", str(lanes), "--workers", "2")
    service.wait_for(lambda: _is_done(bootstrap, names))
    assert service.stop() == 0

    verdicts = _told(bootstrap, names.verdicts)
    fates = [one["disposition"] for one in verdicts]
    assert set(fates) <= {"scored", "late", "duplicate"}
    assert fates.count("scored") > 0.9 * (RECORDS - HISTORY)
    assert run(["check", "--config", str(config)]) == 0

    out = tmp_path / "replay"
    arguments = ["--config", str(config), "--warm-from", str(lanes), "--out", str(out), "--quiet"]
    assert run(["replay", f"kafka://{bootstrap}/{topic}", *arguments]) == 0
    rows = [row for row in pq.read_table(out / "verdicts.parquet").to_pylist() if row["disposition"] == "scored"]
    live = {(one["key"], one["time"]): one for one in verdicts if one["disposition"] == "scored"}
    assert len(rows) == len(live)
    for row in rows:
        one = live[row["key"], int(row["time"].timestamp() * 1_000_000 + 0.5)]
        assert [row[name] for name in ("expected", "is_anomaly", "phase")] == [
            one[name] for name in ("expected", "is_anomaly", "phase")
        ]
    anomalies = [json.loads(line)["id"] for line in (out / "anomalies.jsonl").read_text().splitlines()]
    assert sorted(one["id"] for one in _told(bootstrap, names.anomalies)) == sorted(anomalies)
    assert anomalies

    again = tmp_path / "topic.lanes"
    assert run(["warm", f"kafka://{bootstrap}/{topic}", "--config", str(config), "--out", str(again)]) == 0
    assert f"{KEYS} of {KEYS} keys" in capsys.readouterr().out
    assert run(["check", "--config", str(write_config(config, bootstrap, names, state={"warm_from": str(again)}))]) == 0
    assert f"new keys begin with {again}: {KEYS} keys of {topic}" in capsys.readouterr().out
    lanes.rename(tmp_path / "elsewhere.lanes")
    assert run(["serve", "--config", str(config), "--warm-from", str(lanes)]) == 2
    assert "found no readable file" in capsys.readouterr().err
