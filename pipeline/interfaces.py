"""What the engine, the replay loop and the service need of the world, as protocols that adapters fulfil."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from pipeline.codec.formats import RawMessage
from pipeline.labelled import LabelledStream
from pipeline.records import Anomaly, Batch, Checkpoint, Place, Position, VerdictTable

Headers = Sequence[tuple[str, bytes]]


class Spill(Protocol):
    """Where the rows of evicted keys wait until the key returns."""

    def put_many(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Keep the rows of each key; `KeyedRows` may be held on to instead of copied."""

    def take_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Rows of those of the keys that are kept; they are kept no longer."""

    def items(self) -> Iterable[tuple[str, bytes]]:
        """All keys kept at this moment, in order, with their rows.

        They stay so, whatever is put and taken meanwhile, and can be read until the next call.
        """


class Partition(Protocol):
    """A stretch of recorded stream that is read in order, such as a file."""

    @property
    def name(self) -> str:
        """What tells it from the others of the run."""

    @property
    def path(self) -> Path:
        """Where a user finds it."""

    def batches(self, batch_size: int, *, after_row: int = 0) -> Iterator[Batch]:
        """Its records behind a position, in micro-batches of at most a size."""


class LabelledSource(Protocol):
    """A labelled stream that is read where and when it is needed; goes to other processes."""

    @property
    def name(self) -> str:
        """What tells it from the others."""

    @property
    def points(self) -> int:
        """About how many points it has, rows times fields."""

    def read(self) -> LabelledStream:
        """The whole of it.

        Raises:
            InputError: it cannot be read.
        """


class Outputs(Protocol):
    """Where verdicts and anomalies go, together with the state that they belong to."""

    def add(self, tables: Iterable[VerdictTable], anomalies: Iterable[Anomaly]) -> None:
        """Take what came of a micro-batch."""

    def checkpoint(self, state: Checkpoint) -> None:
        """Make what was added, and the state behind it, what a resumed run goes on from."""

    def suspend(self, state: Checkpoint) -> None:
        """Make a checkpoint, and outputs that are valid and hold everything so far."""

    def publish(self) -> None:
        """Make outputs that are valid and hold everything so far."""


class Message(RawMessage, Protocol):
    """A record of a topic as the client gives it; kafka-python's own records are such."""

    @property
    def headers(self) -> Headers:
        """Its headers."""


class Membership(Protocol):
    """Who is told, within `Feed.poll` or `Feed.close`, which partitions are this member's to process.

    None of its methods may call the feed, but for `pause`.
    """

    def on_assigned(self, places: Collection[Place]) -> None:
        """These are this member's from now on."""

    def on_revoked(self, places: Collection[Place]) -> None:
        """These go to another member once this returns; their outputs can still be committed."""

    def on_lost(self, places: Collection[Place]) -> None:
        """These are another member's already; nothing of theirs may be committed any more."""


class Feed(Protocol):
    """Membership in a consumer group. Errors of the client come as `FeedError`."""

    def subscribe(self, membership: Membership) -> None:
        """Join the group; the partitions come with later calls of `poll`."""

    def poll(self, timeout_s: float, max_messages: int) -> Mapping[Place, Sequence[Message]]:
        """Messages behind the position of each partition that is not paused, committed ones only, in order.

        Raises:
            ExpiredError: the position of a partition is no longer in the log.
        """

    def committed(self, place: Place) -> Position | None:
        """What the group has committed, waiting for a transaction under way; None for nothing."""

    def bounds(self, places: Collection[Place]) -> dict[Place, tuple[int, int]]:
        """(offset of the oldest record, offset that the next committed record will have) of each."""

    def seek(self, place: Place, offset: int) -> None:
        """Go on with this offset."""

    def position(self, place: Place) -> int:
        """Offset that is read next; beyond the last message where what follows it is no message."""

    def pause(self, places: Collection[Place]) -> None:
        """Give no messages of these; those given already count as given."""

    def resume(self, places: Collection[Place]) -> None:
        """Give messages of these again."""

    def close(self) -> None:
        """Leave the group."""


class Receipt(Protocol):
    """Tells where a message sent has come to lie."""

    def offset(self) -> int:
        """Its offset; known once the transaction is committed."""


class Outbox(Protocol):
    """Messages and positions that become visible together, or not at all. One thread uses it.

    A transaction begins with the first `send` behind a commit or an abort.
    """

    def send(
        self, topic: str, partition: int, *, key: bytes | None, value: bytes | None, headers: Headers = ()
    ) -> Receipt:
        """Add a message; `partition` is taken modulo the topic's number of partitions.

        Raises:
            TooLongError: the topic does not take one as long as this; the transaction is as it was.
            TransactionError: as for `commit`.
        """

    def commit(self, positions: Mapping[Place, Position]) -> None:
        """Make what was sent and these positions of the group visible, whole, or raise.

        Raises:
            TransactionError: none of it is visible, or what is will be found by `Feed.committed`; everything behind
                the last commit has to be done again from there.
            FencedError: a `TransactionError`; another process goes by the name of this one, which has to end.
        """

    def abort(self) -> None:
        """Drop what was sent behind the last commit; does not raise `TransactionError`."""

    @property
    def aborted(self) -> int:
        """Transactions so far that were begun and dropped."""

    def close(self) -> None:
        """Abort, and let go of the connection."""


class SnapshotWriter(Protocol):
    """Writes one snapshot bit by bit, so that polls can go on in between."""

    def write(self, max_bytes: int) -> bool:
        """Write about so many bytes more, pages first, the mark of completeness last; True when that is written.

        Called between commits: what it sends goes with the next one.
        """

    def note(self) -> str:
        """Where the snapshot is, for `StateStore.reader`; known once what was written is committed."""


class SnapshotReader(Protocol):
    """Finds and reads the newest usable snapshot bit by bit."""

    def read(self, budget_s: float) -> bool:
        """Read on for about so long; True when done."""

    def found(self) -> tuple[Checkpoint, int] | None:
        """The newest complete and undamaged snapshot that is not ahead, and its offset; None when there is none."""

    def damages(self) -> Sequence[str]:
        """A line for each snapshot that was passed over because it is damaged; not for incomplete ones."""


class StateStore(Protocol):
    """Where snapshots of partitions are kept."""

    def writer(self, place: Place, offset: int, state: Checkpoint) -> SnapshotWriter:
        """Begins to write the state that a partition had before the record at `offset`."""

    def reader(self, place: Place, at_most: int, note: str) -> SnapshotReader:
        """Begins to look for the newest snapshot at or before an offset.

        Args:
            note: of the snapshot's writer, or '' when it is not known; a hint that need not be true.
        """

    def forget(self, place: Place) -> None:
        """Drop what is known of a partition that is another member's now, writers included."""

    def close(self) -> None:
        """Let go of connections."""
