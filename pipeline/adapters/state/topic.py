"""Snapshots on a compacted topic, sent with the service's own transactions.

A partition has two slots. A snapshot goes into the one that does not hold the newest complete one: first the mark there
is deleted, then page after page is replaced, at last the new mark is written. All of it goes with commits of the
service, so a member that has lost the partition cannot write any of it.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from kafka import TopicPartition
from kafka.errors import KafkaError

from pipeline.adapters.state.pages import Mark, Snapshot, cut, join, name, read_mark
from pipeline.errors import CheckpointError, FeedError
from pipeline.interfaces import Outbox, Receipt
from pipeline.records import Checkpoint, Place

_MARK = "mark"
_ID = "driftline.snapshot"
_POLL_MS = 200
_REQUEST_MS = 30_000


class TopicStateStore:
    """Fulfils `pipeline.interfaces.StateStore` by a compacted topic.

    Args:
        outbox: the service's.
        consumer: makes a kafka-python consumer without a group, that reads committed messages.
    """

    def __init__(self, outbox: Outbox, topic: str, group: str, consumer: Callable[[], Any]) -> None:
        self._outbox = outbox
        self._topic = topic
        self._group = group
        self._make_consumer = consumer
        self._newest: dict[Place, tuple[int, int]] = {}  # (slot, pages in the other one)
        self._sizes: dict[tuple[Place, int], int] = {}

    def writer(self, place: Place, offset: int, state: Checkpoint) -> "_Writer":
        """See `pipeline.interfaces.StateStore`."""
        slot = 1 - self._newest.get(place, (1, 0))[0]
        return _Writer(self, place, slot, cut(offset, state))

    def reader(self, place: Place, at_most: int, note: str) -> "_Reader":
        """See `pipeline.interfaces.StateStore`."""
        return _Reader(self, place, at_most, note)

    def forget(self, place: Place) -> None:
        """See `pipeline.interfaces.StateStore`."""
        self._newest.pop(place, None)
        for slot in (0, 1):
            self._sizes.pop((place, slot), None)

    def close(self) -> None:
        """Nothing is kept open between readers."""

    def key(self, place: Place, slot: int, what: str) -> bytes:
        """Of a message: group, topic, partition, slot, and 'mark' or the number of a page."""
        return msgspec.json.encode([self._group, place.topic, place.partition, slot, what])

    def send(self, place: Place, slot: int, what: str, value: bytes | None, snapshot: str) -> Receipt:
        """A page, a mark, or the deletion of either."""
        headers = [(_ID, snapshot.encode())]
        return self._outbox.send(
            self._topic, place.partition, key=self.key(place, slot, what), value=value, headers=headers
        )

    def surplus(self, place: Place, slot: int) -> int:
        """Pages that an older snapshot may have in a slot."""
        return self._sizes.get((place, slot), 0)

    def note_written(self, place: Place, slot: int, pages: int) -> None:
        """A snapshot is in this slot and committed: the next one goes into the other."""
        self._newest[place] = (slot, 0)
        self._sizes[place, slot] = pages

    def open(self, place: Place) -> tuple[Any, Any, int, int]:
        """(consumer, partition of the topic, its first offset, its end)."""
        try:
            consumer = self._make_consumer()
            count = len(consumer.partitions_for_topic(self._topic) or ())
            if not count:
                consumer.close(autocommit=False)
                raise FeedError(f"topic {self._topic}: found no such topic; expected it to exist, to hold the state")
            where = TopicPartition(self._topic, place.partition % count)
            consumer.assign([where])
            first = consumer.beginning_offsets([where], timeout_ms=_REQUEST_MS)[where]
            end = consumer.end_offsets([where], timeout_ms=_REQUEST_MS)[where]
        except KafkaError as exc:
            raise FeedError(f"topic {self._topic}: found no answer ({exc}); expected the state") from exc
        return consumer, where, first, end


class _Writer:
    """Fulfils `pipeline.interfaces.SnapshotWriter`."""

    def __init__(self, store: TopicStateStore, place: Place, slot: int, snapshot: Snapshot) -> None:
        self._store = store
        self._place = place
        self._slot = slot
        self._snapshot = snapshot
        self._sent = 0
        self._first: Receipt | None = None
        self._last: Receipt | None = None

    def write(self, max_bytes: int) -> bool:
        """See `pipeline.interfaces.SnapshotWriter`."""
        mark = self._snapshot.mark
        if self._first is None:
            self._first = self._send(_MARK, None)
        written = 0
        while written < max_bytes:
            page = next(self._snapshot.pages, None)
            if page is None:
                for surplus in range(mark.pages, self._store.surplus(self._place, self._slot)):
                    self._send(str(surplus), None)
                self._last = self._send(_MARK, msgspec.json.encode(mark))
                return True
            self._send(str(self._sent), page)
            self._sent += 1
            written += len(page)
        return False

    def _send(self, what: str, value: bytes | None) -> Receipt:
        return self._store.send(self._place, self._slot, what, value, self._snapshot.mark.id)

    def note(self) -> str:
        """See `pipeline.interfaces.SnapshotWriter`: the first and last offset."""
        if self._first is None or self._last is None:
            raise RuntimeError("found a snapshot that is not complete; expected note() behind the commit of the last")
        self._store.note_written(self._place, self._slot, self._snapshot.mark.pages)
        return f"{self._first.offset()}-{self._last.offset()}"


class _Slot:
    """What has been read of a slot."""

    def __init__(self) -> None:
        self.mark: bytes | None = None
        self.pages: dict[int, tuple[str, bytes]] = {}


class _Reader:
    """Fulfils `pipeline.interfaces.SnapshotReader`: first where the note says, then everywhere."""

    def __init__(self, store: TopicStateStore, place: Place, at_most: int, note: str) -> None:
        self._store = store
        self._place = place
        self._at_most = at_most
        self._span = _span(note)
        self._consumer: Any = None
        self._where: Any = None
        self._end = 0
        self._slots = (_Slot(), _Slot())
        self._keys = {store.key(place, slot, ""): slot for slot in (0, 1)}
        self._found: tuple[Checkpoint, int] | None = None
        self._damages: list[str] = []

    def read(self, budget_s: float) -> bool:
        """See `pipeline.interfaces.SnapshotReader`."""
        deadline = time.monotonic() + budget_s
        try:
            if self._consumer is None:
                self._begin()
            while self._consumer.position(self._where, timeout_ms=_REQUEST_MS) < self._end:
                if time.monotonic() > deadline:
                    return False
                for messages in self._consumer.poll(timeout_ms=_POLL_MS, max_records=16).values():
                    for message in messages:
                        self._take(message)
        except KafkaError as exc:
            raise FeedError(f"state of {name(self._place)}: found no answer ({exc}); expected its snapshot") from exc
        self._consumer.close(autocommit=False)
        self._consumer = None
        self._settle()
        if self._found is None and self._span is not None:
            # the note led to nothing usable
            self._span = None
            self._slots = (_Slot(), _Slot())
            return False
        return True

    def _begin(self) -> None:
        self._consumer, self._where, first, end = self._store.open(self._place)
        start, self._end = (first, end)
        if self._span is not None:
            start = min(max(first, self._span[0]), end)
            self._end = min(end, self._span[1] + 1)
        self._consumer.seek(self._where, start)

    def _take(self, message: Any) -> None:
        try:
            _, topic, partition, slot, what = msgspec.json.decode(message.key or b"null")
        except (msgspec.MsgspecError, TypeError, ValueError):
            return
        if message.key != self._store.key(self._place, slot, what) or (topic, partition) != tuple(self._place):
            return
        into = self._slots[slot]
        if what == _MARK:
            into.mark = message.value
        elif message.value is None:
            into.pages.pop(int(what), None)
        else:
            snapshot = dict(message.headers).get(_ID, b"").decode()
            into.pages[int(what)] = (snapshot, message.value)

    def _settle(self) -> None:
        marked: list[tuple[Mark, int]] = []
        where = f"state of {name(self._place)}"
        for number, slot in enumerate(self._slots):
            if slot.mark is None:
                continue
            try:
                marked.append((read_mark(where, slot.mark), number))
            except CheckpointError as exc:
                self._damages.append(str(exc))
        for mark, number in sorted(marked, key=lambda pair: -pair[0].offset):
            if mark.offset > self._at_most:
                continue
            slot = self._slots[number]
            mine = [slot.pages[n] for n in range(mark.pages) if n in slot.pages]
            try:
                state = join(where, mark, [page for snapshot, page in mine if snapshot == mark.id])
            except CheckpointError as exc:
                self._damages.append(str(exc))
                continue
            self._found = state, mark.offset
            self._store.note_written(self._place, number, mark.pages)
            return

    def found(self) -> tuple[Checkpoint, int] | None:
        """See `pipeline.interfaces.SnapshotReader`."""
        return self._found

    def damages(self) -> Sequence[str]:
        """See `pipeline.interfaces.SnapshotReader`."""
        return self._damages


def _span(note: str) -> tuple[int, int] | None:
    first, separator, last = note.partition("-")
    return (int(first), int(last)) if separator and first.isdecimal() and last.isdecimal() else None
