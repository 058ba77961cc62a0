"""Feedback in a topic that `driftline serve` follows, and that other commands read, against a real broker."""

import json
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.cli import run
from tests.chaos.records import INTERVAL_MS, START_MS
from tests.chaos.service import Names, Serving, write_config
from tests.kafka_broker import create_topic, read_to_end, send
from tests.pipeline.cli.test_serve import PARTITIONS, _anomalies, _drain

pytestmark = pytest.mark.kafka
KEYS, RECORDS = 4, 4_500


@pytest.fixture
def names(bootstrap: str) -> Names:
    """A fresh topic, with its run."""
    topic = f"in-{uuid.uuid4().hex[:8]}"
    create_topic(bootstrap, topic, PARTITIONS)
    return Names.of(f"run-{topic}", topic)


def _records() -> list[tuple[int, bytes, bytes]]:
    """(partition, key, value): waves with faults, each larger than the one before, so that each is told."""
    rng = np.random.default_rng(7)
    records = []
    for n in range(RECORDS // KEYS):
        for key in range(KEYS):
            value = 10 + np.sin(key + n / 8) + rng.normal(0, 0.1)
            if n > 180 and (n + 20 * key) % 150 < 3:
                value += 6 * 1.5 ** (n // 150)
            content = json.dumps({"time": START_MS + n * INTERVAL_MS, "value": round(float(value), 6)})
            records.append((key % PARTITIONS, b"key-%d" % key, content.encode()))
    return records


def _known(service: Serving, kind: str) -> float:
    return service.metrics()["driftline_feedback", (("kind", kind),)]


def _verdicts(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(out / "verdicts.parquet").to_pylist()
    return found


def test_what_is_said_while_it_runs_marks_what_comes_then(
    bootstrap: str, names: Names, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next events are marked, rubbish in the topic ends nothing, and after a kill all of it is known again."""
    topic = f"{names.group}.feedback"
    config = write_config(tmp_path / "c.toml", bootstrap, names, feedback={"topic": topic})
    records = _records()
    thirds = [records[at : at + RECORDS // 3] for at in range(0, RECORDS, RECORDS // 3)]
    send(bootstrap, names.input, thirds[0])
    service = Serving(config, tmp_path / "log")
    _drain(bootstrap, names, service)
    before = _anomalies(bootstrap, names)
    assert len(before) > 3
    assert not any("suppressed" in one for one in before)

    where = ["--config", str(config)]
    assert (
        run(["feedback", "add", "--kind", "maintenance", "--key", "key-1", "--from", "2023-11-14", "--open", *where])
        == 0
    )
    alarm = next(one for one in before if one["key"] == "key-2" and one["event"] == "opened")
    label = ["feedback", "add", "--kind", "false_alarm", "--anomaly", alarm["id"], "--to", "2024-01-01", "--id", "x"]
    assert run([*label, *where]) == 0
    send(bootstrap, topic, [(0, b"junk", b"\xff"), (0, b"gone", b'{"id": "other"}')])
    service.wait_for(lambda: _known(service, "maintenance") == 1 and _known(service, "false_alarm") == 1)
    service.wait_for(lambda: service.metrics()["driftline_feedback_unusable", ()] == 2)
    send(bootstrap, names.input, thirds[1])
    _drain(bootstrap, names, service)
    told = _anomalies(bootstrap, names)
    suppressed = _of_second_part(told, before)
    counted = sum(
        value for (name, _), value in service.metrics().items() if name == "driftline_suppressed_events_total"
    )
    assert counted == len([one for one in told if "suppressed" in one]) == len(suppressed)
    assert '"feedback_unusable"' in service.told
    assert suppressed[0]["id"] in service.told

    service.kill()
    send(bootstrap, names.input, thirds[2])
    service = Serving(config, tmp_path / "log")
    _drain(bootstrap, names, service)
    assert _known(service, "maintenance") == 1
    more = _of_second_part(_anomalies(bootstrap, names), told)
    assert {one["suppressed"]["id"] for one in more} >= {"x"}
    assert run(["feedback", "withdraw", "x", *where]) == 0
    service.wait_for(lambda: _known(service, "false_alarm") == 0)
    assert service.stop() == 0
    capsys.readouterr()

    # a replay of the topic: verdicts as ever, and what is suppressed by what is said in the end
    url, said = f"kafka://{bootstrap}/{names.input}", f"kafka://{bootstrap}/{topic}"
    assert run(["replay", url, *where, "--out", str(tmp_path / "plain"), "--quiet"]) == 0
    assert run(["replay", url, *where, "--out", str(tmp_path / "said"), "--quiet", "--feedback", said]) == 0
    assert _verdicts(tmp_path / "plain") == _verdicts(tmp_path / "said")
    events = [json.loads(line) for line in (tmp_path / "said" / "anomalies.jsonl").read_text().splitlines()]
    live = {one["id"]: one for one in _anomalies(bootstrap, names)}
    assert {one["id"] for one in events} == live.keys()
    assert all(("suppressed" in one) == (one["key"] == "key-1") for one in events)
    compared = [one for one in live.values() if one["key"] in {"key-0", "key-3"}]
    assert {one["id"]: one for one in events if one["key"] in {"key-0", "key-3"}} == {
        one["id"]: one for one in compared
    }


def _of_second_part(told: list[dict[str, Any]], before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The suppressed among the events that are new; all that were told before stand as they were."""
    seen = {one["id"]: one for one in before}
    assert [seen[one["id"]] for one in told if one["id"] in seen] == [one for one in told if one["id"] in seen]
    new = [one for one in told if one["id"] not in seen]
    opened = [one for one in new if one["key"] in {"key-1", "key-2"} and one["event"] == "opened"]
    assert opened
    assert all("suppressed" in one for one in opened)
    assert not any("suppressed" in one for one in new if one["key"] in {"key-0", "key-3"})
    return [one for one in new if "suppressed" in one]


def test_topics_of_feedback_are_made_and_checked(
    bootstrap: str, names: Names, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Made compacted and with one partition on request, refused when missing, not compacted, or an output."""
    topic = f"{names.group}.feedback"
    url = ["--feedback", f"kafka://{bootstrap}/{topic}"]
    window = ["feedback", "add", "--kind", "maintenance", "--for", "1h", *url]
    assert run(window) == 2
    assert "found no such topic; expected one that exists, or --create-topic" in capsys.readouterr().err
    assert run([*window, "--create-topic"]) == 0
    assert run([*window, "--id", "mine"]) == 0
    assert run(["feedback", "list", "--json", *url]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert {one.partition for one in read_to_end(bootstrap, topic)} == {0}
    config = write_config(tmp_path / "c.toml", bootstrap, names, feedback={"topic": topic})
    assert run(["check", "--config", str(config)]) == 0
    assert f"{topic}: 1 partitions" in capsys.readouterr().out

    plain = f"{names.group}.plain"
    create_topic(bootstrap, plain)
    config = write_config(tmp_path / "d.toml", bootstrap, names, feedback={"topic": plain})
    assert run(["check", "--config", str(config)]) == 2
    assert "found cleanup.policy=delete; expected compact" in capsys.readouterr().out
    for other in (names.anomalies, names.input):
        config = write_config(tmp_path / "e.toml", bootstrap, names, feedback={"topic": other})
        assert run(["serve", "--config", str(config)]) == 2
        assert f"[feedback] topic: found {other}, which is an input or an output" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["gate", "train"])
def test_the_configured_topic_counts_in_training_and_in_the_gate(
    bootstrap: str, names: Names, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Read at the start where it is configured; `none` goes without, and a topic that is missing is told."""
    if command == "train":
        pytest.importorskip("torch")
    topic = f"{names.group}.feedback"
    config = write_config(tmp_path / "c.toml", bootstrap, names, feedback={"topic": topic})
    send(bootstrap, names.input, _records())
    url = f"kafka://{bootstrap}/{names.input}"
    commands = {
        "gate": ["gate", "shipped", url, "--champion", "shipped"],
        "train": ["train", url, "--steps", "2", "--excerpts", "2", "--length", "32"],
    }

    def arguments(out: str) -> list[str]:
        return [*commands[command], "--out", str(tmp_path / out), "--config", str(config), "--quiet"]

    assert run(arguments("missing")) == 2
    assert "found no such topic" in capsys.readouterr().err
    about = [] if command == "gate" else ["--key", "key-1"]
    add = ["feedback", "add", "--kind", "maintenance", *about, "--from", "2023-11-14", "--open"]
    assert run([*add, "--create-topic", "--config", str(config)]) == 0
    ends = [run(arguments("said")), run([*arguments("none"), "--feedback", "none"])]
    assert ends == ([1, 1] if command == "gate" else [0, 0])
    if command == "gate":
        with_, without = (json.loads((tmp_path / name / "gate.json").read_text()) for name in ("said", "none"))
        assert with_["feedback"]["records"]["maintenance"] == 1
        assert without["feedback"] is None
        left_out = with_["feedback"]["alarms_left_out"]["champion"]
        assert left_out > 0
        assert with_["champion"]["figures"]["alarms"] + left_out == without["champion"]["figures"]["alarms"]
    else:
        with_, without = (json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("said", "none"))
        assert with_["data_hash"] != without["data_hash"]
