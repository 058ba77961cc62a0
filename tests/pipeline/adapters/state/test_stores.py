import uuid
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from pipeline.adapters.kafka.connection import KafkaSettings
from pipeline.adapters.kafka.outbox import KafkaOutbox, OutboxSettings
from pipeline.adapters.spill import SqliteSpill
from pipeline.adapters.state.files import FileStateStore
from pipeline.adapters.state.pages import PAGE_BYTES
from pipeline.adapters.state.topic import TopicStateStore
from pipeline.errors import CheckpointError, ConfigError, TransactionError
from pipeline.lanes import LaneTable
from pipeline.records import Checkpoint, Place, RunIdentity
from tests.kafka_broker import create_topic, read_to_end
from tests.pipeline.adapters.state.bench import ANYWHERE, PLACE, Bench, content_of, make_state, read_all, topic_bench


@pytest.fixture(params=["memory", "file", pytest.param("topic", marks=pytest.mark.kafka)])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """A store of each kind."""
    if request.param == "topic":
        with topic_bench(request.getfixturevalue("bootstrap")) as made:
            yield made
        return
    url = f"memory://{uuid.uuid4().hex}" if request.param == "memory" else f"file://{tmp_path}/state"
    yield Bench(lambda: (FileStateStore(url, "a group/1"), lambda: None, lambda: None))


def test_the_newest_snapshot_that_is_not_ahead_comes_back(bench: Bench) -> None:
    """Of the last two snapshots the newest at or before the offset asked for comes back, bit for bit."""
    assert bench.read() == (None, b"", [])
    bench.write(100, 1)
    bench.write(200, 2)
    note = bench.write(300, 3, size=PAGE_BYTES)
    for hint in ("", note, "7-9", "nonsense"):
        assert bench.read(note=hint) == (300, content_of(make_state(3, PAGE_BYTES)), [])
    assert bench.read(299, note) == (200, content_of(make_state(2)), [])
    assert bench.read(199) == (None, b"", [])


def test_an_unfinished_snapshot_is_passed_over(bench: Bench) -> None:
    """A writer that stops half way leaves the snapshot before it as it was, and the next one can be written."""
    bench.write(100, 1)
    writer = bench.store.writer(PLACE, 200, make_state(2))
    assert not writer.write(1)
    bench.commit()
    assert bench.read() == (100, content_of(make_state(1)), [])
    bench.abort()
    bench.store.forget(PLACE)
    again = bench.restart("")
    again.write(300, 3)
    assert again.read() == (300, content_of(make_state(3)), [])


def test_what_is_not_committed_does_not_count(bench: Bench) -> None:
    """A snapshot sent with a transaction that is aborted is not there."""
    bench.write(100, 1)
    writer = bench.store.writer(PLACE, 200, make_state(2))
    assert writer.write(2**30)
    bench.abort()
    expected = (100, 1) if isinstance(bench.store, TopicStateStore) else (200, 2)
    assert bench.read() == (expected[0], content_of(make_state(expected[1])), [])


def test_partitions_do_not_see_one_another(bench: Bench) -> None:
    """The state of another topic's partition of the same number is not mistaken for it."""
    bench.write(100, 1)
    assert read_all(bench.store.reader(Place("other", 1), ANYWHERE, "")) == (None, b"", [])


