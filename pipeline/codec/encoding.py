"""Points to messages, in every format that can be read: for `driftline produce`."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.codec.formats import FormatName, UnitName

_MICROSECONDS = {"s": 10**6, "ms": 10**3, "us": 1}
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Encoding:
    """How points are laid into messages.

    Attributes:
        points: in a message at most, with the formats that carry many.
        key_field: where the key is told in the content as well; None for the message's own key alone.
    """

    kind: FormatName = "json"
    fields: tuple[str, ...] = ("value",)
    time_field: str = "time"
    key_field: str | None = None
    time_unit: UnitName = "ms"
    points: int = 100


def encode_points(
    encoding: Encoding, keys: Sequence[str], time_us: NDArray[np.int64], values: NDArray[np.float64]
) -> Iterator[tuple[str, bytes, int]]:
    """(key, content, points in it) in order; points of different keys never share a message.

    Args:
        keys: (n,) of the points.
        time_us: (n,) event times.
        values: (n, fields); NaN for missing ones, which become null.
    """
    rows = (
        (key, _row(encoding, key, time, row))
        for key, time, row in zip(keys, time_us.tolist(), values.tolist(), strict=True)
    )
    if encoding.kind == "json":
        for key, row in rows:
            yield key, _ENCODER.encode(row), 1
        return
    encode = _ENCODERS[encoding.kind]
    for key, same in groupby(rows, key=lambda pair: pair[0]):
        waiting = [row for _, row in same]
        for at in range(0, len(waiting), encoding.points):
            part = waiting[at : at + encoding.points]
            yield key, encode(part), len(part)


def _row(encoding: Encoding, key: str, time_us: int, values: list[float]) -> dict[str, Any]:
    row: dict[str, Any] = {encoding.time_field: _time(time_us, encoding.time_unit)}
    if encoding.key_field is not None:
        row[encoding.key_field] = key
    row.update(
        (name, value if np.isfinite(value) else None) for name, value in zip(encoding.fields, values, strict=True)
    )
    return row


def _time(time_us: int, unit: UnitName) -> int | str:
    if unit == "iso":
        return f"{np.datetime64(time_us, 'us')}Z"
    return time_us * 1000 if unit == "ns" else time_us // _MICROSECONDS[unit if unit != "auto" else "ms"]


def _array(rows: list[dict[str, Any]]) -> bytes:
    return _ENCODER.encode(rows)


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return _ENCODER.encode_lines(rows)


def _arrow(rows: list[dict[str, Any]]) -> bytes:
    table = pa.Table.from_pylist(rows)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


_ENCODERS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "json-array": _array,
    "json-lines": _lines,
    "arrow": _arrow,
}
