"""Where in an Arrow schema the fields lie that are asked for, and whether the fast way can take them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.codec.arrow import BAD_STREAM
from pipeline.codec.formats import MessageFormat


class Declined(Exception):  # noqa: N818  never leaves the decoders
    """There is something that only the thorough way can tell about."""


class Way(NamedTuple):
    """Where a field lies: in a column, or in fields within it."""

    column: int
    inner: tuple[int, ...]

    def find(self, batches: Sequence[Any]) -> Any:
        """Its values in record batches of one schema."""
        array = pa.concat_arrays([batch.column(self.column) for batch in batches])
        return pc.struct_field(array, list(self.inner)) if self.inner else array


class Plan(NamedTuple):
    """Ways to all that is asked for, in one schema; None for values that are not there, and for the message's own."""

    values: tuple[Way | None, ...]
    time: Way | None
    key: Way | None


def make_plan(schema: Any, layout: MessageFormat) -> Plan | None:
    """None for a schema that is declined."""
    try:
        return Plan(
            tuple(_find(schema, name, _is_value) for name in layout.value_fields),
            None if layout.time_field is None else _require(_find(schema, layout.time_field, _is_time)),
            None if layout.key_field is None else _require(_find(schema, layout.key_field, _is_key)),
        )
    except Declined:
        return None


def _require(way: Way | None) -> Way:
    if way is None:
        raise Declined
    return way


def _find(schema: Any, name: str, fits: Callable[[Any], bool]) -> Way | None:
    """The way to a field; None for one that is not there.

    Raises:
        Declined: it is there twice, or its type does not fit.
    """
    column, *path = [name] if name in schema.names else name.split(".")
    if column not in schema.names:
        return None
    if schema.names.count(column) > 1:
        raise Declined
    at = schema.get_field_index(column)
    kind = schema.field(at).type
    if path and not _is_plain(kind):
        raise Declined
    inner: list[int] = []
    for step in path:
        place = kind.get_field_index(step) if pa.types.is_struct(kind) else -1
        if place < 0:
            return None
        inner.append(place)
        kind = kind.field(place).type
    if not fits(kind):
        raise Declined
    return Way(at, tuple(inner))


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_value(kind: Any) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_float32(kind) or types.is_float64(kind) or types.is_null(kind))


def _is_key(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_integer(kind)) or _is_text(kind)


def _is_time(kind: Any) -> bool:
    if not pa.types.is_timestamp(kind):
        return bool(pa.types.is_integer(kind)) or _is_text(kind)
    try:
        pa.scalar(0, kind).as_py()  # fails for a zone that nobody knows
    except BAD_STREAM:
        return False
    return True


def _is_plain(kind: Any) -> bool:
    """Whether all values of a type have their like in Python, so that what lies beside a field cannot spoil it."""
    if pa.types.is_struct(kind):
        fields = [kind.field(index) for index in range(kind.num_fields)]
        return len({field.name for field in fields}) == len(fields) and all(_is_plain(field.type) for field in fields)
    return _is_value(kind) or _is_text(kind) or bool(pa.types.is_boolean(kind))
