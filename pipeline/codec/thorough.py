"""The thorough way from messages to records, point by point: takes any content, and tells what is wrong with it."""

import json
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from pipeline.codec.columns import Record, Unusable
from pipeline.codec.formats import LONGEST_KEY, MessageFormat, RawMessage
from pipeline.codec.nesting import DEEPEST, is_too_deep
from pipeline.codec.picker import Picker
from pipeline.codec.times import END_MS, TimeError, time_us, unit_of
from pipeline.records import POINTS_PER_MESSAGE

_FOUND_LONGEST = 80
_NAN = math.nan
_RAW_ITEMS = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Thorough:
    """From decoded objects to records; how objects lie in a message is for those that inherit.

    Args:
        unit: of times; None for one that is to be found out.
    """

    def __init__(self, layout: MessageFormat, unit: str | None) -> None:
        self.layout = layout
        self.unit = unit if layout.time_unit == "auto" else layout.time_unit
        self.detects = layout.time_unit == "auto"
        self._paths = [name.split(".") for name in layout.value_fields]
        self._time_path = None if layout.time_field is None else layout.time_field.split(".")
        self._key_path = None if layout.key_field is None else layout.key_field.split(".")

    def records(self, message: RawMessage) -> list[Record | Unusable]:
        """What becomes of a message: at least one record, or why there is none."""
        try:
            objects = self._objects(self._content(message))
        except Unusable as exc:
            return [exc]
        return [self._record_or_problem(one, message) for one in objects]

    def _record_or_problem(self, one: dict[str, Any] | Unusable, message: RawMessage) -> Record | Unusable:
        if isinstance(one, Unusable):
            return one
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

    def _objects(self, content: bytes) -> Sequence[dict[str, Any] | Unusable]:
        """The objects in a message, undecodable ones as `Unusable`."""
        raise NotImplementedError

    def _record(self, one: dict[str, Any], message: RawMessage) -> Record:
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
                    problems.append((index, "not_a_number", shorten(value)))
            values.append(number)
        return values, problems

    def _key(self, one: dict[str, Any], message: RawMessage) -> str:
        if self._key_path is None:
            return own_key(message)
        key = _look_up(one, self._key_path)
        if isinstance(key, int) and not isinstance(key, bool):
            return str(key)
        if not isinstance(key, str) or not key:
            raise Unusable("bad_key", shorten(key))
        return _require_key(key)

    def _time(self, one: dict[str, Any], message: RawMessage, *, usable: bool) -> int:
        if self._time_path is None:
            return own_time_us(message)
        value = _look_up(one, self._time_path)
        try:
            return self._told_time(value, usable=usable)
        except (TimeError, OverflowError):
            raise Unusable("bad_time", shorten(value)) from None

    def _told_time(self, value: Any, *, usable: bool) -> int:
        if self.unit is not None:
            return time_us(value, self.unit, detected=self.detects)
        unit = unit_of(value)
        found = time_us(value, unit, detected=True)
        if usable:
            self.unit = unit
        return found


class _Json(Thorough):
    """Of objects no more is decoded than what is asked for: what else is in them counts as little here as elsewhere."""

    def __init__(self, layout: MessageFormat, unit: str | None) -> None:
        super().__init__(layout, unit)
        self._decode = Picker([*paths_of(layout), *([".".join(path)] for path in paths_of(layout))]).decode

    def _parse(self, content: bytes | msgspec.Raw) -> dict[str, Any]:
        _require_shallow(content)
        try:
            return self._decode(content)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise Unusable("malformed", _shorten_bytes(bytes(content))) from None

    def _parse_or_problem(self, content: bytes | msgspec.Raw) -> dict[str, Any] | Unusable:
        try:
            return self._parse(content)
        except Unusable as exc:
            return exc


class ThoroughObjects(_Json):
    """A message is an object."""

    def _objects(self, content: bytes) -> Sequence[dict[str, Any] | Unusable]:
        return [self._parse(content)]


class ThoroughArrays(_Json):
    """A message is an array of objects."""

    def _objects(self, content: bytes) -> Sequence[dict[str, Any] | Unusable]:
        _require_shallow(content, within=1)
        try:
            items = _RAW_ITEMS(content)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise Unusable("malformed", _shorten_bytes(content)) from None
        return [self._parse_or_problem(item) for item in some(items)]


class ThoroughLines(_Json):
    """A message has an object in every line."""

    def _objects(self, content: bytes) -> Sequence[dict[str, Any] | Unusable]:
        lines = [line for line in content.splitlines() if line and not line.isspace()]
        return [self._parse_or_problem(line) for line in some(lines)]


def paths_of(layout: MessageFormat) -> list[list[str]]:
    """Ways to all that is asked for."""
    given = (*layout.value_fields, layout.time_field, layout.key_field)
    return [name.split(".") for name in given if name is not None]


def some(points: list[Any]) -> list[Any]:
    """The points, if there are some and not too many.

    Raises:
        Unusable: there are none, or more than a message may carry.
    """
    if not points:
        raise Unusable("empty", "no points")
    if len(points) > POINTS_PER_MESSAGE:
        raise Unusable("too_many_points", f"{len(points)} points")
    return points


def _require_shallow(content: bytes | msgspec.Raw, within: int = 0) -> None:
    """Refuse what is nested too deep.

    Raises:
        Unusable: it is.
    """
    if is_too_deep(content, within):
        raise Unusable("malformed", f"nested deeper than {DEEPEST}")


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


def own_key(message: RawMessage) -> str:
    """The key of a message.

    Raises:
        Unusable: it has none.
    """
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


def own_time_us(message: RawMessage) -> int:
    """The time of a message.

    Raises:
        Unusable: it has none.
    """
    if message.timestamp < 0:
        raise Unusable("bad_time", "a message without a time")
    if message.timestamp >= END_MS:
        raise Unusable("bad_time", str(message.timestamp))
    return message.timestamp * 1000


def _shorten_bytes(content: bytes) -> str:
    return shorten(content[: 4 * _FOUND_LONGEST].decode(errors="backslashreplace"))


def shorten(value: Any) -> str:
    """What was found, in at most 80 printable characters."""
    try:
        text = value if isinstance(value, str) else json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    text = "".join(character if character.isprintable() else "?" for character in text[: 2 * _FOUND_LONGEST])
    return text if len(text) <= _FOUND_LONGEST else f"{text[: _FOUND_LONGEST - 3]}..."
