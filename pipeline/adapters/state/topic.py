"""Snapshots on a compacted topic, sent with the service's own transactions.

A partition has two slots. A snapshot goes into the one that does not hold the newest complete one: first the mark there
is deleted, then page after page is replaced, at last the new mark is written. All of it goes with commits of the
service, so a member that has lost the partition cannot write any of it.

A slot may hold pages that a snapshot shorter than the one before has no use for: these are deleted behind its own. How
many there may be is known after a restart too, since each mark tells how many the other slot may have.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import msgspec
from kafka import TopicPartition
from kafka.errors import AuthorizationError, KafkaError

from pipeline.adapters.state.pages import (
    PAGE_BYTES,
    PREPARE_S,
    Assembly,
    DamagedError,
    Mark,
    Snapshot,
    cut,
    name,
    no_room_told,
    read_mark,
    scratch_file,
    weight,
)
from pipeline.errors import ConfigError, FeedError
from pipeline.interfaces import Outbox, Receipt
from pipeline.records import Checkpoint, Place

_MARK = "mark"
_ID = "driftline.snapshot"
_POLL_MS = 200
_REQUEST_MS = 30_000
_STILL_S = 60.0
"""Time without any progress after which reading fails; transactions are ended by the broker well before."""
_SHORTER_S = 2.0
"""The same, after which a log that is told to be shorter is taken for it; just after an election it may be told so."""
_PAGES = 2**20
"""More than a snapshot ever has."""
_ROOM_BYTES = PAGE_BYTES + 2**12
"""For a page as it was sent, compressed: which may make it longer, but hardly."""
_MORE_PAGES = 16

_Key = tuple[str, str, int, int, str]


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
        self._partitions = 0
        self._newest: dict[Place, int] = {}
        self._sizes: dict[tuple[Place, int], int] = {}
        self._readers: dict[Place, _Reader] = {}

    def writer(self, place: Place, offset: int, state: Checkpoint) -> "_Writer":
        """See `pipeline.interfaces.StateStore`."""
        slot = 1 - self._newest.get(place, 1)
        return _Writer(self, place, slot, cut(offset, state))

    def reader(self, place: Place, at_most: int, note: str) -> "_Reader":
        """See `pipeline.interfaces.StateStore`."""
        self.release(place)
        self._readers[place] = _Reader(self, place, at_most, note)
        return self._readers[place]

    def forget(self, place: Place) -> None:
        """See `pipeline.interfaces.StateStore`."""
        self.release(place)
        self._newest.pop(place, None)
        for slot in (0, 1):
            self._sizes.pop((place, slot), None)

    def close(self) -> None:
        """See `pipeline.interfaces.StateStore`."""
        for place in list(self._readers):
            self.release(place)

    def release(self, place: Place) -> None:
        """Let go of a partition's reader, done or not."""
        reader = self._readers.pop(place, None)
        if reader is not None:
            reader.close()

    def key(self, place: Place, slot: int, what: str) -> bytes:
        """Of a message: group, topic, partition, slot, and 'mark' or the number of a page."""
        return msgspec.json.encode([self._group, place.topic, place.partition, slot, what])

    def send(self, place: Place, slot: int, what: str, value: bytes | None, snapshot: str) -> Receipt:
        """A page, a mark, or the deletion of either."""
        headers = [(_ID, snapshot.encode())]
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
        return (slot, what) if is_page or what == _MARK else None

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
        """(consumer, partition of the topic, its first offset, the end of what can be read of it)."""
        with _told(f"topic {self._topic}"):
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
                first = consumer.beginning_offsets([where], timeout_ms=_REQUEST_MS)[where]
                end = consumer.end_offsets([where], timeout_ms=_REQUEST_MS)[where]
                yield consumer, where, first, end
            finally:
                consumer.close(autocommit=False)


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
        if not self._snapshot.prepare(PREPARE_S):
            return False
        store, place, slot = self._store, self._place, self._slot
        mark = self._snapshot.mark
        if self._first is None:
            self._first = self._send(_MARK, None)
        left = max_bytes
        while left > 0:
            page = next(self._snapshot.pages, None)
            if page is None:
                for surplus in range(mark.pages, store.pages(place, slot)):
                    self._send(str(surplus), None)
                told = msgspec.structs.replace(mark, beside=store.pages(place, 1 - slot))
                self._last = self._send(_MARK, msgspec.json.encode(told))
                return True
            self._send(str(self._sent), page)
            self._sent += 1
            store.note_pages(place, slot, max(self._sent, store.pages(place, slot)))
            left -= weight(page)
        return False

    def _send(self, what: str, value: bytes | None) -> Receipt:
        return self._store.send(self._place, self._slot, what, value, self._snapshot.mark.id)

    def note(self) -> str:
        """See `pipeline.interfaces.SnapshotWriter`: the first and last offset."""
        if self._first is None or self._last is None:
            raise RuntimeError("found a snapshot that is not complete; expected note() behind the commit of the last")
        self._store.note_newest(self._place, self._slot)
        self._store.note_pages(self._place, self._slot, self._snapshot.mark.pages)
        return f"{self._first.offset()}-{self._last.offset()}"


