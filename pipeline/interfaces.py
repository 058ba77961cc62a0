"""What the engine and the replay loop need of the world, as protocols that adapters fulfil."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from pipeline.records import Anomaly, Batch, Checkpoint, VerdictTable


class Spill(Protocol):
    """Where the rows of evicted keys wait until the key returns."""

    def put_many(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Keep the rows of each key."""

    def take_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Rows of those of the keys that are kept; they are kept no longer."""

    def items(self) -> Iterable[tuple[str, bytes]]:
        """All keys kept, with their rows."""


class Partition(Protocol):
    """A stretch of recorded stream that is read in order, such as a file."""

    @property
    def name(self) -> str:
        """What tells it from the others of the run."""

    @property
    def path(self) -> Path:
        """Where a user finds it."""

    def batches(self, batch_size: int, *, after_row: int = 0) -> Iterator[Batch]:
        """Its records behind a position, in micro-batches of a size; only the last may be smaller."""


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
