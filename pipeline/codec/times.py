"""Event times in messages, as microseconds since 1970-01-01 UTC."""

import math
import re
from datetime import UTC, datetime
from typing import Any

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_EARLIEST_S, _LATEST_S = 10**8, 10**11
"""A number tells its unit by its size, if it is a time between March 1973 and the year 5138 in it."""
_MICROSECONDS = 10**6
LATEST_MS = _LATEST_S * 1000
"""First of a message's own times that is too late."""
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_LONGEST_NUMBER = 100
_LONG_FRACTION = re.compile(r"([.,]\d{6})\d+")
_LEAST_US = -(2**62)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TimeError(ValueError):
    """No time can be made of it."""


def unit_of(value: Any) -> str:
    """'iso', or the unit that the size of a number tells.

    Raises:
        TimeError: neither.
    """
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        return "iso"
    number = abs(_number(value))
    for unit, per_second in _PER_SECOND.items():
        # the ranges touch: 1e11 is the year 5138 in seconds, and March 1973 in milliseconds
        if _EARLIEST_S * per_second <= number < _LATEST_S * per_second:
            return unit
    raise TimeError


def range_of(unit: str, *, detected: bool) -> tuple[int, int]:
    """The least size of a number that `time_us` takes in a unit, and the first that is too large."""
    per_second = _PER_SECOND[unit]
    return _EARLIEST_S * per_second if detected else 0, _LATEST_S * per_second


def time_us(value: Any, unit: str, *, detected: bool) -> int:
    """The time that `value` tells in `unit`.

    Args:
        detected: whether the unit was found out from another record; then a number must have its size.

    Raises:
        TimeError: it is none, or one in another unit.
    """
    if unit == "iso":
        return _from_iso(value)
    number = _number(value)
    per_second = _PER_SECOND[unit]
    least, limit = range_of(unit, detected=detected)
    if not least <= abs(number) < limit:
        raise TimeError
    if isinstance(number, int):
        return number * _MICROSECONDS // per_second
    return round(number * (_MICROSECONDS / per_second))


def _number(value: Any) -> int | float:
    if isinstance(value, str) and len(value) < _LONGEST_NUMBER and _NUMBER.fullmatch(value.strip()):
        text = value.strip()
        return float(text) if "." in text else int(text)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TimeError
    return value


def _from_iso(value: Any) -> int:
    if not isinstance(value, str):
        raise TimeError
    text = value.strip().upper()
    for end in (" UTC", "UTC", " GMT", "GMT"):
        if text.endswith(end):
            text = text.removesuffix(end) + "Z"
            break
    if "." in text or "," in text:
        text = _LONG_FRACTION.sub(r"\1", text)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as exc:
        raise TimeError from exc
    since = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * _MICROSECONDS + since.microseconds