def test_a_snapshot_is_of_its_moment(bench: Bench, tmp_path: Path) -> None:
    """Whatever is evicted and comes back while it is written, it is the state it began with, and so is what is read."""
    row = np.dtype([("ring", "f4", (50,))])
    with SqliteSpill(tmp_path) as spill, SqliteSpill(tmp_path) as other:
        table = LaneTable(row, 1, 1000, spill)
        before = {f"key-{n:05d}": np.full(50, n, "f4").tobytes() for n in range(8000)}
        spill.put_many(before.items())
        arrays, keys, spilled = table.save()
        state = Checkpoint(RunIdentity("", "", ""), {}, arrays, keys, spilled)
        writer = bench.store.writer(PLACE, 7, state)
        taken, names = 0, list(before)
        with patch.multiple(type(writer).__module__, PREPARE_S=0.0):
            while not writer.write(1):
                bench.commit()
                for _ in range(10):
                    spill.take_many(names[taken : taken + 50])
                    spill.put_many([(f"key-{taken:05d}-new", b"new"), (names[-taken - 1], b"changed")])
                    taken = (taken + 50) % 7000
        bench.commit()
        assert taken
        reader = bench.make()[0].reader(PLACE, ANYWHERE, writer.note())
        while not reader.read(0.0):
            pass
        found = reader.found()
        assert found is not None
        again = LaneTable(row, 1, 1000, other)
        again.load(found[0].arrays, found[0].key_names, found[0].spilled)
        assert other.take_many(["key-00007"]) == {"key-00007": before.pop("key-00007")}
        assert dict(other.items()) == before


def test_damage_is_told_and_the_snapshot_before_is_taken(tmp_path: Path) -> None:
    """Whichever page, or the mark, is damaged or missing, the snapshot before comes back, and the damage is told."""
    for n, harm in enumerate(("page-00000.zst", "page-00002.zst", "complete.json", "missing")):
        store = FileStateStore(f"file://{tmp_path}/{n}", "g")
        bench = Bench(lambda made=(store, lambda: None, lambda: None): made)  # type: ignore[misc]
        bench.write(100, 1)
        bench.write(200, 2)
        newest = max((tmp_path / str(n) / "g" / "in" / "1").iterdir())
        if harm == "missing":
            (newest / "page-00001.zst").unlink()
        else:
            content = bytearray((newest / harm).read_bytes())
            content[len(content) // 2] ^= 8
            (newest / harm).write_bytes(content)
        offset, content_found, damages = bench.read()
        assert (offset, content_found) == (100, content_of(make_state(1)))
        assert len(damages) == 1


def test_only_two_snapshots_are_kept(tmp_path: Path) -> None:
    """Older ones are removed, unfinished ones among them."""
    bench = Bench(lambda: (FileStateStore(f"file://{tmp_path}", "g"), lambda: None, lambda: None))
    bench.store.writer(PLACE, 50, make_state(9)).write(1)
    for offset in (100, 200, 300):
        bench.write(offset, offset)
    names = sorted(one.name for one in (tmp_path / "g" / "in" / "1").iterdir())
    assert [int(name.partition("-")[0]) for name in names] == [200, 300]


def test_stores_that_cannot_be_had_are_told(tmp_path: Path) -> None:
    """An unknown kind of URL, and a folder that cannot be written, are told as such."""
    with pytest.raises(ConfigError, match=r"\[state\] store: found 'nonsense://x'"):
        FileStateStore("nonsense://x", "g")
    (tmp_path / "file").write_text("")
    writer = FileStateStore(f"file://{tmp_path}/file", "g").writer(PLACE, 1, make_state(1))
    with pytest.raises(CheckpointError, match="expected a folder to read and write"):
        writer.write(1)


@pytest.mark.kafka
def test_a_zombie_cannot_write(bootstrap: str) -> None:
    """A process whose transactional id another has taken fails to commit, and nothing of it is seen."""
    name = uuid.uuid4().hex
    create_topic(bootstrap, name)
    connection = KafkaSettings((bootstrap,))
    zombie = KafkaOutbox(connection, OutboxSettings(name), lambda: None)
    zombie.send(name, 0, key=b"k", value=b"old")
    heir = KafkaOutbox(connection, OutboxSettings(name), lambda: None)
    heir.send(name, 0, key=b"k", value=b"new")
    heir.commit({})
    with pytest.raises(TransactionError):
        zombie.commit({})
    assert [message.value for message in read_to_end(bootstrap, name)] == [b"new"]
    zombie.close()
    heir.close()
