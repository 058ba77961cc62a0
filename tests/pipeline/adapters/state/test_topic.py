"""The compacted topic, with a real broker that really compacts."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from pipeline.adapters.state.pages import PAGE_BYTES, cut
from pipeline.adapters.state.topic import TopicStateStore
from pipeline.records import Place
from tests.kafka_broker import send
from tests.pipeline.adapters.state.bench import (
    ANYWHERE,
    PLACE,
    TopicBench,
    content_of,
    make_state,
    read_all,
    topic_bench,
)

pytestmark = pytest.mark.kafka
EAGER = {
    "segment.ms": "300",
    "min.cleanable.dirty.ratio": "0.001",
    "max.compaction.lag.ms": "300",
    "delete.retention.ms": "100",
    "file.delete.delay.ms": "100",
}


@pytest.fixture
def bench(bootstrap: str) -> Iterator[TopicBench]:
    """A topic that is compacted as soon as can be."""
    with topic_bench(bootstrap, EAGER) as made:
        yield made


def records(bench: TopicBench) -> list[Any]:
    """All committed messages of the partition that are still there."""
    consumer = KafkaConsumer(
        bootstrap_servers=bench.bootstrap, isolation_level="read_committed", enable_auto_commit=False
    )
    where = TopicPartition(bench.topic, 1)
    consumer.assign([where])
    consumer.seek_to_beginning(where)
    end = consumer.end_offsets([where])[where]
    found = []
    while consumer.position(where) < end:
        found += [message for messages in consumer.poll(200).values() for message in messages]
    consumer.close()
    return found


def living(bench: TopicBench) -> set[tuple[int, str]]:
    """(slot, what) of the keys that have a value."""
    newest = {message.key: message.value for message in records(bench)}
    told = [msgspec.json.decode(key) for key, value in newest.items() if value is not None and key != b"nudge"]
    return {(slot, what) for _, _, _, slot, what in told}


def compact(bench: TopicBench, done: Callable[[list[Any]], bool]) -> None:
    """Wait until compaction has done something; messages of another key make the broker begin new segments."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        send(bench.bootstrap, bench.topic, [(1, b"nudge", b"")])
        if done(records(bench)):
            return
        time.sleep(0.5)
    raise AssertionError("found no compaction")


def put(bench: TopicBench, what: str, value: bytes | None, snapshot: str, *, slot: int) -> None:
    """A message as if it were of the store, outside of any transaction."""
    assert isinstance(bench.store, TopicStateStore)
    key = bench.store.slots.key(PLACE, slot, what)
    producer = KafkaProducer(bootstrap_servers=bench.bootstrap, max_request_size=2**22)
    producer.send(bench.topic, value, key, [("driftline.snapshot", snapshot.encode())], partition=1).get(30)
    producer.close()


def snapshot_id(offset: int, seed: int, size: int = 3 * PAGE_BYTES) -> str:
    """As its pages bear it."""
    return cut(offset, make_state(seed, size)).mark.id


def test_compaction_keeps_what_is_needed(bench: TopicBench) -> None:
    """Where the pages of overwritten snapshots, and the first record of a span, are gone, all else is found."""
    notes = [bench.write(offset, offset) for offset in (100, 200, 300)]
    first = int(notes[2].partition("-")[0])
    gone = snapshot_id(100, 100).encode()

    def is_compacted(found: list[Any]) -> bool:
        return first not in {one.offset for one in found} and gone not in {dict(one.headers).get(
            "driftline.snapshot") for one in found}  # fmt: skip

    compact(bench, is_compacted)
    for note in ("", *notes, "9000000-9000009", "0-0"):
        offset = 200 if note == notes[1] else 300
        assert bench.read(note=note) == (offset, content_of(make_state(offset)), [])
    assert bench.read(299, notes[2]) == (200, content_of(make_state(200)), [])
    assert bench.read(199, notes[0]) == (None, b"", [])


