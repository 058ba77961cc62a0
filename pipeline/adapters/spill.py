"""Where the rows of evicted keys wait until the key returns: a temporary SQLite file, an extension of memory."""

import sqlite3
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.errors import UserError
from pipeline.records import KeyedRows

_PARAMETERS = 500
"""Keys asked for at a time; SQLite takes at least 999 parameters."""
_FEW = 128
"""Keys given at a time by `KeyedRows.behind`."""
_DRAWN = 512
"""Keys drawn over with a call, at least; some milliseconds."""
_TABLES = """
CREATE TABLE evicted (key TEXT PRIMARY KEY, rows BLOB NOT NULL);
CREATE TABLE before (key TEXT PRIMARY KEY, rows BLOB);
CREATE TABLE gone (key TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_BEHIND = """
SELECT key, rows FROM (
    SELECT key, rows FROM evicted WHERE key {0} ?1 AND key NOT IN (SELECT key FROM before)
    UNION ALL
    SELECT key, rows FROM before WHERE key {0} ?1 AND rows IS NOT NULL
) ORDER BY key LIMIT ?2
"""


class SqliteSpill:
    """Rows of evicted keys by key; fulfils `pipeline.interfaces.Spill`.

    The file outlives neither the process nor a kill: its name is removed as soon as it is open. What has to survive
    goes into a checkpoint by `items`.

    However many keys there are, no call takes long: `items` copies nothing, but keeps what is changed behind it as it
    was `before`; and an empty spill that is given `KeyedRows` holds on to them as its base, and draws a few of them
    over with each call. Which of these are `gone`, that is put or taken since, is written down.

    Args:
        directory: where the file lies; it needs room for all that is evicted.

    Raises:
        UserError: the directory cannot be written; so does every method when it is full.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._base: KeyedRows | None = None
        self._drawn: str | None = None  # the last key of the base that has been drawn over
        self._frozen: weakref.ref[_Frozen] | None = None
        with self._told_as_user_error():
            with tempfile.NamedTemporaryFile(dir=directory, prefix=".spill-") as file:
                # A rebalance is told on a thread of the client, while the service's own waits for it.
                self._rows = sqlite3.connect(file.name, isolation_level=None, check_same_thread=False)
                # Opened by the first read, and kept open by the lock, before its name goes.
                self._rows.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._rows.execute("PRAGMA journal_mode = OFF")
                self._rows.execute("PRAGMA synchronous = OFF")
                self._rows.executescript(_TABLES)
            # One transaction without end: nothing is ever rolled back, and pages are written when memory runs short.
            self._rows.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def put_many(self, rows: Iterable[tuple[str, bytes]]) -> None:
        """Keep the rows of each key, in place of any kept before."""
        with self._told_as_user_error():
            if isinstance(rows, KeyedRows) and self._is_empty():
                self._base, self._drawn = rows, None
                return
            given = iter(rows)
            while some := list(islice(given, _PARAMETERS)):
                self._put(some)
            self._draw()

    def take_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Rows of those of the keys that are kept; they are kept no longer."""
        taken: dict[str, bytes] = {}
        with self._told_as_user_error():
            for start in range(0, len(keys), _PARAMETERS):
                found = self._find(keys[start : start + _PARAMETERS])
                if not found:
                    continue
                if self._is_frozen():
                    self._remember(found.items())
                self._rows.execute(f"DELETE FROM evicted WHERE key IN {_places(found)}", list(found))  # noqa: S608  only question marks
                self._note_gone(found)
                taken.update(found)
            self._draw()
        return taken

    def items(self) -> KeyedRows:
        """All keys kept at this moment, with their rows; can be read until the next call, whatever comes between."""
        with self._told_as_user_error():
            self._rows.execute("DELETE FROM before")
        frozen = _Frozen(self)
        self._frozen = weakref.ref(frozen)
        return frozen

    def close(self) -> None:
        """Drop everything."""
        self._base = None
        self._rows.close()

    def behind(self, frozen: "_Frozen", key: str | None) -> list[tuple[str, bytes]]:
        """See `KeyedRows.behind`; of what was kept when `items` gave this."""
        self._require(frozen)
        with self._told_as_user_error():
            while True:
                rows = self._rows.execute(_BEHIND.format(">=" if key is None else ">"), (key or "", _FEW)).fetchall()
                ends = [rows[-1][0]] if len(rows) == _FEW else []
                if self._base is not None:
                    # what has been drawn over is among the others
                    start = self._drawn if key is None or self._drawn is None else max(key, self._drawn)
                    few = self._base.behind(key if start is None else start)
                    if few:
                        ends.append(few[-1][0])
                        rows = sorted(rows + self._unchanged(few))
                if not ends:
                    return rows
                key = min(ends)  # up to there nothing is missing
                if found := [row for row in rows if row[0] <= key]:
                    return found

    def find(self, frozen: "_Frozen", keys: Sequence[str]) -> dict[str, bytes]:
        """See `KeyedRows.find`; of what was kept when `items` gave this."""
        self._require(frozen)
        found: dict[str, bytes] = {}
        with self._told_as_user_error():
            for start in range(0, len(keys), _PARAMETERS):
                some = keys[start : start + _PARAMETERS]
                before = dict(self._select("key, rows FROM before", some))
                found |= self._find([key for key in some if key not in before])
                found |= {key: rows for key, rows in before.items() if rows is not None}
        return found

    def _require(self, frozen: "_Frozen") -> None:
        if self._frozen is None or self._frozen() is not frozen:
            raise RuntimeError("found evicted keys asked for again behind a newer snapshot; expected the newest only")

    def _is_frozen(self) -> bool:
        """Whether what is changed has to be kept as it was."""
        if self._frozen is not None and self._frozen() is None:
            self._frozen = None
            self._rows.execute("DELETE FROM before")
        return self._frozen is not None

    def _is_empty(self) -> bool:
        return self._base is None and not self._rows.execute("SELECT 1 FROM evicted LIMIT 1").fetchall()

    def _put(self, rows: Sequence[tuple[str, bytes]]) -> None:
        keys = [key for key, _ in rows]
        if self._is_frozen():
            kept = self._find(keys)
            self._remember((key, kept.get(key)) for key in keys)
        self._note_gone(keys)
        self._rows.executemany("INSERT OR REPLACE INTO evicted VALUES (?, ?)", rows)

    def _remember(self, rows: Iterable[tuple[str, bytes | None]]) -> None:
        """Keep what is there before its first change."""
        self._rows.executemany("INSERT OR IGNORE INTO before VALUES (?, ?)", rows)

    def _find(self, keys: Sequence[str]) -> dict[str, bytes]:
        found = dict(self._select("key, rows FROM evicted", keys))
        if self._base is not None:
            ahead = [key for key in keys if key not in found and (self._drawn is None or key > self._drawn)]
            gone = {key for (key,) in self._select("key FROM gone", ahead)}
            found |= self._base.find([key for key in ahead if key not in gone])
        return found

    def _note_gone(self, keys: Iterable[str]) -> None:
        if self._base is not None:
            self._rows.executemany("INSERT OR IGNORE INTO gone VALUES (?)", ((key,) for key in keys))

    def _unchanged(self, rows: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        """Those rows of the base that are neither gone nor kept as they were before."""
        keys = [key for key, _ in rows]
        changed = {key for name in ("gone", "before") for (key,) in self._select(f"key FROM {name}", keys)}
        return [row for row in rows if row[0] not in changed]

    def _draw(self) -> None:
        """Draw a few keys of the base over."""
        drawn = 0
        while self._base is not None and drawn < _DRAWN:
            few = self._base.behind(self._drawn)
            if not few:
                self._base = None
                self._rows.execute("DELETE FROM gone")
                return
            gone = {key for (key,) in self._select("key FROM gone", [key for key, _ in few])}
            self._rows.executemany("INSERT INTO evicted VALUES (?, ?)", (row for row in few if row[0] not in gone))
            self._drawn = few[-1][0]
            self._rows.execute("DELETE FROM gone WHERE key <= ?", (self._drawn,))
            drawn += len(few)

    def _select(self, what: str, keys: Sequence[str]) -> list[Any]:
        return self._rows.execute(f"SELECT {what} WHERE key IN {_places(keys)}", list(keys)).fetchall()

    @contextmanager
    def _told_as_user_error(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as exc:
            raise UserError(
                f"{self._directory}: found no room for the state of evicted keys ({exc}); "
                "expected a writable directory with room: see to that, choose another or raise the budget for state"
            ) from exc


class _Frozen(KeyedRows):
    """What a spill kept at a moment."""

    def __init__(self, spill: SqliteSpill) -> None:
        self._spill = spill

    def behind(self, key: str | None) -> list[tuple[str, bytes]]:
        """See `KeyedRows`."""
        return self._spill.behind(self, key)

    def find(self, keys: Sequence[str]) -> dict[str, bytes]:
        """See `KeyedRows`."""
        return self._spill.find(self, keys)


def _places(keys: Iterable[str]) -> str:
    return f"({', '.join('?' for _ in keys)})"
