"""What happens in the service, told to the live page."""

from collections.abc import Collection, Mapping

from pipeline.adapters.live.view import LiveView
from pipeline.engine import Outcome, PartitionEngine
from pipeline.records import Place, RunIdentity
from pipeline.service.plan import Chunk, Standing
from pipeline.suppression import Marked


class LiveObserver:
    """Fulfils `pipeline.service.plan.Observer`."""

    def __init__(self, view: LiveView) -> None:
        self._view = view

    def beat(self) -> None:
        """See `Observer`."""

    def at_rest(self) -> None:
        """See `Observer`."""
        self._view.at_rest()

    def set_status(self, status: Mapping[Place, str]) -> None:
        """See `Observer`."""
        self._view.set_status(status)

    def fetched(self, messages: int) -> None:
        """See `Observer`."""

    def decoded(self, messages: int) -> None:
        """See `Observer`."""

    def scored(self, messages: int) -> None:
        """See `Observer`."""

    def in_hand(self, *, decoding: int, scoring: int, aborted: int) -> None:
        """See `Observer`."""

    def processed(
        self,
        place: Place,
        engine: PartitionEngine,
        outcome: Outcome,
        chunk: Chunk,  # noqa: ARG002  the protocol's signature
        *,
        decode_s: float,  # noqa: ARG002  as above
        scoring_s: float,  # noqa: ARG002  as above
    ) -> None:
        """See `Observer`."""
        self._view.processed(place, engine, outcome)

    def suppressed(self, place: Place, marked: Marked) -> None:
        """See `Observer`; events that are written come with `processed`, marked."""

    def dead_lettered(self, reasons: Mapping[str, int]) -> None:
        """See `Observer`."""

    def committed(self, seconds: float) -> None:  # noqa: ARG002  as above
        """See `Observer`."""
        self._view.committed()

    def stands(self, standing: Mapping[Place, Standing]) -> None:
        """See `Observer`."""
        self._view.stands({place: (one.offset, one.end) for place, one in standing.items()})

    def commit_failed(self) -> None:
        """See `Observer`."""
        self._view.dropped()

    def rebalanced(self, kind: str, places: Collection[Place]) -> None:
        """See `Observer`; what members lose is done again with all that they had not committed."""
        if kind == "lost":
            self._view.dropped()
        if kind != "assigned":
            self._view.gone(places)

    def restored(self, place: Place, seconds: float, snapshot_offset: int) -> None:  # noqa: ARG002  as above
        """See `Observer`."""
        self._view.snapshot_taken(place, snapshot_offset)

    def swapped(self, place: Place, before: RunIdentity, now: RunIdentity) -> None:
        """See `Observer`."""

    def snapshot_taken(self, place: Place, offset: int, seconds: float) -> None:  # noqa: ARG002  as above
        """See `Observer`."""
        self._view.snapshot_taken(place, offset)

    def lost(self, place: Place, records: int) -> None:
        """See `Observer`."""

    def stalled(self, places: Collection[Place]) -> None:
        """See `Observer`."""
