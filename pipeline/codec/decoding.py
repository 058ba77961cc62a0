"""Decoders: messages to batches, by a fast way for what is as it should be and a thorough one for all else.

Both give the same for the same message; the fast one declines whatever it is not sure of.
"""

import io
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from pipeline.codec.formats import Decoder, MessageFormat, RawMessage
from pipeline.codec.times import TimeError, time_us, unit_of
from pipeline.records import POINTS_PER_MESSAGE, Batch, Problem

_FOUND_LONGEST = 80
_DECODE = msgspec.json.Decoder().decode
_NAN = math.nan


class _Unusable(Exception):  # noqa: N818  never leaves this module
    """A message or record that nothing can be made of."""

    def __init__(self, reason: str, found: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.found = found


class _Record(NamedTuple):
    """A record that a key and a time have been made of."""

    key: str
    time_us: int
    values: list[float]
    problems: list[tuple[int, str, str]]  # (field, reason, found)


def make_decoder(layout: MessageFormat, unit: str | None = None) -> Decoder:
    """A decoder for one partition.

    Args:
        unit: as an earlier decoder of the partition had it; None for a partition that begins.
    """
    return _DECODERS[layout.kind](layout, unit)


class _Columns:
    """A batch as it grows."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.codes: dict[str, int] = {}
        self.keys: list[int] = []
        self.times: list[int] = []
        self.values: list[float] = []
        self.positions: list[int] = []
        self.problems: list[Problem] = []

    def add(self, position: int, record: _Record) -> None:
        """Append a record."""
        index = len(self.times)
        self.problems += [Problem(index, *problem) for problem in record.problems]
        self.keys.append(self.codes.setdefault(record.key, len(self.codes)))
        self.times.append(record.time_us)
        self.values += record.values
        self.positions.append(position)

    def add_unusable(self, position: int, problem: _Unusable) -> None:
        """Append a record of which only its place is known."""
        self.problems.append(Problem(len(self.times), -1, problem.reason, problem.found))
        self.keys.append(self.codes.setdefault("", len(self.codes)))
        self.times.append(0)
        self.values += [_NAN] * self.width
        self.positions.append(position)

    def batch(self) -> Batch:
        """What has grown."""
        return Batch(
            key_names=list(self.codes),
            key_codes=np.array(self.keys, np.int32),
            time_us=np.array(self.times, np.int64),
            values=np.array(self.values, np.float64).reshape(-1, self.width),
            position=np.array(self.positions, np.int64),
            problems=tuple(self.problems),
        )


class _Base:
    """What all decoders have in common: from decoded objects to records."""

    def __init__(self, layout: MessageFormat, unit: str | None) -> None:
        self.layout = layout
        self._unit = unit if layout.time_unit == "auto" else layout.time_unit
        self.detects = layout.time_unit == "auto"
        self._paths = [name.split(".") for name in layout.value_fields]
        self._time_path = None if layout.time_field is None else layout.time_field.split(".")
        self._key_path = None if layout.key_field is None else layout.key_field.split(".")

    @property
    def unit(self) -> str | None:
        """See `Decoder`."""
        return self._unit

    def decode(self, messages: Sequence[RawMessage]) -> Batch:
        """See `Decoder`."""
        columns = _Columns(len(self.layout.value_fields))
        per_message = self.layout.points_per_message
        for message in messages:
            first = message.offset * per_message
            try:
                content = self._content(message)
                objects = self._objects(content)
            except _Unusable as exc:
                columns.add_unusable(first, exc)
                continue
            for index, one in enumerate(objects):
                try:
                    columns.add(first + index, self._record(one, message))
                except _Unusable as exc:
                    columns.add_unusable(first + index, exc)
        return columns.batch()

    def _content(self, message: RawMessage) -> bytes:
        content = message.value
        if not content:
            raise _Unusable("empty", "nothing")
        if len(content) > self.layout.max_message_bytes:
            raise _Unusable("too_large", f"{len(content)} bytes")
        return content

    def _objects(self, content: bytes) -> Sequence[Any]:
        """The objects in a message, undecodable ones as `_Unusable`."""
        raise NotImplementedError

    def _record(self, one: Any, message: RawMessage) -> _Record:
        if isinstance(one, _Unusable):
            raise one
        if not isinstance(one, dict):
            raise _Unusable("malformed", _shorten(one))
        values, problems = self._values(one)
        key = self._key(one, message)
        return _Record(key, self._time(one, message, usable=any(map(math.isfinite, values))), values, problems)

    def _values(self, one: dict[str, Any]) -> tuple[list[float], list[tuple[int, str, str]]]:
        values, problems = [], []
        for index, path in enumerate(self._paths):
            value = _look_up(one, path)
            number = _as_number(value)
            if number is None:
                number = _NAN
                if value is not None:
                    problems.append((index, "not_a_number", _shorten(value)))
            values.append(number)
        return values, problems

    def _key(self, one: dict[str, Any], message: RawMessage) -> str:
        if self._key_path is None:
            return _own_key(message)
        key = _look_up(one, self._key_path)
        if isinstance(key, int) and not isinstance(key, bool):
            return str(key)
        if not isinstance(key, str) or not key:
            raise _Unusable("bad_key", _shorten(key))
        return key

    def _time(self, one: dict[str, Any], message: RawMessage, *, usable: bool) -> int:
        if self._time_path is None:
            return _own_time(message)
        value = _look_up(one, self._time_path)
        try:
            if self._unit is None:
                unit = unit_of(value)
                found = time_us(value, unit, detected=True)
                if usable:
                    self._unit = unit
                return found
            return time_us(value, self._unit, detected=self.detects)
        except (TimeError, OverflowError):
            raise _Unusable("bad_time", _shorten(value)) from None


class _JsonObjects(_Base):
    """A message is an object."""

    def __init__(self, layout: MessageFormat, unit: str | None) -> None:
        super().__init__(layout, unit)
        self._fast = _FastObjects(self) if _FastObjects.serves(layout) else None

    def decode(self, messages: Sequence[RawMessage]) -> Batch:
        """See `Decoder`."""
        if self._fast is None or self._unit is None:
            if self._fast is not None and len(messages) > 1:
                return self._detecting(messages)
            return super().decode(messages)
        return self._fast.decode(messages)

    def _detecting(self, messages: Sequence[RawMessage]) -> Batch:
        """Goes the thorough way until the unit is known."""
        columns = _Columns(len(self.layout.value_fields))
        for message in messages:
            self.add_thoroughly(columns, message)
        return columns.batch()

    def add_thoroughly(self, columns: _Columns, message: RawMessage) -> None:
        """Append the record of a message of any content."""
        try:
            columns.add(message.offset, self._record(_parse(self._content(message)), message))
        except _Unusable as exc:
            columns.add_unusable(message.offset, exc)

    def _objects(self, content: bytes) -> Sequence[Any]:
        return [_parse(content)]


class _FastObjects:
    """Flat objects, decoded straight into a struct of their fields."""

    def __init__(self, thorough: _JsonObjects) -> None:
        self._thorough = thorough
        self._decode: Any = None

    @staticmethod
    def serves(layout: MessageFormat) -> bool:
        """Whether no field is named by a path, and none twice."""
        named = [*layout.value_fields, layout.time_field or "", layout.key_field or ""]
        given = [name for name in named if name]
        return not any("." in name for name in given) and len(set(given)) == len(given)

    def decode(self, messages: Sequence[RawMessage]) -> Batch:
        """As `Decoder.decode`, for a unit that is known."""
        layout = self._thorough.layout
        if self._decode is None:
            self._decode = self._make()
        decode, longest, width = self._decode, layout.max_message_bytes, len(layout.value_fields)
        with_time, with_key = layout.time_field is not None, layout.key_field is not None
        columns = _Columns(width)
        add_key, add_time, add_position = columns.keys.append, columns.times.append, columns.positions.append
        add_value, codes = columns.values.append, columns.codes
        others = [f"v{index}" for index in range(1, width)]
        for message in messages:
            content = message.value
            try:
                one = decode(content) if content is not None and len(content) <= longest else None
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                one = None
            if one is not None:
                key = one.k if with_key else _own_key_or_none(message)
                found = self._time(one.t) if with_time else _own_time_or_none(message)
                if key and found is not None:
                    code = codes.get(key)
                    if code is None:
                        code = codes[key] = len(codes)
                    add_key(code)
                    add_time(found)
                    add_value(one.v0)
                    for other in others:
                        add_value(getattr(one, other))
                    add_position(message.offset)
                    continue
            self._thorough.add_thoroughly(columns, message)
        return columns.batch()

    def _make(self) -> Any:
        layout = self._thorough.layout
        fields: list[Any] = [(f"v{index}", float) for index in range(len(layout.value_fields))]
        names = {f"v{index}": name for index, name in enumerate(layout.value_fields)}
        if layout.time_field is not None:
            fields.append(("t", str if self._thorough.unit == "iso" else int))
            names["t"] = layout.time_field
        if layout.key_field is not None:
            fields.append(("k", str))
            names["k"] = layout.key_field
        return msgspec.json.Decoder(msgspec.defstruct("Fast", fields, rename=names, gc=False)).decode

    def _time(self, value: Any) -> int | None:
        try:
            return time_us(value, self._thorough.unit or "", detected=self._thorough.detects)
        except (TimeError, OverflowError):
            return None


class _JsonArrays(_Base):
    """A message is an array of objects."""

    def _objects(self, content: bytes) -> Sequence[Any]:
        found = _parse(content)
        if not isinstance(found, list):
            raise _Unusable("malformed", _shorten(found))
        return _some(found)


class _JsonLines(_Base):
    """A message has an object in every line."""

    def _objects(self, content: bytes) -> Sequence[Any]:
        return _some([_parse_or_problem(line) for line in content.splitlines() if line and not line.isspace()])


class _ArrowBatches(_Base):
    """A message is an Arrow IPC stream of record batches."""

    def _objects(self, content: bytes) -> Sequence[Any]:
        try:
            with pa.ipc.open_stream(io.BytesIO(content)) as reader:
                tables = list(_limited(reader))
            rows = [row for table in tables for row in table.to_pylist()]
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError, OverflowError) as exc:
            raise _Unusable("malformed", _shorten(f"{type(exc).__name__}: {exc}")) from None
        return _some(rows)

    def _time(self, one: dict[str, Any], message: RawMessage, *, usable: bool) -> int:
        value: Any = None if self._time_path is None else _look_up(one, self._time_path)
        if hasattr(value, "isoformat"):  # of a type that means a point in time
            return time_us(value.isoformat(), "iso", detected=False)
        return super()._time(one, message, usable=usable)


def _limited(reader: Any) -> Iterator[Any]:
    rows = 0
    for batch in reader:
        batch.validate(full=True)
        rows += batch.num_rows
        if rows > POINTS_PER_MESSAGE:
            raise _Unusable("too_many_points", f"more than {POINTS_PER_MESSAGE} points")
        yield batch


def _some(objects: list[Any]) -> list[Any]:
    if not objects:
        raise _Unusable("empty", "no points")
    if len(objects) > POINTS_PER_MESSAGE:
        raise _Unusable("too_many_points", f"{len(objects)} points")
    return objects


def _parse(content: bytes) -> Any:
    try:
        return _DECODE(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _Unusable("malformed", _shorten_bytes(content)) from None
    except RecursionError:
        raise _Unusable("malformed", "nesting too deep") from None


def _parse_or_problem(content: bytes) -> Any:
    try:
        return _parse(content)
    except _Unusable as exc:
        return exc


def _look_up(one: dict[str, Any], path: list[str]) -> Any:
    """The value under the name itself, else at the end of the path; None for none."""
    if len(path) == 1:
        return one.get(path[0])
    name = ".".join(path)
    if name in one:
        return one[name]
    found: Any = one
    for step in path:
        if not isinstance(found, dict):
            return None
        found = found.get(step)
    return found


def _as_number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _own_key_or_none(message: RawMessage) -> str | None:
    try:
        return message.key.decode() if message.key else None
    except UnicodeDecodeError:
        return None


def _own_key(message: RawMessage) -> str:
    key = _own_key_or_none(message)
    if not key:
        raise _Unusable("bad_key", "no key" if not message.key else _shorten_bytes(message.key))
    return key


def _own_time_or_none(message: RawMessage) -> int | None:
    return message.timestamp * 1000 if message.timestamp >= 0 else None


def _own_time(message: RawMessage) -> int:
    found = _own_time_or_none(message)
    if found is None:
        raise _Unusable("bad_time", "a message without a time")
    return found


def _shorten_bytes(content: bytes) -> str:
    return _shorten(content[: 4 * _FOUND_LONGEST].decode(errors="backslashreplace"))


def _shorten(value: Any) -> str:
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    text = "".join(character if character.isprintable() else "?" for character in text[: 2 * _FOUND_LONGEST])
    return text if len(text) <= _FOUND_LONGEST else f"{text[: _FOUND_LONGEST - 3]}..."


_DECODERS: dict[str, type[_Base]] = {
    "json": _JsonObjects,
    "json-array": _JsonArrays,
    "json-lines": _JsonLines,
    "arrow": _ArrowBatches,
}
