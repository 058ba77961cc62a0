"""`driftline check` against a real broker."""

import json
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.structs import OffsetAndMetadata

from pipeline.adapters.kafka import connection
from pipeline.cli import check_kafka, run
from tests.chaos.records import make_records
from tests.chaos.service import Names, Serving, write_config
from tests.kafka_broker import Broker, create_topic, read_to_end, send
from tests.kafka_security import wait_for_acl

pytestmark = pytest.mark.kafka
PARTITIONS = 2


@pytest.fixture
def names(bootstrap: str) -> Names:
    """A fresh topic, with its run."""
    topic = f"in-{uuid.uuid4().hex[:8]}"
    create_topic(bootstrap, topic, PARTITIONS)
    return Names.of(f"run-{topic}", topic)


@pytest.fixture
def checked(capsys: pytest.CaptureFixture[str]) -> Callable[[Path], tuple[int, str]]:
    """Runs the check of a configuration: (exit status, what it told)."""

    def check(config: Path) -> tuple[int, str]:
        status = run(["check", "--config", str(config)])
        return status, capsys.readouterr().out

    return check


def _make_outputs(bootstrap: str, names: Names) -> None:
    for topic in (names.anomalies, names.verdicts, names.dead_letters):
        create_topic(bootstrap, topic, PARTITIONS)
    create_topic(bootstrap, names.state, PARTITIONS, {"cleanup.policy": "compact"})


def _commit(bootstrap: str, names: Names, offset: int) -> None:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=names.group, enable_auto_commit=False)
    place = TopicPartition(names.input, 0)
    consumer.assign([place])
    consumer.commit({place: OffsetAndMetadata(offset, '{"begin":0}', -1)})
    consumer.close()


def test_every_partition_is_read(
    bootstrap: str, names: Names, tmp_path: Path, checked: Callable[[Path], tuple[int, str]]
) -> None:
    """Records that lie in the last partition alone are found and understood; those that cannot be used are told."""
    config = write_config(tmp_path / "c.toml", bootstrap, names)
    good = json.dumps({"time": 1_700_000_000_000, "value": 1.0}).encode()
    send(bootstrap, names.input, [(1, b"a", good)] * 3)
    status, told = checked(config)
    assert status == 0
    assert f"{names.input}: 2 partitions, a record read from 1 of 1 that have some, 1 empty; the group has no" in told
    assert "the newest 3 points are understood as json" in told
    send(bootstrap, names.input, [(0, b"a", b'{"time": 1700000000000}'), (1, b"a", b"nonsense")])
    status, told = checked(config)
    assert status == 0
    assert "a record read from 2 of 2 that have some, 0 empty" in told
    unusable = "WARN  reading         2 of the newest 5 points are for the dead letters: found missing: no value, in "
    assert f"{unusable}{names.input}/0; expected" in told


def test_offsets_outside_the_log_are_told(
    bootstrap: str, names: Names, tmp_path: Path, checked: Callable[[Path], tuple[int, str]]
) -> None:
    """A group that stands where its topic has nothing could not go on, unless the policy is to."""
    good = json.dumps({"time": 1_700_000_000_000, "value": 1.0}).encode()
    send(bootstrap, names.input, [(0, b"a", good)] * 3)
    _commit(bootstrap, names, 1)
    assert (
        "the group is 2 records behind, without an offset in 1"
        in checked(write_config(tmp_path / "c.toml", bootstrap, names))[1]
    )
    _commit(bootstrap, names, 1000)
    status, told = checked(write_config(tmp_path / "c.toml", bootstrap, names))
    assert status == 2
    assert f"{names.input}/0: found the group at offset 1000 of a log from 0 to 3" in told
    status, told = checked(write_config(tmp_path / "d.toml", bootstrap, names, input={"on_expired": "continue"}))
    assert status == 0
    assert "WARN  reading" in told


