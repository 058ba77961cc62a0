"""Decoders: messages to batches, by a fast way for what is as it should be and a thorough one for all else.

Both give the same for the same message; the fast one declines whatever it is not sure of.
"""

import io
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pyarrow as pa

from pipeline.codec.columns import Columns, Record, Unusable
from pipeline.codec.fast import FastObjects, is_flat
from pipeline.codec.formats import LONGEST_KEY, Decoder, MessageFormat, RawMessage
from pipeline.codec.times import LATEST_MS, TimeError, time_us, unit_of
from pipeline.records import POINTS_PER_MESSAGE, Batch

_FOUND_LONGEST = 80
_DECODE = msgspec.json.Decoder().decode
_NAN = math.nan


def make_decoder(layout: MessageFormat, unit: str | None = None) -> Decoder:
    """A decoder for one partition.

    Args:
        unit: as an earlier decoder of the partition had it; None for a partition that begins.
    """
    return _DECODERS[layout.kind](layout, unit)


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
        columns = Columns(len(self.layout.value_fields))
        per_message = self.layout.points_per_message
        for message in messages:
            first = message.offset * per_message
            try:
                content = self._content(message)
                objects = self._objects(content)
            except Unusable as exc:
                columns.add(first, exc)
                continue
            for index, one in enumerate(objects):
                columns.add(first + index, self._record_or_problem(one, message))
        return columns.batch()

    def _record_or_problem(self, one: Any, message: RawMessage) -> Record | Unusable:
        try:
            return self._record(one, message)
        except Unusable as exc:
            return exc

    def _content(self, message: RawMessage) -> bytes:
        content = message.value
        if not content:
            raise Unusable("empty", "nothing")
        if len(content) > self.layout.max_message_bytes:
            raise Unusable("too_large", f"{len(content)} bytes")
        return content

    def _objects(self, content: bytes) -> Sequence[Any]:
        """The objects in a message, undecodable ones as `Unusable`."""
        raise NotImplementedError

    def _record(self, one: Any, message: RawMessage) -> Record:
        if isinstance(one, Unusable):
            raise one
        if not isinstance(one, dict):
            raise Unusable("malformed", _shorten(one))
        values, problems = self._values(one)
        key = self._key(one, message)
        return Record(key, self._time(one, message, usable=any(map(math.isfinite, values))), values, problems)

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
            raise Unusable("bad_key", _shorten(key))
        return _require_key(key)

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
            raise Unusable("bad_time", _shorten(value)) from None


class _JsonObjects(_Base):
    """A message is an object."""

    def __init__(self, layout: MessageFormat, unit: str | None) -> None:
        super().__init__(layout, unit)
        self._fast: FastObjects | None = None

    def decode(self, messages: Sequence[RawMessage]) -> Batch:
        """See `Decoder`; the thorough way only as long as the unit is not known, or where the fast one has no part."""
        if self._unit is None or not is_flat(self.layout):
            columns = Columns(len(self.layout.value_fields))
            for message in messages:
                columns.add(message.offset, self.decode_thoroughly(message))
            return columns.batch()
        if self._fast is None:
            self._fast = FastObjects(self.layout, self._unit, detected=self.detects, thorough=self.decode_thoroughly)
        return self._fast.decode(messages)

    def decode_thoroughly(self, message: RawMessage) -> Record | Unusable:
        """The record of a message of any content."""
        try:
            return self._record(_parse(self._content(message)), message)
        except Unusable as exc:
            return exc

    def _objects(self, content: bytes) -> Sequence[Any]:
        return [_parse(content)]


class _JsonArrays(_Base):
    """A message is an array of objects."""

    def _objects(self, content: bytes) -> Sequence[Any]:
        found = _parse(content)
        if not isinstance(found, list):
            raise Unusable("malformed", _shorten(found))
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
            raise Unusable("malformed", _shorten(f"{type(exc).__name__}: {exc}")) from None
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
            raise Unusable("too_many_points", f"more than {POINTS_PER_MESSAGE} points")
        yield batch


def _some(objects: list[Any]) -> list[Any]:
    if not objects:
        raise Unusable("empty", "no points")
    if len(objects) > POINTS_PER_MESSAGE:
        raise Unusable("too_many_points", f"{len(objects)} points")
    return objects


def _parse(content: bytes) -> Any:
    try:
        return _DECODE(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise Unusable("malformed", _shorten_bytes(content)) from None
    except RecursionError:
        raise Unusable("malformed", "nesting too deep") from None


def _parse_or_problem(content: bytes) -> Any:
    try:
        return _parse(content)
    except Unusable as exc:
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


def _own_key(message: RawMessage) -> str:
    try:
        return _require_key(message.key.decode() if message.key else "")
    except UnicodeDecodeError:
        raise Unusable("bad_key", _shorten_bytes(message.key or b"")) from None


def _require_key(key: str) -> str:
    """The key, if it is one.

    Raises:
        Unusable: it is empty or too long.
    """
    if not key:
        raise Unusable("bad_key", "no key")
    if len(key) > LONGEST_KEY:
        raise Unusable("bad_key", f"{len(key)} characters")
    return key


def _own_time(message: RawMessage) -> int:
    if message.timestamp < 0:
        raise Unusable("bad_time", "a message without a time")
    if message.timestamp >= LATEST_MS:
        raise Unusable("bad_time", str(message.timestamp))
    return message.timestamp * 1000


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
