"""Durations and sizes as people write them: '5min', '1.5h', '1GiB'."""

import re
from datetime import timedelta

DURATIONS = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "min": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
"""Microseconds in each unit, rising."""
SIZES = {"B": 1, "kB": 10**3, "KiB": 2**10, "MB": 10**6, "MiB": 2**20, "GB": 10**9, "GiB": 2**30, "TiB": 2**40}
"""Bytes in each unit, rising."""

_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*", re.ASCII)


def parse_duration(text: object) -> timedelta:
    """The duration that `text` tells.

    Raises:
        ValueError: no number with a unit of time.
    """
    found = _parse(text, DURATIONS)
    if found is None:
        raise ValueError(f"found {text!r}; expected a duration such as '30s', with a unit of {', '.join(DURATIONS)}")
    return timedelta(microseconds=found)


def parse_size(text: object) -> int:
    """The bytes that `text` tells; a plain whole number is bytes already.

    Raises:
        ValueError: no number with a unit of size.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        return text
    found = _parse(text, SIZES)
    if found is None:
        raise ValueError(f"found {text!r}; expected a size such as '1GiB', with a unit of {', '.join(SIZES)}")
    return found


def format_duration(duration: timedelta) -> str:
    """In the largest unit of which it is a whole number."""
    return _format(duration // timedelta(microseconds=1), DURATIONS, zero="0s")


def format_size(size: int) -> str:
    """In the largest unit of which it is a whole number."""
    return _format(size, SIZES, zero="0B")


def _parse(text: object, units: dict[str, int]) -> int | None:
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[2] not in units:
        return None
    return round(float(match[1]) * units[match[2]])


def _format(number: int, units: dict[str, int], *, zero: str) -> str:
    if not number:
        return zero
    unit = next(unit for unit in reversed(units) if number % units[unit] == 0)
    return f"{number // units[unit]}{unit}"