def test_what_a_shorter_snapshot_does_not_need_is_deleted(bench: TopicBench) -> None:
    """After restarts that read one slot only, no page of a longer or interrupted snapshot is left for ever."""
    bench.write(100, 1, size=8 * PAGE_BYTES)
    note = bench.write(200, 2)
    again = bench.restart(note)
    note = again.write(300, 3, size=PAGE_BYTES // 2)
    assert {what for slot, what in living(bench) if slot == 0} == {"mark", "0"}
    interrupted = again.store.writer(PLACE, 400, make_state(4, 6 * PAGE_BYTES))
    while not interrupted.write(PAGE_BYTES):
        again.commit()
        if (1, "4") in living(bench):
            break
    again = bench.restart(note)
    again.write(500, 5, size=PAGE_BYTES // 2)
    assert living(bench) == {(slot, what) for slot in (0, 1) for what in ("mark", "0")}
    assert bench.read() == (500, content_of(make_state(5, PAGE_BYTES // 2)), [])


def test_a_snapshot_behind_an_open_transaction_is_waited_for(bench: TopicBench) -> None:
    """Another member's transaction, begun before in the same partition, hides a snapshot for a while: it is no loss."""
    other = KafkaProducer(bootstrap_servers=bench.bootstrap, transactional_id=f"{bench.topic}-other")
    other.init_transactions()
    other.begin_transaction()
    other.send(bench.topic, b"", b"nudge", partition=1).get(30)
    note = bench.write(100, 1)
    store = bench.make()[0]
    reader = store.reader(PLACE, ANYWHERE, note)
    deadline = time.monotonic() + 4.0
    while time.monotonic() < deadline:
        assert not reader.read(0.3)
    other.abort_transaction()
    other.close()
    assert read_all(reader) == (100, content_of(make_state(1)), [])


def test_messages_of_others_are_passed_over(bench: TopicBench) -> None:
    """Another group's snapshots, another partition's, and what is no message of a store at all change nothing."""
    bench.write(100, 1)
    strangers = [
        ["other", "in", 1, 0, "mark"], ["group", "in", 3, 0, "mark"], ["group", "out", 1, 0, "mark"],
        ["group", "in", 1, 2, "mark"], ["group", "in", 1, -1, "0"], ["group", "in", 1, 0, "-1"],
        ["group", "in", 1, 0, "x"], ["group", "in", 1, 0, "9" * 30], ["group", "in", 1, 0], "group", None, {"a": 1},
        ["group", "in", 1, [], "mark"],
    ]  # fmt: skip
    keys = [msgspec.json.encode(one) for one in strangers] + [b"\xff\x00", b"", b"["]
    send(bench.bootstrap, bench.topic, [(1, key, b"{}") for key in keys])
    assert bench.read() == (100, content_of(make_state(1)), [])


@pytest.mark.parametrize("harm", ["garbage", "too long", "missing", "of another", "no pages", "mark"])
def test_damage_is_told_once_and_the_other_slot_taken(bench: TopicBench, harm: str) -> None:
    """Whatever is wrong with the newest snapshot, the one before comes back; with the note or without, one line."""
    bench.write(100, 1)
    note = bench.write(200, 2)
    mine = snapshot_id(200, 2)
    if harm == "no pages":
        for page in range(4):
            put(bench, str(page), None, mine, slot=1)
    elif harm == "mark":
        put(bench, "mark", b'{"version": 1', mine, slot=1)
    else:
        value = {"garbage": b"garbage", "too long": bytes(2**20 - 2**10), "missing": None, "of another": b"x"}[harm]
        put(bench, "1", value, "7-c0ffee" if harm == "of another" else mine, slot=1)
    offset, content, damages = bench.read()
    assert (offset, content) == (100, content_of(make_state(1)))
    assert len(damages) == 1
    harmed = {"no pages": b',1,"3"]', "mark": b',1,"mark"]'}.get(harm, b',1,"1"]')
    compact(bench, lambda found: sum(one.key.endswith(harmed) for one in found) <= 1)
    assert bench.read(note=note) == (offset, content, damages)


def test_a_reader_that_is_given_up_lets_go_of_its_connection(bench: TopicBench) -> None:
    """Neither a partition that is lost nor a second attempt leaves a consumer behind."""
    bench.write(100, 1)
    count = len(bench.consumers)
    for _ in range(2):
        bench.store.reader(PLACE, ANYWHERE, "").read(0.0)
    bench.store.forget(PLACE)
    assert [one._closed for one in bench.consumers[count:]] == [True] * 2
    bench.store.reader(Place("in", 3), ANYWHERE, "").read(0.0)
    bench.store.close()
    assert [one._closed for one in bench.consumers[count:]] == [True] * 3
