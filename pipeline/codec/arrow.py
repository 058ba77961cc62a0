"""Arrow IPC streams: read and checked, and the thorough way from their rows to records."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from pipeline.codec.columns import Unusable
from pipeline.codec.thorough import Thorough, paths_of, shorten, some
from pipeline.codec.times import time_us
from pipeline.records import POINTS_PER_MESSAGE

BAD_STREAM = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError)
"""What is raised by reading a stream that is none, or by values in it that Python has no like of."""


def read_batches(content: bytes) -> Iterator[Any]:
    """The record batches of a stream, each checked.

    Raises:
        Unusable: they have more points than a message may carry.
    """
    rows = 0
    with pa.ipc.open_stream(content) as reader:
        for batch in reader:
            batch.validate(full=True)
            rows += batch.num_rows
            if rows > POINTS_PER_MESSAGE:
                raise Unusable("too_many_points", f"more than {POINTS_PER_MESSAGE} points")
            yield batch


class ThoroughArrow(Thorough):
    """A message is an Arrow IPC stream of record batches."""

    def _objects(self, content: bytes) -> Sequence[dict[str, Any] | Unusable]:
        names = {name for path in paths_of(self.layout) for name in (path[0], ".".join(path))}
        try:
            return some([row for batch in list(read_batches(content)) for row in _rows(batch, names)])
        except BAD_STREAM as exc:
            raise Unusable("malformed", shorten(f"{type(exc).__name__}: {exc}")) from None

    def _told_time(self, value: Any, *, usable: bool) -> int:
        if hasattr(value, "isoformat"):  # of a type that means a point in time
            return time_us(value.isoformat(), "iso", detected=False)
        return super()._told_time(value, usable=usable)


def _rows(batch: Any, names: set[str]) -> list[dict[str, Any]]:
    """An object for each row, with what is asked for; of columns of one name the last one counts."""
    rows: list[dict[str, Any]] = [{} for _ in range(batch.num_rows)]
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if name in names:
            for row, value in zip(rows, column.to_pylist(), strict=True):
                row[name] = value
    return rows
