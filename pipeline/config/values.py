"""Kinds of values of a key, with how people write them and how they are written back."""

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, PlainValidator

from pipeline.config.quantities import format_duration, format_size, parse_duration, parse_size


def _parse_extent(value: object) -> int | timedelta:
    """A number of points, or a duration."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    try:
        return parse_duration(value)
    except ValueError as exc:
        raise ValueError(f"found {value!r}; expected a whole number of points or a duration such as '5min'") from exc


def _parse_held_out(value: object) -> float | timedelta:
    """A share of the records, in percent as people write it, or a duration."""
    text = value.strip() if isinstance(value, str) else ""
    try:
        share = float(text.removesuffix("%")) / 100 if text.endswith("%") else value
        found = share if isinstance(share, float) else parse_duration(value)
    except ValueError as exc:
        raise ValueError(f"found {value!r}; expected a share such as '20%' or a duration such as '7d'") from exc
    if not (0 < found < 1 if isinstance(found, float) else found > timedelta()):
        raise ValueError(f"found {value!r}; expected more than nothing, and less than all")
    return found


def _format_held_out(value: float | timedelta) -> str:
    return format_duration(value) if isinstance(value, timedelta) else f"{100 * value:g}%"


def _split_names(value: object) -> object:
    names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
    if not names or (isinstance(names, list) and "" in names):
        raise ValueError(f"found {value!r}; expected names of columns, separated by commas")
    return names


def format_extent(value: int | timedelta) -> int | str:
    """A number of points as it is, a duration as people write it."""
    return format_duration(value) if isinstance(value, timedelta) else value


Duration = Annotated[timedelta, PlainValidator(parse_duration), PlainSerializer(format_duration)]
Size = Annotated[int, PlainValidator(parse_size), PlainSerializer(format_size)]
Extent = Annotated[int | timedelta, PlainValidator(_parse_extent), PlainSerializer(format_extent)]
HeldOut = Annotated[float | timedelta, PlainValidator(_parse_held_out), PlainSerializer(_format_held_out)]
Names = Annotated[tuple[str, ...], BeforeValidator(_split_names)]
