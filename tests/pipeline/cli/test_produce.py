"""`driftline produce` against a real broker."""

import json
import re
import signal
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kafka import KafkaConsumer, TopicPartition

from detectors.fleet import make_fleet
from pipeline.cli import run
from pipeline.codec.decoding import make_decoder
from pipeline.codec.formats import FormatName, MessageFormat
from tests.kafka_broker import create_topic
from tests.pipeline.cli.samples import start, write_stream


def _read(bootstrap: str, topic: str) -> dict[int, list[Any]]:
    """Messages by partition, in order."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends = consumer.end_offsets(places)
    found: dict[int, list[Any]] = {place.partition: [] for place in places}
    while any(consumer.position(place) < ends[place] for place in places):
        for place, messages in consumer.poll(timeout_ms=500).items():
            found[place.partition] += messages
    consumer.close()
    return found


@pytest.fixture
def topic() -> str:
    """Name of a topic that is not there."""
    return f"made-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def produced(
    bootstrap: str, topic: str, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[str, dict[int, list[Any]]]]:
    """Produces to a fresh topic of two partitions: (what it told, messages by partition)."""

    def produce(*arguments: str) -> tuple[str, dict[int, list[Any]]]:
        url = f"kafka://{bootstrap}/{topic}"
        assert run(["produce", *arguments, "--to", url, "--partitions", "2", "--quiet"]) == 0
        return capsys.readouterr().out, _read(bootstrap, topic)

    return produce


@pytest.mark.kafka
@pytest.mark.parametrize("kind", ["json", "json-array", "json-lines", "arrow"])
def test_every_point_of_the_fleet_arrives_in_order(
    produced: Callable[..., tuple[str, dict[int, list[Any]]]], kind: FormatName
) -> None:
    """A stream lies in one partition, its points in order, several of them in a message where that is the format."""
    told, by_partition = produced("fleet", "--streams", "16", "--points", "800", "--format", kind, "--seed", "3")
    fleet = make_fleet(3, 16, 800)
    expected = defaultdict(list)
    for code, at, value in zip(fleet.key_codes.tolist(), fleet.time_us.tolist(), fleet.values.tolist(), strict=True):
        expected[fleet.key_names[code]].append((at // 1000 * 1000, value))
    layout = MessageFormat(kind, ("value",), "time", None, "ms")
    found: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for messages in by_partition.values():
        batch = make_decoder(layout).decode(messages)
        assert not batch.problems
        here: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for code, at, value in zip(batch.key_codes.tolist(), batch.time_us.tolist(), batch.values[:, 0], strict=True):
            here[batch.key_names[code]].append((at, value))
        assert not found.keys() & here.keys()
        found |= here
    assert found.keys() == expected.keys()
    for key, points in found.items():
        np.testing.assert_array_equal(np.array(points), np.array(expected[key]))
    messages_sent = sum(map(len, by_partition.values()))
    points_sent = sum(map(len, expected.values()))
    assert f"{points_sent:,} points in {messages_sent:,} messages sent to " in told
    assert points_sent == messages_sent if kind == "json" else points_sent > 8 * messages_sent
    assert all(by_partition.values())


@pytest.mark.kafka
def test_a_file_is_sent_with_its_key_and_times_as_asked(
    produced: Callable[..., tuple[str, dict[int, list[Any]]]], tmp_path: Path
) -> None:
    """Rows become objects with the file's own columns, the key in the content, and times in the unit asked for."""
    file = write_stream(tmp_path / "machine.csv", 20, fault=None)
    _, by_partition = produced(str(file), "--key-field", "host", "--time-unit", "iso")
    messages = [one for part in by_partition.values() for one in part]
    assert len(messages) == 20
    first = json.loads(messages[0].value)
    assert first.keys() == {"time", "host", "value"}
    assert first["time"] == "2024-01-01T00:00:00.000000Z"
    assert first["host"] == messages[0].key.decode() == "machine"


@pytest.mark.kafka
def test_garbage_is_strewn_among_what_is_sent(
    produced: Callable[..., tuple[str, dict[int, list[Any]]]], tmp_path: Path
) -> None:
    """About the share asked for cannot be used, is told, and is the same for the same seed; the rest is all there."""
    file = write_stream(tmp_path / "machine.csv", 2000, fault=None)
    told, by_partition = produced(str(file), "--garbage", "0.3")
    messages = [one for part in by_partition.values() for one in part]
    batch = make_decoder(MessageFormat("json", ("value",), "time", None, "ms")).decode(messages)
    unusable = int(np.isnan(batch.values[:, 0]).sum())
    assert len(messages) - unusable == 2000
    assert 0.25 < unusable / len(messages) < 0.35
    match = re.search(r"2,000 points in ([\d,]+) messages, ([\d,]+) of them unusable", told)
    assert match is not None
    assert [int(one.replace(",", "")) for one in match.groups()] == [len(messages), unusable]


