"""The row groups of a run on disk: a file for each full one, and the rows that do not fill one yet in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from pipeline.adapters.outputs.durable import sync
from pipeline.adapters.outputs.rows import RowBuffer, check_rows, read_rows, write_rows
from pipeline.errors import CheckpointError
from pipeline.records import VerdictTable


class RowGroups:
    """Rows of verdicts in the order in which they were added, cut into groups of one size.

    Args:
        directory: where the full groups are kept.
        size: rows of a full group.
        full: full groups already there; files of any behind them are written over.
        pending: rows that followed them; None for none.

    Attributes:
        full: number of full groups.

    Raises:
        CheckpointError: the file of a full group is not whole, or gone.
    """

    def __init__(self, directory: Path, size: int, full: int, pending: pa.RecordBatch | None) -> None:
        self.size = size
        self.full = full
        self._directory = directory
        self._pending = RowBuffer(size)
        self._unsynced: list[Path] = []
        for group in range(full):
            path = self._path(group)
            with _told_as_damage(path):
                check_rows(path)
        if pending is not None:
            self._pending.restore(pending)

    def add(self, table: VerdictTable) -> None:
        """Take all rows of a table."""
        start = 0
        while start < len(table):
            start += self._pending.add(table, start)
            if self._pending.rows == self.size:
                path = self._path(self.full)
                write_rows(path, self._pending.content())
                self._unsynced.append(path)
                self._pending.clear()
                self.full += 1

    def sync(self) -> None:
        """Make the full groups durable, but not their names in the directory."""
        for path in self._unsynced:
            sync(path)
        self._unsynced.clear()

    def pending(self) -> pa.RecordBatch:
        """The rows that fill no group, to be used before others are added."""
        return self._pending.content()

    def contents(self) -> Iterator[pa.RecordBatch]:
        """The rows of each group, the one that is not full last.

        Raises:
            CheckpointError: the file of a full group is damaged or gone.
        """
        for group in range(self.full):
            path = self._path(group)
            with _told_as_damage(path):
                rows = read_rows(path)
            yield rows
        yield self.pending()

    def _path(self, group: int) -> Path:
        return self._directory / f"group-{group:08}.arrow"


@contextmanager
def _told_as_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowInvalid) as exc:
        reason = str(exc).splitlines()[0]
        raise CheckpointError(
            f"{path}: found no whole row group ({reason}); expected one: start the replay afresh"
        ) from exc
