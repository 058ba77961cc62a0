"""Snapshots from a topic: the messages of both slots, and the newest snapshot among them that is whole."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Self

from pipeline.adapters.state.assembly import Assembly, DamagedError, read_mark
from pipeline.adapters.state.pages import PAGE_BYTES, Mark, name
from pipeline.adapters.state.scratch import no_room_told, scratch_file
from pipeline.adapters.state.topic_slots import MARK, REQUEST_MS, SNAPSHOT_HEADER, TopicSlots, told_as_ours
from pipeline.errors import FeedError
from pipeline.records import Checkpoint, Place

_POLL_MS = 200
_STILL_S = 60.0
"""Time without any progress after which reading fails; transactions are ended by the broker well before."""
_SHORTER_S = 2.0
"""The same, after which a log that is told to be shorter is taken for it; just after an election it may be told so."""
_ROOM_BYTES = PAGE_BYTES + 2**12
"""For a page as it was sent, compressed: which may make it longer, but hardly."""
_MORE_PAGES = 16


class SlotContent:
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
        if what == MARK:
            self.mark = message.value
        elif message.value is None:
            self._pages.pop(int(what), None)
        else:
            snapshot = dict(message.headers).get(SNAPSHOT_HEADER, b"").decode(errors="replace")
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


class TopicReader:
    """Fulfils `pipeline.interfaces.SnapshotReader`: first where the note says, then everywhere.

    Args:
        at_most: offset of the newest snapshot that is of use.
        note: the writer's, of where the newest is.
        done: called when all is read.
    """

    def __init__(self, slots: TopicSlots, place: Place, at_most: int, note: str, done: Callable[[], None]) -> None:
        self._slots = slots
        self._done = done
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
        with told_as_ours(f"state of {name(self._place)}"):
            for _ in self._steps:
                if time.monotonic() > deadline:
                    return False
        self._done()
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
        with SlotContent() as zero, SlotContent() as one:
            slots = (zero, one)
            for message in self._messages(span):
                known = None if message is None else self._slots.slot_of(message.key, self._place)
                if known is not None:
                    slots[known[0]].take(known[1], message)
                yield
            if span is None:
                for number, slot in enumerate(slots):
                    self._slots.note_pages(self._place, number, slot.top)
            yield from self._settle(slots, span)

    def _messages(self, span: tuple[int, int] | None) -> Iterator[Any]:
        """Committed messages in a span, or all; None in between where there are none for a moment.

        The end of a span may not be readable yet: in the same partition a transaction of another member may be open
        that began before.
        """
        with self._slots.open(self._place) as (consumer, where, first, end):
            at, stop = (first, end) if span is None else (min(max(first, span[0]), end), span[1] + 1)
            consumer.seek(where, at)
            since = time.monotonic()
            while at < stop:
                for messages in consumer.poll(timeout_ms=_POLL_MS, max_records=16).values():
                    yield from messages
                yield None
                before, at = at, consumer.position(where, timeout_ms=REQUEST_MS)
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

    def _settle(self, slots: tuple[SlotContent, SlotContent], span: tuple[int, int] | None) -> Iterator[None]:
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
            self._slots.note_newest(self._place, number)
            if span is not None:
                self._slots.note_pages(self._place, number, mark.pages)
                # a snapshot that was interrupted is not seen: taken to have grown to less than double
                most = 2 * max(mark.pages, mark.beside) + _MORE_PAGES
                self._slots.note_pages(self._place, 1 - number, most)
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
