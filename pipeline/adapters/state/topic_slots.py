"""Messages of snapshots on a topic: to which slot of which partition each belongs, and what a slot may hold."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from kafka import TopicPartition
from kafka.errors import AuthorizationError, KafkaError

from pipeline.errors import ConfigError, FeedError
from pipeline.interfaces import Outbox, Receipt
from pipeline.records import Place

MARK = "mark"
"""Instead of the number of a page, in the key of the message that says that a snapshot is complete."""
SNAPSHOT_HEADER = "driftline.snapshot"
"""Of each message, the id of the snapshot that it is of."""
REQUEST_MS = 30_000
_PAGES = 2**20
"""More than a snapshot ever has."""

_Key = tuple[str, str, int, int, str]


class TopicSlots:
    """The slots of all partitions of a group, two of each.

    Args:
        outbox: the service's.
        consumer: makes a kafka-python consumer without a group, that reads committed messages.
    """

    def __init__(self, outbox: Outbox, topic: str, group: str, consumer: Callable[[], Any]) -> None:
        self._outbox = outbox
        self._topic = topic
        self._group = group
        self._make_consumer = consumer
        self._partitions = 0
        self._newest: dict[Place, int] = {}
        self._sizes: dict[tuple[Place, int], int] = {}

    def next_slot(self, place: Place) -> int:
        """The one that does not hold the newest complete snapshot."""
        return 1 - self._newest.get(place, 1)

    def forget(self, place: Place) -> None:
        """Know nothing of the slots of a partition."""
        self._newest.pop(place, None)
        for slot in (0, 1):
            self._sizes.pop((place, slot), None)

    def key(self, place: Place, slot: int, what: str) -> bytes:
        """Of a message: group, topic, partition, slot, and 'mark' or the number of a page."""
        return msgspec.json.encode([self._group, place.topic, place.partition, slot, what])

    def send(self, place: Place, slot: int, what: str, value: bytes | None, snapshot: str) -> Receipt:
        """A page, a mark, or the deletion of either."""
        headers = [(SNAPSHOT_HEADER, snapshot.encode())]
        return self._outbox.send(
            self._topic, place.partition, key=self.key(place, slot, what), value=value, headers=headers
        )

    def slot_of(self, key: bytes | None, place: Place) -> tuple[int, str] | None:
        """(slot, what) of a message of this partition of this group; None for any other."""
        try:
            group, topic, partition, slot, what = msgspec.json.decode(key or b"", type=_Key)
        except msgspec.MsgspecError:
            return None
        if (group, topic, partition) != (self._group, *place) or slot not in {0, 1}:
            return None
        is_page = what.isdecimal() and what.isascii() and int(what) < _PAGES
        return (slot, what) if is_page or what == MARK else None

    def pages(self, place: Place, slot: int) -> int:
        """So many pages a slot may have, at most."""
        return self._sizes.get((place, slot), 0)

    def note_pages(self, place: Place, slot: int, pages: int) -> None:
        """A slot may have so many pages."""
        self._sizes[place, slot] = pages

    def note_newest(self, place: Place, slot: int) -> None:
        """A snapshot is in this slot and committed: the next one goes into the other."""
        self._newest[place] = slot

    @contextmanager
    def open(self, place: Place) -> Iterator[tuple[Any, Any, int, int]]:
        """(consumer, partition of the topic, its first offset, the end of what can be read of it).

        Raises:
            FeedError: there is no such topic, or no broker answers.
        """
        with told_as_ours(f"topic {self._topic}"):
            consumer = self._make_consumer()
            try:
                if not self._partitions:  # asked for once, as the answer takes a tenth of a second
                    self._partitions = len(consumer.partitions_for_topic(self._topic) or ())
                if not self._partitions:
                    raise FeedError(
                        f"topic {self._topic}: found no such topic; expected it to exist, to hold the state"
                    )
                where = TopicPartition(self._topic, place.partition % self._partitions)
                consumer.assign([where])
                first = consumer.beginning_offsets([where], timeout_ms=REQUEST_MS)[where]
                end = consumer.end_offsets([where], timeout_ms=REQUEST_MS)[where]
                yield consumer, where, first, end
            finally:
                consumer.close(autocommit=False)


@contextmanager
def told_as_ours(what: str) -> Iterator[None]:
    """Tells errors of the client as `ConfigError` or `FeedError`, with what was looked for."""
    try:
        yield
    except AuthorizationError as exc:
        raise ConfigError(f"{what}: found no permission ({exc}); expected an ACL that allows it") from exc
    except KafkaError as exc:
        raise FeedError(f"{what}: found no answer ({exc}); expected the state") from exc