class _Slot:
    """What has been read of a slot; the pages wait in a temporary file.

    Attributes:
        mark: the newest, if it has not been deleted.
        top: behind the last page.
    """

    def __init__(self) -> None:
        self.mark: bytes | None = None
        self._pages: dict[int, tuple[str, int]] = {}  # (snapshot, length)
        self._file = scratch_file()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def top(self) -> int:
        """One more than the number of the last page."""
        return max(self._pages, default=-1) + 1

    def take(self, what: str, message: Any) -> None:
        """A page, a mark, or the deletion of either."""
        if what == _MARK:
            self.mark = message.value
        elif message.value is None:
            self._pages.pop(int(what), None)
        else:
            snapshot = dict(message.headers).get(_ID, b"").decode(errors="replace")
            page = message.value[:_ROOM_BYTES]  # a longer one is none, and must not reach into the next
            self._pages[int(what)] = (snapshot, len(page))
            with no_room_told():
                self._file.seek(int(what) * _ROOM_BYTES)
                self._file.write(page)

    def pages_of(self, mark: Mark) -> Iterator[bytes]:
        """The pages of a snapshot, as far as they are there."""
        for number in range(mark.pages):
            snapshot, length = self._pages.get(number, ("", 0))
            if snapshot == mark.id:
                self._file.seek(number * _ROOM_BYTES)
                yield self._file.read(length)


class _Reader:
    """Fulfils `pipeline.interfaces.SnapshotReader`: first where the note says, then everywhere."""

    def __init__(self, store: TopicStateStore, place: Place, at_most: int, note: str) -> None:
        self._store = store
        self._place = place
        self._at_most = at_most
        self._found: tuple[Checkpoint, int] | None = None
        self._damages: list[str] = []
        self._steps = self._look_everywhere(_span(note))

    def read(self, budget_s: float) -> bool:
        """See `pipeline.interfaces.SnapshotReader`.

        Raises:
            FeedError: Kafka does not answer, or what the note tells of cannot be read yet.
            CheckpointError: there is no room for temporary files.
        """
        deadline = time.monotonic() + budget_s
        with _told(f"state of {name(self._place)}"):
            for _ in self._steps:
                if time.monotonic() > deadline:
                    return False
        self._store.release(self._place)
        return True

    def close(self) -> None:
        """Let go of the connection."""
        self._steps.close()

    def _look_everywhere(self, span: tuple[int, int] | None) -> Generator[None, None, None]:
        if span is not None:
            yield from self._look(span)
            if self._found is not None:
                return
            self._damages.clear()  # what is damaged, and not just gone by now, is found again
        yield from self._look(None)

    def _look(self, span: tuple[int, int] | None) -> Iterator[None]:
        with _Slot() as zero, _Slot() as one:
            slots = (zero, one)
            for message in self._messages(span):
                known = None if message is None else self._store.slot_of(message.key, self._place)
                if known is not None:
                    slots[known[0]].take(known[1], message)
                yield
            if span is None:
                for number, slot in enumerate(slots):
                    self._store.note_pages(self._place, number, slot.top)
            yield from self._settle(slots, span)

    def _messages(self, span: tuple[int, int] | None) -> Iterator[Any]:
        """Committed messages in a span, or all; None in between where there are none for a moment.

        The end of a span may not be readable yet: in the same partition a transaction of another member may be open
        that began before.
        """
        with self._store.open(self._place) as (consumer, where, first, end):
            at, stop = (first, end) if span is None else (min(max(first, span[0]), end), span[1] + 1)
            consumer.seek(where, at)
            since = time.monotonic()
            while at < stop:
                for messages in consumer.poll(timeout_ms=_POLL_MS, max_records=16).values():
                    yield from messages
                yield None
                before, at = at, consumer.position(where, timeout_ms=_REQUEST_MS)
                if at != before:
                    since = time.monotonic()
                still_s = time.monotonic() - since
                highwater = consumer.highwater(where)
                if still_s > _SHORTER_S and highwater is not None and highwater < stop:
                    return  # the log is shorter than noted
                if still_s > _STILL_S:
                    raise FeedError(
                        f"state of {name(self._place)}: found its topic readable up to {at} only, for {_STILL_S:.0f} s;"
                        f" expected {stop}: a transaction is open there, which the broker ends in time"
                    )

    def _settle(self, slots: tuple[_Slot, _Slot], span: tuple[int, int] | None) -> Iterator[None]:
        marked: list[tuple[Mark, int]] = []
        where = f"state of {name(self._place)}"
        for number, slot in enumerate(slots):
            if slot.mark is None:
                continue
            try:
                marked.append((read_mark(where, slot.mark), number))
            except DamagedError as exc:
                self._damages.append(str(exc))
        for mark, number in sorted(marked, key=lambda pair: -pair[0].offset):
            if mark.offset > self._at_most:
                continue
            try:
                assembly = Assembly(where, mark)
                for page in slots[number].pages_of(mark):
                    assembly.add(page)
                    yield
                state = yield from assembly.finish()
            except DamagedError as exc:
                self._damages.append(str(exc))
                continue
            self._found = state, mark.offset
            self._store.note_newest(self._place, number)
            if span is not None:
                self._store.note_pages(self._place, number, mark.pages)
                # a snapshot that was interrupted is not seen: taken to have grown to less than double
                most = 2 * max(mark.pages, mark.beside) + _MORE_PAGES
                self._store.note_pages(self._place, 1 - number, most)
            return

    def found(self) -> tuple[Checkpoint, int] | None:
        """See `pipeline.interfaces.SnapshotReader`."""
        return self._found

    def damages(self) -> Sequence[str]:
        """See `pipeline.interfaces.SnapshotReader`."""
        return self._damages


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except AuthorizationError as exc:
        raise ConfigError(f"{what}: found no permission ({exc}); expected an ACL that allows it") from exc
    except KafkaError as exc:
        raise FeedError(f"{what}: found no answer ({exc}); expected the state") from exc


def _span(note: str) -> tuple[int, int] | None:
    first, separator, last = note.partition("-")
    return (int(first), int(last)) if separator and first.isdecimal() and last.isdecimal() else None