def test_nothing_is_left_behind(
    bootstrap: str,
    names: Names,
    tmp_path: Path,
    checked: Callable[[Path], tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No topic, group, offset, record that readers of committed ones see, file or folder is there that was not."""
    send(bootstrap, names.input, make_records(50, 8, PARTITIONS, 9))
    _make_outputs(bootstrap, names)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    before = sorted(admin.list_topics())
    for state in ({}, {"store": f"file://{tmp_path}/new/state"}):
        assert checked(write_config(tmp_path / "c.toml", bootstrap, names, state=state))[0] == 0
    assert sorted(admin.list_topics()) == before
    assert names.group not in {group["group_id"] for group in admin.list_groups()}
    admin.close()
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=names.group, enable_auto_commit=False)
    assert [consumer.committed(TopicPartition(names.input, n)) for n in range(PARTITIONS)] == [None, None]
    consumer.close()
    outputs = (names.anomalies, names.verdicts, names.dead_letters, names.state)
    assert not any(read_to_end(bootstrap, topic) for topic in outputs)
    reader = KafkaConsumer(bootstrap_servers=bootstrap)
    assert any(reader.end_offsets([TopicPartition(topic, 0) for topic in outputs]).values()), "found nothing tried"
    reader.close()
    assert list(scratch.iterdir()) == []
    assert not (tmp_path / "new").exists()


def test_the_saved_state_is_restored(
    bootstrap: str, names: Names, tmp_path: Path, checked: Callable[[Path], tuple[int, str]]
) -> None:
    """What the service has saved is read back and loaded; a store without it is an error, or by policy a warning."""
    send(bootstrap, names.input, make_records(2000, 8, PARTITIONS, 9, garbage=0.0))
    config = write_config(tmp_path / "c.toml", bootstrap, names)
    service = Serving(config, tmp_path / "log")
    service.wait_until_ready()
    service.wait_for(lambda: service.metrics().get(("driftline_records_consumed_total", ())) == 2000)
    assert service.stop() == 0
    status, told = checked(config)
    assert status == 0
    assert "2 of 2 partitions restored from the store in" in told
    assert ": 8 lanes, " in told
    folder = {"store": f"file://{tmp_path}/empty"}
    status, told = checked(write_config(tmp_path / "d.toml", bootstrap, names, state=folder))
    assert status == 2
    assert "found no usable snapshot for the committed offset" in told
    fresh = write_config(tmp_path / "e.toml", bootstrap, names, state=folder | {"on_missing": "fresh"})
    assert checked(fresh)[0] == 0


def test_limits_of_the_broker_are_asked_for(
    bootstrap: str, names: Names, tmp_path: Path, checked: Callable[[Path], tuple[int, str]]
) -> None:
    """Timeouts beyond what the broker allows are errors."""
    kafka = {"session_timeout": "40min", "max_poll_interval": "1h", "transaction_timeout": "20min"}
    status, told = checked(write_config(tmp_path / "c.toml", bootstrap, names, kafka=kafka))
    assert status == 2
    assert "transaction_timeout: found 20min; expected at most 15min" in told
    assert "session_timeout: found 40min; expected at most 30min" in told


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker that heeds ACLs, and permits everything that none forbids."""
    broker = Broker(
        tmp_path_factory.mktemp("guarded"),
        extra={
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "true",
        },
    )
    broker.start()
    yield broker.bootstrap
    broker.stop()


@pytest.mark.parametrize(
    ("kind", "which", "operation", "told"),
    [
        (ResourceType.GROUP, "group", ACLOperation.READ, "committing offsets in a transaction: found no permission"),
        (ResourceType.TOPIC, "input", ACLOperation.READ, "reading: found no permission"),
        (ResourceType.TOPIC, "anomalies", ACLOperation.WRITE, "writing: found no permission"),
        (ResourceType.TOPIC, "state", ACLOperation.READ, "found no permission"),
    ],
)
def test_permissions_that_are_missing_are_told(
    guarded: str,
    tmp_path: Path,
    checked: Callable[[Path], tuple[int, str]],
    kind: Any,
    which: str,
    operation: Any,
    told: str,
) -> None:
    """What the brokers would forbid the service is found, and what else it needs is checked all the same."""
    topic = f"in-{uuid.uuid4().hex[:8]}"
    names = Names.of(f"run-{topic}", topic)
    create_topic(guarded, topic, PARTITIONS)
    send(guarded, topic, make_records(20, 4, PARTITIONS, 9))
    _make_outputs(guarded, names)
    config = write_config(tmp_path / "c.toml", guarded, names)
    assert checked(config)[0] == 0
    admin = KafkaAdminClient(bootstrap_servers=guarded)
    pattern = ResourcePattern(kind, getattr(names, which))
    try:
        admin.create_acls([ACL("User:ANONYMOUS", "*", operation, ACLPermissionType.DENY, pattern)])
        # with any ACL on it, only what one allows is permitted
        others = ACL("User:ANONYMOUS", "*", ACLOperation.ALL, ACLPermissionType.ALLOW, pattern)
        admin.create_acls([others])
        wait_for_acl(admin, others)
    finally:
        admin.close()
    status, out = checked(config)
    assert status == 2
    failed = [line for line in out.splitlines() if line.startswith("FAIL")]
    assert len(failed) == 1
    assert told in failed[0]
    assert "expected an ACL that allows it" in failed[0]


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that may be frozen and killed."""
    broker = Broker(tmp_path_factory.mktemp("mortal"))
    broker.start()
    yield broker
    broker.stop()


@pytest.mark.parametrize(
    ("how", "step", "told"),
    [
        ("freeze", "begin_transaction", "topic {group}.anomalies, writing: found no answer from {broker}"),
        ("freeze", "send_offsets_to_transaction", "group {group}, committing offsets in a transaction: found no"),
        ("freeze", "abort_transaction", "{group}-check-{host}, taking a transaction back: found no answer from"),
        # the last, as what a test starts ends with it
        ("kill", "send_offsets_to_transaction", "group {group}, committing offsets in a transaction: found no"),
    ],
    ids=["writing", "committing", "taking-back", "committing-killed"],
)
def test_a_broker_that_goes_away_in_the_middle_is_told(
    mortal: Broker,
    tmp_path: Path,
    checked: Callable[[Path], tuple[int, str]],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    step: str,
    told: str,
) -> None:
    """With exit status 2 and in a time that is told, whether it hangs or ends; when it is back the check goes well."""
    monkeypatch.setattr(check_kafka, "_REQUEST_MS", 5_000)
    monkeypatch.setattr(connection, "_BOOTSTRAP_MS", 2_000)
    names = Names.of(f"run-{uuid.uuid4().hex[:8]}", f"in-{uuid.uuid4().hex[:8]}")
    create_topic(mortal.bootstrap, names.input, PARTITIONS)
    _make_outputs(mortal.bootstrap, names)
    config = write_config(tmp_path / "c.toml", mortal.bootstrap, names)
    go = getattr(KafkaProducer, step)

    def go_without_broker(producer: KafkaProducer, *arguments: Any) -> Any:
        getattr(mortal, how)()
        return go(producer, *arguments)

    monkeypatch.setattr(KafkaProducer, step, go_without_broker)
    began = time.monotonic()
    status, out = checked(config)
    assert time.monotonic() - began < 60
    assert status == 2
    expected = told.format(group=names.group, host=socket.gethostname(), broker=mortal.bootstrap)
    (line,) = [line for line in out.splitlines() if line.startswith("FAIL  writing")]
    assert expected in line
    assert "expected a broker there: see whether it is up" in line
    monkeypatch.setattr(KafkaProducer, step, go)
    if how == "freeze":
        mortal.thaw()
    else:
        mortal.start()
    assert checked(config)[0] == 0
