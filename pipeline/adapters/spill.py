"""Where the rows of evicted keys wait until the key returns: a temporary SQLite file, an extension of memory."""

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.errors import UserError

_PARAMETERS = 500
"""Keys asked for at a time; SQLite takes at least 999 parameters."""


class SqliteSpill:
    """Rows of evicted keys by key; fulfils `pipeline.interfaces.Spill`.

    The file outlives neither the process nor a kill: its name is removed as soon as it is open. What has to survive
    goes into a checkpoint by `items`.

    Args:
        directory: where the file lies; it needs room for all that is evicted.

    Raises:
        UserError: the directory cannot be written; so does every method when it is full.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with self._told_as_user_error():
            with tempfile.NamedTemporaryFile(dir=directory, prefix=".spill-") as file:
                # A rebalance is told on a thread of the client, while the service's own waits for it.
                self._rows = sqlite3.connect(file.name, isolation_level=None, check_same_thread=False)
                # Opened by the first read, and kept open by the lock, before its name goes.
                self._rows.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._rows.execute("PRAGMA journal_mode = OFF")
                self._rows.execute("PRAGMA synchronous = OFF")
                self._rows.execute("CREATE TABLE evicted (key TEXT PRIMARY KEY, rows BLOB NOT NULL)")
            # One transaction without end: nothing is ever rolled back, and pages are written when memory runs short.
            self._rows.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        with self._told_as_user_error():
            (count,) = self._rows.execute("SELECT count(*) FROM evicted").fetchone()
        return int(count)

    def put_many(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Keep the rows of each key, in place of any kept before."""
        with self._told_as_user_error():
            self._rows.executemany("INSERT OR REPLACE INTO evicted VALUES (?, ?)", rows)

    def take_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Rows of those of the keys that are kept; they are kept no longer."""
        taken: dict[str, bytes] = {}
        with self._told_as_user_error():
            for start in range(0, len(keys), _PARAMETERS):
                asked = keys[start : start + _PARAMETERS]
                which = f"FROM evicted WHERE key IN ({', '.join('?' * len(asked))})"
                found = self._rows.execute(f"SELECT key, rows {which}", asked).fetchall()
                if found:
                    self._rows.execute(f"DELETE {which}", asked)
                    taken.update(found)
        return taken

    def items(self) -> Iterator[tuple[str, bytes]]:
        """All keys kept, in order, with their rows; nothing may be put or taken meanwhile."""
        with self._told_as_user_error():
            yield from self._rows.execute("SELECT key, rows FROM evicted ORDER BY key")

    def close(self) -> None:
        """Drop everything."""
        self._rows.close()

    @contextmanager
    def _told_as_user_error(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as exc:
            raise UserError(
                f"{self._directory}: found no room for the state of evicted keys ({exc}); "
                "expected a writable directory with room: see to that, choose another or raise the budget for state"
            ) from exc
