"""A snapshot onto a topic: the old mark deleted, then page after page, then the new mark."""

import msgspec

from pipeline.adapters.state.pages import PREPARE_S, Snapshot, weight
from pipeline.adapters.state.topic_slots import MARK, TopicSlots
from pipeline.interfaces import Receipt
from pipeline.records import Place


class TopicWriter:
    """Fulfils `pipeline.interfaces.SnapshotWriter`."""

    def __init__(self, slots: TopicSlots, place: Place, slot: int, snapshot: Snapshot) -> None:
        self._slots = slots
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
        slots, place, slot = self._slots, self._place, self._slot
        mark = self._snapshot.mark
        if self._first is None:
            self._first = self._send(MARK, None)
        left = max_bytes
        while left > 0:
            page = next(self._snapshot.pages, None)
            if page is None:
                for surplus in range(mark.pages, slots.pages(place, slot)):
                    self._send(str(surplus), None)
                told = msgspec.structs.replace(mark, beside=slots.pages(place, 1 - slot))
                self._last = self._send(MARK, msgspec.json.encode(told))
                return True
            self._send(str(self._sent), page)
            self._sent += 1
            slots.note_pages(place, slot, max(self._sent, slots.pages(place, slot)))
            left -= weight(page)
        return False

    def _send(self, what: str, value: bytes | None) -> Receipt:
        return self._slots.send(self._place, self._slot, what, value, self._snapshot.mark.id)

    def note(self) -> str:
        """See `pipeline.interfaces.SnapshotWriter`: the first and last offset."""
        if self._first is None or self._last is None:
            raise RuntimeError("found a snapshot that is not complete; expected note() behind the commit of the last")
        self._slots.note_newest(self._place, self._slot)
        self._slots.note_pages(self._place, self._slot, self._snapshot.mark.pages)
        return f"{self._first.offset()}-{self._last.offset()}"
