"""Verdicts of the newest micro-batches, kept as they came, and looked through when somebody asks for a key.

To keep a batch costs the loop a reference to its columns. One thread adds; others read what was there at a moment.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.records import Disposition, Place, VerdictTable

_SMALL = 1024
"""Rows below which blocks are put together: a slow stream comes a few points at a time."""
_NAME_BYTES = 64
"""That a key's name takes beside its letters."""
_COLUMNS = (
    "key", "field", "time_us", "position", "value", "expected", "lower", "upper", "score", "threshold", "severity",
    "phase", "disposition",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """Verdicts of a partition in the order in which they came; columns as in `VerdictTable`."""

    key_names: Sequence[str]
    field_names: tuple[str, ...]
    key: NDArray[np.int32]
    field: NDArray[np.int8]
    time_us: NDArray[np.int64]
    position: NDArray[np.int64]
    value: NDArray[np.float64]
    expected: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    score: NDArray[np.float32]
    threshold: NDArray[np.float32]
    severity: NDArray[np.int8]
    phase: NDArray[np.int8]
    disposition: NDArray[np.int8]

    @classmethod
    def of(cls, table: VerdictTable) -> "Block":
        """What is kept of a table."""
        return cls(table.key_names, table.field_names, *(getattr(table, name) for name in _COLUMNS))

    def __len__(self) -> int:
        return len(self.time_us)

    @property
    def nbytes(self) -> int:
        """About what it takes."""
        names = len(self.key_names) * (_NAME_BYTES + len(self.key_names[0]) if self.key_names else 0)
        columns: list[NDArray[np.generic]] = [getattr(self, name) for name in _COLUMNS]
        return names + sum(column.nbytes for column in columns)

    def rows(self, key: str, field: str) -> NDArray[np.int64]:
        """Rows of the points of a lane that reached it."""
        if field not in self.field_names:
            return np.zeros(0, np.int64)
        codes = [code for code, name in enumerate(self.key_names) if name == key] if key in self.key_names else []
        found = np.zeros(len(self), np.bool_)
        for code in codes:  # of windows by event time a key may have two
            found |= self.key == code
        wanted = found & (self.field == self.field_names.index(field)) & (self.disposition <= Disposition.WARMING)
        return np.flatnonzero(wanted)

    def joined(self, other: "Block") -> "Block":
        """Both in one; those of the other come behind."""
        codes = {name: code for code, name in enumerate(self.key_names)}
        moved = np.array([codes.setdefault(name, len(codes)) for name in other.key_names], np.int32)
        if len(set(self.key_names)) < len(self.key_names):  # then codes are not its positions
            moved = np.arange(len(other.key_names), dtype=np.int32) + len(self.key_names)
            names: Sequence[str] = [*self.key_names, *other.key_names]
        else:
            names = list(codes)
        columns = [np.concatenate([getattr(self, name), getattr(other, name)]) for name in _COLUMNS[1:]]
        key = np.concatenate([self.key, moved[other.key]])
        return Block(names, self.field_names, key, *columns)


class LanePoints(NamedTuple):
    """Points of a lane, the oldest first; columns as in `VerdictTable`."""

    time_us: NDArray[np.int64]
    position: NDArray[np.int64]
    value: NDArray[np.float64]
    expected: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    score: NDArray[np.float32]
    threshold: NDArray[np.float32]
    severity: NDArray[np.int8]
    phase: NDArray[np.int8]


class RecentPoints:
    """The newest verdicts of all partitions, within a budget of memory.

    Args:
        max_bytes: about; 0 to keep none.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._added = 0
        self._kept: dict[Place, deque[tuple[int, Block]]] = {}
        self._shown: dict[Place, tuple[Block, ...]] = {}

    def add(self, tables: Iterable[tuple[Place, VerdictTable]]) -> None:
        """Keep these, and forget the oldest where there are too many; seen by readers once this returns."""
        if not self._max_bytes:
            return
        touched: set[Place] = set()
        for place, table in tables:
            if len(table):
                self._append(self._kept.setdefault(place, deque()), Block.of(table))
                touched.add(place)
        while self._bytes > self._max_bytes:
            place = min((one for one in self._kept if self._kept[one]), key=lambda one: self._kept[one][0][0])
            self._bytes -= self._kept[place].popleft()[1].nbytes
            touched.add(place)
        if touched:
            changed = {place: tuple(block for _, block in self._kept[place]) for place in touched}
            self._shown = {**self._shown, **changed}

    def _append(self, kept: deque[tuple[int, Block]], block: Block) -> None:
        if kept and len(kept[-1][1]) + len(block) <= _SMALL and kept[-1][1].field_names == block.field_names:
            _, last = kept.pop()
            self._bytes -= last.nbytes
            block = last.joined(block)
        self._added += 1
        kept.append((self._added, block))
        self._bytes += block.nbytes

    def places(self) -> list[Place]:
        """Partitions of which points are kept."""
        return [place for place, blocks in self._shown.items() if blocks]

    def find(self, place: Place, key: str, field: str, limit: int) -> LanePoints | None:
        """The newest points of a lane; None for none."""
        parts: list[tuple[Block, NDArray[np.int64]]] = []
        wanted = limit
        for block in reversed(self._shown.get(place, ())):
            rows = block.rows(key, field)[-wanted:]
            if len(rows):
                parts.append((block, rows))
                wanted -= len(rows)
            if wanted <= 0:
                break
        if not parts:
            return None
        parts.reverse()
        columns = (np.concatenate([getattr(block, name)[rows] for block, rows in parts]) for name in LanePoints._fields)
        return LanePoints(*columns)

    def fields_of(self, place: Place) -> tuple[str, ...]:
        """Names of the lanes that keys of a partition have; none where none of its points are kept."""
        blocks = self._shown.get(place)
        return blocks[-1].field_names if blocks else ()

    def keys(self, place: Place) -> Iterator[str]:
        """Keys of the points kept, the newest first; some more than once."""
        for block in reversed(self._shown.get(place, ())):
            yield from block.key_names
