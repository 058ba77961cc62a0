"""Snapshots on a compacted topic, sent with the service's own transactions.

A partition has two slots. A snapshot goes into the one that does not hold the newest complete one: first the mark there
is deleted, then page after page is replaced, at last the new mark is written. All of it goes with commits of the
service, so a member that has lost the partition cannot write any of it.

A slot may hold pages that a snapshot shorter than the one before has no use for: these are deleted behind its own. How
many there may be is known after a restart too, since each mark tells how many the other slot may have.
"""

from collections.abc import Callable
from typing import Any

from pipeline.adapters.state.pages import cut
from pipeline.adapters.state.topic_reading import TopicReader
from pipeline.adapters.state.topic_slots import TopicSlots
from pipeline.adapters.state.topic_writing import TopicWriter
from pipeline.interfaces import Outbox
from pipeline.records import Checkpoint, Place


class TopicStateStore:
    """Fulfils `pipeline.interfaces.StateStore` by a compacted topic.

    Args:
        outbox: the service's.
        consumer: makes a kafka-python consumer without a group, that reads committed messages.

    Attributes:
        slots: what lies on the topic.
    """

    def __init__(self, outbox: Outbox, topic: str, group: str, consumer: Callable[[], Any]) -> None:
        self.slots = TopicSlots(outbox, topic, group, consumer)
        self._readers: dict[Place, TopicReader] = {}

    def writer(self, place: Place, offset: int, state: Checkpoint) -> TopicWriter:
        """See `pipeline.interfaces.StateStore`."""
        return TopicWriter(self.slots, place, self.slots.next_slot(place), cut(offset, state))

    def reader(self, place: Place, at_most: int, note: str) -> TopicReader:
        """See `pipeline.interfaces.StateStore`."""
        self._release(place)
        self._readers[place] = TopicReader(self.slots, place, at_most, note, lambda: self._release(place))
        return self._readers[place]

    def forget(self, place: Place) -> None:
        """See `pipeline.interfaces.StateStore`."""
        self._release(place)
        self.slots.forget(place)

    def close(self) -> None:
        """See `pipeline.interfaces.StateStore`."""
        for place in list(self._readers):
            self._release(place)

    def _release(self, place: Place) -> None:
        """Let go of a partition's reader, done or not."""
        reader = self._readers.pop(place, None)
        if reader is not None:
            reader.close()