@pytest.mark.kafka
@pytest.mark.parametrize("kind", ["json", "json-array"])
def test_the_rate_is_kept(produced: Callable[..., tuple[str, dict[int, list[Any]]]], tmp_path: Path, kind: str) -> None:
    """Points go out evenly at the rate asked for, whatever carries them."""
    file = write_stream(tmp_path / "machine.csv", 300, fault=None)
    began = time.monotonic()
    _, by_partition = produced(str(file), "--rate", "100", "--format", kind)
    assert time.monotonic() - began > 2.5
    times = [one.timestamp for part in by_partition.values() for one in part]
    assert 2500 < max(times) - min(times) < 15_000
    assert sum(at - min(times) < 1000 for at in times) < 0.6 * len(times)


@pytest.mark.kafka
def test_a_live_fleet_has_the_times_at_which_it_is_sent(
    produced: Callable[..., tuple[str, dict[int, list[Any]]]],
) -> None:
    """With --live every point says about when it goes out, and those of a stream are evenly apart."""
    _, by_partition = produced("fleet", "--streams", "16", "--points", "800", "--live", "--rate", "8000")
    messages = [one for part in by_partition.values() for one in part]
    behind = [one.timestamp - json.loads(one.value)["time"] for one in messages]
    assert max(map(abs, behind)) < 15_000
    of_one = [json.loads(one.value)["time"] for one in messages if one.key == messages[0].key]
    assert set(np.diff(of_one)) <= {
        1,
        2,
        3,
    }  # 16 streams at 8,000 a second: 2 ms apart, but where faults leave some out


@pytest.mark.kafka
def test_ctrl_c_ends_it_with_what_was_sent(bootstrap: str, topic: str) -> None:
    """It tells how much was sent, all of which has arrived, and ends with the signal's status."""
    create_topic(bootstrap, topic, 3)
    process = start("produce", "fleet", "--to", f"kafka://{bootstrap}/{topic}", "--streams", "16", "--rate", "100")
    deadline = time.monotonic() + 60
    while not any(_read(bootstrap, topic).values()) and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    match = re.match(r"Stopped\. ([\d,]+) points in ([\d,]+) messages sent to ", out)
    assert match is not None, err
    by_partition = _read(bootstrap, topic)
    assert len(by_partition) == 3
    assert sum(map(len, by_partition.values())) == int(match[2].replace(",", "")) > 0
    assert "Traceback" not in err


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("topic", "arguments", "part"),
    [
        ("no-such-topic", (), "no-such-topic: found no such topic; expected one that exists, or --partitions N"),
        ("bad!name", ("--partitions", "2"), "none can be made (Topic name is invalid"),
    ],
)
def test_topics_that_cannot_be_sent_to_are_told(
    bootstrap: str, topic: str, arguments: tuple[str, ...], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what is wrong with the topic."""
    assert run(["produce", "fleet", "--to", f"kafka://{bootstrap}/{topic}", *arguments]) in {1, 2}
    _, err = capsys.readouterr()
    assert err.startswith("driftline: error: ")
    assert part in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["fleet", "--to", "nonsense"], "nonsense: found no address of a topic; expected kafka://host:port/topic"),
        (["fleet", "--to", "kafka://h:1/"], "found no address of a topic"),
        (["fleet", "--to", "kafka://h:port/t"], "found 'h:port'; expected host:port"),
        (["fleet", "--to", "kafka://h:1/t", "--rate", "fast"], "--rate: found 'fast'; expected max or a positive"),
        (["fleet", "--to", "kafka://h:1/t", "--rate", "nan"], "--rate: found 'nan'"),
        (["fleet", "--to", "kafka://h:1/t", "--rate", "-1"], "--rate: found '-1'"),
        (["fleet", "--to", "kafka://h:1/t", "--partitions", "-1"], "--partitions: found -1; expected a number in"),
        (["fleet", "--to", "kafka://h:1/t", "--garbage", "1"], "--garbage: found 1.0; expected"),
        (["fleet", "--to", "kafka://h:1/t", "--garbage", "nan"], "--garbage: found nan; expected"),
        (["fleet", "--to", "kafka://h:1/t", "--seed", "-1"], "--seed: found -1; expected a number in the range x>=0"),
        (["fleet", "--to", "kafka://h:1/t", "--format", "xml"], "--format: found 'xml'; expected one of"),
        (["http://h/x.csv", "--to", "kafka://h:1/t"], "http://h/x.csv: found a URL of 'http'; expected a path"),
        (["fleet", "--to", "kafka://h:1/t", "--live"], "--live: found no rate; expected fleet, and --rate"),
        (["a.csv", "--to", "kafka://h:1/t", "--live", "--rate", "9"], "--live: found the source a.csv; expected fleet"),
        (["no-such-file.csv", "--to", "kafka://h:1/t"], "found no 'no-such-file.csv'"),
    ],
)
def test_a_wrong_order_is_told(arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is asked for and cannot be done is told in one line, before any broker is asked."""
    assert run(["produce", *arguments]) == 2
    _, err = capsys.readouterr()
    assert err.startswith("driftline: error: ")
    assert part in err
    assert err.count("\n") == 1
