"""What the tests of state stores share: states, and a store with how to commit what it writes and to read it afresh."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
from kafka import KafkaConsumer

from pipeline.adapters.kafka.connection import KafkaSettings
from pipeline.adapters.kafka.outbox import KafkaOutbox, OutboxSettings
from pipeline.adapters.state.pages import PAGE_BYTES
from pipeline.adapters.state.topic import TopicStateStore
from pipeline.codec.checkpoints import encode_checkpoint
from pipeline.interfaces import SnapshotReader, StateStore
from pipeline.records import Checkpoint, Place, RunIdentity
from tests.kafka_broker import create_topic

PLACE = Place("in", 1)
ANYWHERE = 2**60

Made: TypeAlias = tuple[StateStore, Callable[[], None], Callable[[], None]]
Found: TypeAlias = tuple[int | None, bytes, list[str]]


def make_state(seed: int, size: int = 3 * PAGE_BYTES) -> Checkpoint:
    """A state of so many bytes that hardly compress."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 2**62, size // 8)
    return Checkpoint(
        RunIdentity("c0ffee", "b1", "in/1"), {"position": seed}, {"rows": rows}, ["a", "b"], [("c", b"xyz")]
    )


def content_of(state: Checkpoint) -> bytes:
    """Its bytes."""
    return b"".join(bytes(part) for part in encode_checkpoint(state))


def read_all(reader: SnapshotReader) -> Found:
    """(offset, content, damages)."""
    while not reader.read(0.05):
        pass
    found = reader.found()
    damages = list(reader.damages())
    return (None, b"", damages) if found is None else (found[1], content_of(found[0]), damages)


class Bench:
    """A store, and how to commit what it writes and to find it again from afresh."""

    def __init__(self, make: Callable[[], Made]) -> None:
        self.make = make
        self.store, self.commit, self.abort = make()

    def restart(self, note: str) -> "Bench":
        """Another process that has restored what there is."""
        again = Bench(self.make)
        read_all(again.store.reader(PLACE, ANYWHERE, note))
        return again

    def write(self, offset: int, seed: int, *, size: int = 3 * PAGE_BYTES) -> str:
        """The note of a snapshot, complete and committed."""
        writer = self.store.writer(PLACE, offset, make_state(seed, size))
        while not writer.write(PAGE_BYTES // 4):
            self.commit()
        self.commit()
        return writer.note()

    def read(self, at_most: int = ANYWHERE, note: str = "") -> Found:
        """What another process finds."""
        store, _, _ = self.make()
        try:
            return read_all(store.reader(PLACE, at_most, note))
        finally:
            store.close()


class TopicBench(Bench):
    """A bench with a topic of two partitions; the state is in the second."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.bootstrap = bootstrap
        self.topic = topic
        self.consumers: list[Any] = []
        self.held: list[KafkaOutbox] = []
        super().__init__(self._make)

    def _make(self) -> Made:
        settings = OutboxSettings(f"{self.topic}-{len(self.held)}")
        outbox = KafkaOutbox(KafkaSettings((self.bootstrap,)), settings, lambda: None)
        self.held.append(outbox)
        store = TopicStateStore(outbox, self.topic, "group", self._consumer)
        return store, lambda: outbox.commit({}), outbox.abort

    def _consumer(self) -> Any:
        self.consumers.append(
            KafkaConsumer(
                bootstrap_servers=self.bootstrap,
                isolation_level="read_committed",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
            )
        )
        return self.consumers[-1]

    def close(self) -> None:
        """Let go of all connections."""
        self.store.close()
        for outbox in self.held:
            outbox.close()


@contextmanager
def topic_bench(bootstrap: str, config: Mapping[str, str] | None = None) -> Iterator[TopicBench]:
    """A bench with a compacted topic of its own."""
    topic = uuid.uuid4().hex
    create_topic(bootstrap, topic, 2, {"cleanup.policy": "compact"} | dict(config or {}))
    bench = TopicBench(bootstrap, topic)
    try:
        yield bench
    finally:
        bench.close()
