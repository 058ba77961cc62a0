"""What the service is told, and whom it tells: plain values and protocols."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from pipeline.engine import Outcome, PartitionEngine
from pipeline.interfaces import Message
from pipeline.records import Batch, Checkpoint, Place, RunIdentity
from pipeline.suppression import Marked


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """How the service goes about it; none of this alters a verdict, and all of it may change while it runs.

    Attributes:
        micro_batch: messages taken at a time, at most.
        commit_interval_s: time between commits.
        snapshot_interval_s: time between the snapshots of a partition.
        shutdown_timeout_s: most time for the last snapshots.
        stall_timeout_s: time of growing lag without progress after which the service ends.
        start: where a partition without a committed offset is begun.
        on_expired: what to do when records were deleted before they were read.
        on_missing: what to do when the state behind the committed offset is gone.
        chunk_bytes: values decoded at a time, at most, unless a single message is longer.
        snapshot_bytes: written of snapshots with each commit.
        revoke_timeout_s: most time for snapshots of partitions that go to another member.
    """

    micro_batch: int = 5_000
    commit_interval_s: float = 1.0
    snapshot_interval_s: float = 60.0
    shutdown_timeout_s: float = 30.0
    stall_timeout_s: float = 120.0
    start: Literal["earliest", "latest"] = "earliest"
    on_expired: Literal["stop", "continue"] = "stop"
    on_missing: Literal["stop", "fresh"] = "stop"
    chunk_bytes: int = 2**20
    snapshot_bytes: int = 2**24
    revoke_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Topics:
    """Where outputs go; no verdicts are written without a topic for them."""

    anomalies: str
    dead_letters: str
    verdicts: str | None = None


class Decoder(Protocol):
    """Makes batches of messages."""

    def decode(self, messages: Sequence[Message]) -> Batch:
        """The records in them, at least one for each."""

    @property
    def unit(self) -> str | None:
        """How event times are written, once that is known; part of the state."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a partition is processed with.

    Attributes:
        identity: of the configuration and bundle that made it.
        settings: what of the configuration alters verdicts, as JSON can hold it; kept in snapshots.
        make_decoder: a decoder, given the unit of time of the state that it goes with.
    """

    engine: PartitionEngine
    identity: RunIdentity
    settings: Mapping[str, Any]
    points_per_message: int
    make_decoder: Callable[[str | None], Decoder]


class Workshop(Protocol):
    """Makes what partitions are processed with."""

    def renew(self) -> None:
        """Take a newer bundle if there is one; asked once a round, and answers at once."""

    def identity(self, place: Place) -> RunIdentity:
        """What `make` gives an engine of."""

    def make(self, place: Place) -> Work:
        """A fresh one, as configured now."""

    def make_under(self, place: Place, bundle: str) -> Work | None:
        """A fresh one as configured now, but with the bundle of this id; None when that is not to be had any more."""

    def make_for(self, place: Place, state: Checkpoint, *, redo: bool) -> Work | None:
        """A fresh one like the one that the state is of; None when it cannot be made any more.

        Args:
            redo: whether records are to be processed with it, before its state goes over to what is configured now.
        """

    def carry(self, place: Place, old: Work) -> Work | None:
        """One as configured now that goes on from another's state; None when that does not fit."""

    def release(self, place: Place) -> None:
        """Let go of what was made for a partition."""


class Standing(NamedTuple):
    """How a partition stands behind its newest commit.

    Attributes:
        offset: of the next record to take.
        end: offset that the next record will have, as far as known.
        counts: see `Counts.to_dict`.
    """

    offset: int
    end: int
    counts: dict[str, Any]


class Chunk(NamedTuple):
    """Messages that are decoded and scored in one go.

    Attributes:
        fetched_s: monotonic time at which they came.
    """

    messages: Sequence[Message]
    fetched_s: float


class Observer(Protocol):
    """Is told what happens, for metrics and health."""

    def beat(self) -> None:
        """The loop went round."""

    def at_rest(self) -> None:
        """No engine is being worked in; told once a round and behind every chunk, and to be answered at once."""

    def set_status(self, status: Mapping[Place, str]) -> None:
        """Partitions held, each 'restoring', 'catching_up' or 'live'."""

    def fetched(self, messages: int) -> None:
        """Messages came in."""

    def decoded(self, messages: int) -> None:
        """Messages were decoded, and given to an engine; those done again included, as for `scored`."""

    def scored(self, messages: int) -> None:
        """An engine is done with messages."""

    def in_hand(self, *, decoding: int, scoring: int, aborted: int) -> None:
        """Messages that wait to be decoded and that an engine has, transactions dropped so far; told once a round."""

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
        """A chunk was processed for the first time, and is committed next; not told of what is done again."""

    def suppressed(self, place: Place, marked: Marked) -> None:
        """Of events in what was processed nobody need be told, or episodes have outlasted what suppressed them."""

    def dead_lettered(self, reasons: Mapping[str, int]) -> None:
        """Messages went to the dead letters, by reason."""

    def committed(self, seconds: float) -> None:
        """A commit was made."""

    def stands(self, standing: Mapping[Place, Standing]) -> None:
        """How the partitions stand that are live; told behind commits, and when one becomes live."""

    def commit_failed(self) -> None:
        """A commit failed, and what came since the one before is done again."""

    def rebalanced(self, kind: str, places: Collection[Place]) -> None:
        """Partitions were 'assigned', 'revoked' or 'lost'."""

    def restored(self, place: Place, seconds: float, snapshot_offset: int) -> None:
        """The state of a partition is back, by the snapshot at an offset; -1 for none."""

    def swapped(self, place: Place, before: RunIdentity, now: RunIdentity) -> None:
        """The state of a partition has gone over to another configuration or bundle."""

    def snapshot_taken(self, place: Place, offset: int, seconds: float) -> None:
        """A snapshot is complete and committed, so many seconds after it began."""

    def lost(self, place: Place, records: int) -> None:
        """Records were deleted before they were read."""

    def stalled(self, places: Collection[Place]) -> None:
        """Partitions whose lag grows while their position stands still."""


class Log(Protocol):
    """Events with fields; structlog's loggers are such."""

    def info(self, event: str, **fields: Any) -> Any:
        """As expected."""

    def warning(self, event: str, **fields: Any) -> Any:
        """To look at."""

    def error(self, event: str, **fields: Any) -> Any:
        """To act on."""
