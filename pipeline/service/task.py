"""One partition in the service: its engine, its messages that wait, and how far it has come."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import msgspec

from pipeline.engine import EngineState, Outcome
from pipeline.interfaces import Message, SnapshotReader, SnapshotWriter
from pipeline.records import Checkpoint, Place, Position
from pipeline.service.plan import Chunk, Decoder, Work
from pipeline.suppression import Marked, Marker


class Status(Enum):
    """What a partition is at."""

    ASSIGNED = "assigned"
    """Nothing is known yet of what was committed."""
    RESTORING = "restoring"
    """Its snapshot is being read."""
    CATCHING_UP = "catching_up"
    """What came between the snapshot and the committed offset is being done again, without output."""
    SWAPPING = "swapping"
    """The state has gone over to another configuration or bundle, and waits for a snapshot that says so."""
    LIVE = "live"


PROCESSING = frozenset({Status.LIVE, Status.CATCHING_UP})
"""Those in which messages are taken."""


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is committed with an offset.

    Attributes:
        begin: offset at which fresh lanes began; None once a snapshot is complete.
        bundle: id of the bundle that they began with.
        snapshot: the writer's note of the newest complete snapshot.
        past: what fresh lanes began with; of the identity of what they are processed with.
    """

    begin: int | None = None
    bundle: str = ""
    snapshot: str = ""
    past: str = ""

    def text(self) -> str:
        """As committed."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def read(cls, text: str) -> "Note":
        """What was committed; anything else that may stand there says nothing."""
        try:
            return msgspec.json.decode(text, type=cls)
        except msgspec.MsgspecError:
            return cls()


@dataclass(slots=True, eq=False)
class Task:
    """A partition held by this member.

    Attributes:
        status: what it is at.
        work: its engine; None before it is restored.
        offset: of the next record to take.
        target: offset behind which outputs are new; those before were committed earlier.
        committed: what the group has committed, as far as this member knows; None for nothing.
        note: what goes with the next commit.
        taken: records decoded since the state began; the engine's own count must agree.
        counts: of the engine behind the last batch, while it may be at the next; see `Counts.to_dict`.
        reader, writer: of the snapshot being read, or written.
        writer_offset: of the snapshot being written.
        snapshot_offset: of the newest complete snapshot.
        retry_s: monotonic time before which nothing is tried again.
        marker: marks events by feedback; None where none is known of.
    """

    place: Place
    status: Status = Status.ASSIGNED
    work: Work | None = None
    decoder: Decoder | None = None
    offset: int = 0
    target: int = 0
    committed: Position | None = None
    note: Note = field(default_factory=Note)
    taken: int = 0
    counts: dict[str, Any] = field(default_factory=dict)
    end: int = 0
    reader: SnapshotReader | None = None
    writer: SnapshotWriter | None = None
    writer_offset: int = -1
    snapshot_offset: int = -1
    snapshot_s: float = 0.0
    began_s: float = 0.0
    retry_s: float = 0.0
    waiting: deque[Chunk] = field(default_factory=deque)
    marker: Marker | None = None

    def take(self, messages: Sequence[Message], chunk_bytes: int, now_s: float) -> None:
        """Put messages that came at a monotonic time in line, in chunks that are done in one go.

        No chunk has messages on both sides of the target.
        """
        for chunk in _chunks(messages, chunk_bytes, self.target):
            self.waiting.append(Chunk(chunk, now_s))

    def begin(self, work: Work, unit: str | None) -> None:
        """Process with this from now on."""
        self.work = work
        self.decoder = work.make_decoder(unit)
        self.taken = work.engine.counts.consumed
        self.counts = work.engine.counts.to_dict()

    def load(self, work: Work, state: Checkpoint) -> None:
        """Process with this from now on, from a state."""
        meta = state.meta
        work.engine.load(EngineState(state.arrays, state.key_names, state.spilled, meta["clocks"]), meta["counts"])
        self.begin(work, meta["unit"])
        if self.marker is not None:
            self.marker.load(meta.get("suppression", {}))

    def save(self) -> Checkpoint:
        """The state, to go on from at `offset`.

        Raises:
            RuntimeError: before `begin` or `load`.
        """
        if self.work is None or self.decoder is None:
            raise RuntimeError(f"found no engine for {self.place}; expected one before a snapshot")
        state = self.work.engine.save()
        meta: dict[str, Any] = {
            "position": self.offset,
            "clocks": state.clocks,
            "counts": self.work.engine.counts.to_dict(),
            "unit": self.decoder.unit,
            "settings": dict(self.work.settings),
        }
        if self.marker is not None and (held := self.marker.save()):
            meta["suppression"] = held
        return Checkpoint(self.work.identity, meta, state.arrays, state.keys, state.spilled)

    def advance(self, records: int, offset: int) -> Work:
        """What did so many records, up to before an offset; the engine is at rest.

        Raises:
            RuntimeError: before `begin` or `load`.
        """
        if self.work is None:
            raise RuntimeError(f"found no engine for {self.place}; expected the one that a batch was given to")
        self.taken += records
        self.offset = offset
        self.counts = self.work.engine.counts.to_dict()
        return self.work

    def mark(self, outcome: Outcome, work: Work) -> Marked:
        """What came of the newest batch, its events marked; asked of every batch, those done again too."""
        return Marked(outcome) if self.marker is None else self.marker.mark(outcome, work.engine.origin)

    def forget_events(self) -> None:
        """Begin with lanes of which nothing is known."""
        if self.marker is not None:
            self.marker.begin()

    def forget_work(self) -> None:
        """Be as newly assigned."""
        self.forget_events()
        self.status = Status.ASSIGNED
        self.work = self.decoder = self.reader = self.writer = None
        self.writer_offset = self.snapshot_offset = -1
        self.note = Note()
        self.waiting.clear()

    @property
    def is_due(self) -> bool:
        """Whether there is something to commit."""
        return self.status in {Status.LIVE, Status.SWAPPING, Status.CATCHING_UP} and self.position != self.committed

    @property
    def position(self) -> Position:
        """To commit; never behind what is committed."""
        return Position(max(self.offset, self.target), self.note.text())

    def require_balance(self) -> None:
        """Stop at a record that nothing accounts for: that is a fault in the program.

        Raises:
            RuntimeError: the engine has not consumed what was decoded, or does not know what became of it.
        """
        if self.work is None:
            return
        consumed = self.counts["consumed"]
        unaccounted = consumed - sum(self.counts["records"].values())
        if unaccounted or consumed != self.taken:
            raise RuntimeError(
                f"{self.place.topic}/{self.place.partition}: found {consumed} records consumed, of which "
                f"{unaccounted} are unaccounted for; expected {self.taken} and none"
            )


def _chunks(messages: Sequence[Message], chunk_bytes: int, target: int) -> Iterator[Sequence[Message]]:
    if not messages:
        return
    sizes = [len(message.value or b"") for message in messages]
    crosses = messages[0].offset < target <= messages[-1].offset
    if sum(sizes) <= chunk_bytes and not crosses:
        yield messages
        return
    start = size = 0
    for at, (message, length) in enumerate(zip(messages, sizes, strict=True)):
        behind = at > start and messages[at - 1].offset < target <= message.offset
        if at > start and (size + length > chunk_bytes or behind):
            yield messages[start:at]
            start, size = at, 0
        size += length
    yield messages[start:]
