"""Which bundle scores which records of a replay."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipeline.engine import PartitionEngine
from pipeline.records import Batch


class Timeline(Protocol):
    """Bundles that score one after another, as a service has gone over from one to the next."""

    def make(self, partition: str, after: int) -> PartitionEngine:
        """A fresh engine for the partition of a name, of the bundle that scored the record at position `after`."""

    def next_swap(self, partition: str, after: int) -> int | None:
        """Position of the first record behind `after` that another bundle scores; None where there is none."""

    def swap(self, partition: str, position: int, engine: PartitionEngine) -> PartitionEngine:
        """An engine of the bundle that scores from a position on, which goes on where one is."""


@dataclass(frozen=True, slots=True)
class OneBundle:
    """A timeline without swaps."""

    make_engine: Callable[[str], PartitionEngine]

    def make(self, partition: str, after: int) -> PartitionEngine:  # noqa: ARG002  the protocol's signature
        """See `Timeline`."""
        return self.make_engine(partition)

    def next_swap(self, partition: str, after: int) -> int | None:  # noqa: ARG002  as above
        """See `Timeline`."""
        return None

    def swap(self, partition: str, position: int, engine: PartitionEngine) -> PartitionEngine:
        """See `Timeline`; never asked for."""
        raise NotImplementedError


def cut_at_swaps(batches: Iterable[Batch], timeline: Timeline, partition: str, after: int) -> Iterator[Batch]:
    """The batches, cut where bundles change."""
    swap_at = timeline.next_swap(partition, after)
    for batch in batches:
        start = 0
        while swap_at is not None and len(batch) and batch.position[-1] >= swap_at:
            cut = int(np.searchsorted(batch.position, swap_at))
            if cut > start:
                yield batch.slice(start, cut)
            start, swap_at = cut, timeline.next_swap(partition, swap_at)
        yield batch if start == 0 else batch.slice(start, len(batch))
