"""Rows of verdicts on their way to the file: gathered until they fill a row group, and kept as Arrow files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.records import VerdictTable

COLUMNS: dict[str, type[np.generic]] = {
    "time_us": np.int64,
    "position": np.int64,
    "value": np.float64,
    "expected": np.float64,
    "lower": np.float64,
    "upper": np.float64,
    "score": np.float32,
    "threshold": np.float32,
    "surprise": np.float32,
    "segment_score": np.float32,
    "is_anomaly": np.bool_,
    "severity": np.int8,
    "phase": np.int8,
    "disposition": np.int8,
    "episode": np.int64,
}
"""Columns of a `VerdictTable` that are kept as they are; `key` and `field` are kept as names."""


class RowBuffer:
    """Rows of the row group that is being filled.

    Args:
        size: rows of a full group.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.rows = 0
        self._columns: dict[str, NDArray[Any]] = {name: np.empty(size, dtype) for name, dtype in COLUMNS.items()}
        self._keys: list[pa.Array] = []
        self._fields: list[pa.Array] = []

    def add(self, table: VerdictTable, start: int) -> int:
        """Take rows of `table` from row `start` on, as many as there is room for; returns how many were taken."""
        taken = min(len(table) - start, self.size - self.rows)
        rows = slice(start, start + taken)
        for name, column in self._columns.items():
            column[self.rows : self.rows + taken] = getattr(table, name)[rows]
        self._keys.append(_text(table.key_names, table.key[rows]))
        self._fields.append(_text(table.field_names, table.field[rows]))
        self.rows += taken
        return taken

    def content(self) -> pa.RecordBatch:
        """The rows gathered, sharing memory with this buffer: to be used before it changes.

        Keys and fields are dictionaries in order of first appearance.
        """
        columns = {name: pa.array(column[: self.rows]) for name, column in self._columns.items()}
        for name, parts in (("key", self._keys), ("field", self._fields)):
            columns[name] = pa.chunked_array(parts, pa.string()).combine_chunks().dictionary_encode()
        return pa.record_batch(columns)

    def clear(self) -> None:
        """Drop all rows."""
        self.rows = 0
        self._keys, self._fields = [], []

    def restore(self, content: pa.RecordBatch) -> None:
        """Hold the rows of an earlier `content`, and no others."""
        self.rows = content.num_rows
        for name, column in self._columns.items():
            column[: self.rows] = content[name].to_numpy(zero_copy_only=False)
        self._keys, self._fields = ([content[name].dictionary_decode()] for name in ("key", "field"))


def write_rows(sink: Path | pa.NativeFile, rows: pa.RecordBatch) -> None:
    """Write the content of a buffer as a file."""
    with pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_batch(rows)


def read_rows(path: Path) -> pa.RecordBatch:
    """What `write_rows` wrote.

    Raises:
        OSError: no such file.
        pyarrow.ArrowInvalid: not such a file, or not a whole one.
    """
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).get_batch(0)


def check_rows(path: Path) -> None:
    """Raise what `read_rows` would for a file that is gone or cut short, at the cost of reading its end alone."""
    with pa.memory_map(str(path)) as source:
        pa.ipc.open_file(source)


def pack_rows(rows: pa.RecordBatch) -> NDArray[np.uint8]:
    """The content of a buffer as bytes (n,)."""
    sink = pa.BufferOutputStream()
    write_rows(sink, rows)
    return np.frombuffer(sink.getvalue(), np.uint8)


def unpack_rows(packed: NDArray[np.uint8]) -> pa.RecordBatch:
    """What was given to `pack_rows`."""
    return pa.ipc.open_file(pa.py_buffer(packed)).get_batch(0)


def _text(names: Sequence[str], codes: NDArray[Any]) -> pa.Array:
    """The name of each code; costs no more for names that no row has."""
    if len(names) > len(codes):
        used, codes = np.unique(codes, return_inverse=True)
        names = [names[code] for code in used.tolist()]
    return pa.array(names, pa.string()).take(pa.array(codes))
