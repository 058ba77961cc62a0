"""Event times in messages, as microseconds since 1970-01-01 UTC."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_EARLIEST_S, _LATEST_S = 10**8, 10**11
"""A number tells its unit by its size, if it is a time between March 1973 and the year 5138 in it."""
_MICROSECONDS = 10**6
END_S = 9_214_646_400
"""2262-01-01 UTC: event times lie in [0, this), as the engine takes them."""
END_MS, END_US = END_S * 1000, END_S * _MICROSECONDS
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_LONGEST_NUMBER = 100
_LONG_FRACTION = re.compile(r"([.,]\d{6})\d+")
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
    number = _number(value)
    for unit, per_second in _PER_SECOND.items():
        # the ranges touch: 1e11 is the year 5138 in seconds, and March 1973 in milliseconds
        if _EARLIEST_S * per_second <= number < _LATEST_S * per_second:
            return unit
    raise TimeError


def range_of(unit: str, *, detected: bool) -> tuple[int, int]:
    """The least number that `time_us` takes in a unit, and the first that is too large."""
    per_second = _PER_SECOND[unit]
    return _EARLIEST_S * per_second if detected else 0, END_S * per_second


def time_us(value: Any, unit: str, *, detected: bool) -> int:
    """The time that `value` tells in `unit`.

    Args:
        detected: whether the unit was found out from another record; then a number must have its size.

    Raises:
        TimeError: it is none, one in another unit, or one before 1970 or after 2261.
    """
    found = _from_iso(value) if unit == "iso" else _from_number(_number(value), unit, detected=detected)
    if not 0 <= found < END_US:
        raise TimeError
    return found


def whole_us(numbers: NDArray[np.int64], unit: str) -> NDArray[np.int64]:
    """The times that whole numbers within `range_of` a unit tell, as `time_us` has them."""
    return numbers // 1000 if unit == "ns" else numbers * (_MICROSECONDS // _PER_SECOND[unit])


def iso_us(texts: Sequence[str] | pa.Array) -> NDArray[np.int64]:
    """The times that texts in ISO 8601 tell, as `time_us` has them; -1 for none.

    Arrow understands some of what `time_us` does, and gives the same times many times faster; but it takes all or none.
    """
    found = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.string())
    for zone in ("UTC", None):
        try:
            times: NDArray[np.int64] = found.cast(pa.timestamp("us", zone)).cast(pa.int64()).to_numpy()
        except pa.ArrowInvalid:
            continue
        return np.where((times >= 0) & (times < END_US), times, -1)
    return np.array([_iso_or_none(text) for text in found.to_pylist()], np.int64)


def _iso_or_none(text: str) -> int:
    try:
        return time_us(text, "iso", detected=False)
    except (TimeError, OverflowError):
        return -1


def _from_number(number: float, unit: str, *, detected: bool) -> int:
    per_second = _PER_SECOND[unit]
    least, end = range_of(unit, detected=detected)
    if not least <= number < end:
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
