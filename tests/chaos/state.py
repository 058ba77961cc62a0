"""The state of a partition in every byte, as a hash."""

import hashlib
from typing import Any

from kafka import KafkaConsumer

from pipeline.adapters.state.topic import TopicStateStore
from pipeline.codec.checkpoints import encode_checkpoint
from pipeline.records import Checkpoint, Place
from tests.chaos.service import Names


def state_hash(bootstrap: str, names: Names, place: Place) -> str:
    """Of the newest snapshot."""

    def consumer() -> Any:
        return KafkaConsumer(
            bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="earliest",
            enable_auto_commit=False,
        )  # fmt: skip

    outbox: Any = None
    reader = TopicStateStore(outbox, names.state, names.group, consumer).reader(place, 2**62, "")
    while not reader.read(1.0):
        pass
    found = reader.found()
    if found is None:
        raise AssertionError(f"found no snapshot of {place}: {reader.damages()}")
    return hash_of(*found)


def hash_of(state: Checkpoint, offset: int) -> str:
    """Of a state, and the offset that it is of."""
    digest = hashlib.sha256(f"{offset}".encode())
    for part in encode_checkpoint(state):
        digest.update(part)
    return digest.hexdigest()
