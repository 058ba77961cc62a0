"""Several observers that are told as one."""

from collections.abc import Collection, Mapping

from pipeline.engine import Outcome, PartitionEngine
from pipeline.records import Place, RunIdentity
from pipeline.service.plan import Chunk, Observer, Standing
from pipeline.suppression import Marked


class Observers:
    """Fulfils `pipeline.service.plan.Observer` by telling others, in their order."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def beat(self) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.beat()

    def at_rest(self) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.at_rest()

    def set_status(self, status: Mapping[Place, str]) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.set_status(status)

    def fetched(self, messages: int) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.fetched(messages)

    def decoded(self, messages: int) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.decoded(messages)

    def scored(self, messages: int) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.scored(messages)

    def in_hand(self, *, decoding: int, scoring: int, aborted: int) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.in_hand(decoding=decoding, scoring=scoring, aborted=aborted)

    def processed(
        self,
        place: Place,
        engine: PartitionEngine,
        outcome: Outcome,
        chunk: Chunk,
        *,
        decode_s: float,
        scoring_s: float,
    ) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.processed(place, engine, outcome, chunk, decode_s=decode_s, scoring_s=scoring_s)

    def suppressed(self, place: Place, marked: Marked) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.suppressed(place, marked)

    def dead_lettered(self, reasons: Mapping[str, int]) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.dead_lettered(reasons)

    def committed(self, seconds: float) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.committed(seconds)

    def stands(self, standing: Mapping[Place, Standing]) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.stands(standing)

    def commit_failed(self) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.commit_failed()

    def rebalanced(self, kind: str, places: Collection[Place]) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.rebalanced(kind, places)

    def restored(self, place: Place, seconds: float, snapshot_offset: int) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.restored(place, seconds, snapshot_offset)

    def swapped(self, place: Place, before: RunIdentity, now: RunIdentity) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.swapped(place, before, now)

    def snapshot_taken(self, place: Place, offset: int, seconds: float) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.snapshot_taken(place, offset, seconds)

    def lost(self, place: Place, records: int) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.lost(place, records)

    def stalled(self, places: Collection[Place]) -> None:
        """See `Observer`."""
        for one in self._observers:
            one.stalled(places)
