"""The type that JSON objects are decoded into the fast way: only objects that are as they should be fit it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any

import msgspec
import numpy as np

from pipeline.codec.formats import MessageFormat
from pipeline.codec.times import range_of

_NO_TYPE = Annotated[int, msgspec.Meta(ge=1, le=0)]
"""No value is of it: a field of it may only be absent."""
_KEY = str | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_VALUE = float | None

Tree = dict[str, Any]
"""By name: the leaf, one of 'v0', 'v1'..., 't' and 'k', or the fields within."""


@dataclass(frozen=True, slots=True)
class Rows:
    """How objects become rows.

    Attributes:
        row: the type.
        values: each value of a row; None or NaN for a missing one.
        time: of a row: a number within the range of the unit, or text; None for the message's own.
        key: of a row: text or a number; None for the message's own.
    """

    row: type[msgspec.Struct]
    values: tuple[Callable[[Any], float | None], ...]
    time: Callable[[Any], Any] | None
    key: Callable[[Any], Any] | None


def has_rows(layout: MessageFormat) -> bool:
    """Whether objects can become rows: no field is asked for twice, and none of which another is a part."""
    return _tree(layout) is not None


def make_rows(layout: MessageFormat, unit: str | None, *, detected: bool) -> Rows:
    """How objects become rows.

    Args:
        layout: one that has rows; names may lead into nested objects.
        unit: of times; None only where they are not in the content.
        detected: whether the unit was found out from a record.

    Raises:
        ValueError: the layout has no rows.
    """
    tree = _tree(layout)
    if tree is None:
        raise ValueError(f"found fields that overlap in {layout.told}; expected some that do not")
    types = {f"v{index}": _VALUE for index in range(len(layout.value_fields))} | {"t": str, "k": _KEY}
    if layout.time_field is not None and unit is not None and unit != "iso":
        least, end = range_of(unit, detected=detected)
        types["t"] = Annotated[int, msgspec.Meta(ge=least, le=end - 1)]
    guards = [name for name in _names(layout) if "." in name]
    row = _struct(tree, types, guards)
    getters = {leaf: attrgetter(way) for leaf, way in _ways(tree)}
    return Rows(
        row, tuple(getters[f"v{n}"] for n in range(len(layout.value_fields))), getters.get("t"), getters.get("k")
    )


def _names(layout: MessageFormat) -> dict[str, str]:
    """The leaf of each name; of a name that is there twice only one."""
    named = {name: f"v{index}" for index, name in enumerate(layout.value_fields)}
    return named | {
        name: leaf for name, leaf in ((layout.time_field, "t"), (layout.key_field, "k")) if name is not None
    }


def _tree(layout: MessageFormat) -> Tree | None:
    """The fields as they lie in one another; None for fields that overlap."""
    names = _names(layout)
    if len(names) < len(layout.value_fields) + sum(name is not None for name in (layout.time_field, layout.key_field)):
        return None
    tree: Tree = {}
    for name, leaf in names.items():
        *path, last = name.split(".")
        at = tree
        for step in path:
            at = at.setdefault(step, {})
            if not isinstance(at, dict):
                return None
        if last in at:
            return None
        at[last] = leaf
    return tree


def _struct(tree: Tree, types: dict[str, Any], guards: list[str]) -> type[msgspec.Struct]:
    """A type with the fields of a tree, and one that must be absent for each guard, since it would win over a path."""
    fields: list[Any] = []
    for index, part in enumerate(tree.values()):
        if isinstance(part, dict):
            inner = _struct(part, types, [])
            # an object that is not there has no values; one with the time or the key in it must be there
            required = any(leaf in {"t", "k"} for leaf, _ in _ways(part))
            fields.append((f"n{index}", inner) if required else (f"n{index}", inner, msgspec.field(default=inner())))
        elif part in {"t", "k"}:
            fields.append((f"n{index}", types[part]))
        else:
            fields.append((f"n{index}", types[part], np.nan))
    renamed = {f"n{index}": name for index, name in enumerate(tree)}
    for index, name in enumerate(guards):
        fields.append((f"g{index}", _NO_TYPE, msgspec.UNSET))
        renamed[f"g{index}"] = name
    return msgspec.defstruct("Row", fields, rename=renamed, kw_only=True, frozen=True, gc=False)


def _ways(tree: Tree, before: str = "") -> Iterator[tuple[str, str]]:
    """(leaf, the way to it through a row) of each."""
    for index, part in enumerate(tree.values()):
        if isinstance(part, dict):
            yield from _ways(part, f"{before}n{index}.")
        else:
            yield part, f"{before}n{index}"
