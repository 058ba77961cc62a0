"""Event times: whatever a column holds, as microseconds since 1970-01-01 UTC.

Sub-microsecond digits are dropped; a fraction of an epoch number is rounded to the nearest microsecond. Times without a
zone are UTC. An epoch number's unit shows in its size: numbers below 1e11 are seconds (until the year 5138), from there
on milliseconds (since March 1973), and so forth by factors of 1000.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.adapters.files.blocks import shorten
from pipeline.adapters.files.cells import FINITE_NUMBER, as_text
from pipeline.adapters.files.mapping import TimeUnit

ISO_EXPECTED = "a time such as 2014-02-07 14:55:00 or 2014-02-07T14:55:00.5Z"
_WORDS: dict[TimeUnit, str] = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_LIMITS: dict[TimeUnit, float] = {"s": 1e11, "ms": 1e14, "us": 1e17, "ns": 9e18}  # the last by 64 bits
_SMALLEST: dict[TimeUnit, float] = {"s": 0, "ms": 1e11, "us": 1e14, "ns": 1e17}

_WHOLE = r"^-?[1-8]?\d{1,18}$"  # in 64 bits
_NUMBER = f"^{FINITE_NUMBER}$"
_EXCESS_FRACTION = r"[.,](\d{1,6})\d*"
_ZONED = r"^\d{4}-\d\d-\d\d[T ].*(Z|[+-]\d\d(:?\d\d)?)$"


class CellError(ValueError):
    """A cell that no time can be made of.

    Attributes:
        index: of the cell within the array.
        found: what was there, as a phrase.
        expected: what should have been there.
    """

    def __init__(self, index: int, found: str, expected: str) -> None:
        super().__init__(f"cell {index}: found {found}; expected {expected}")
        self.index = index
        self.found = found
        self.expected = expected


def is_temporal(cells: pa.Array) -> bool:
    """Whether the column is of a type that means a point in time."""
    return bool(pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type))


def unit_of(cells: pa.Array) -> TimeUnit:
    """How times are written, told from the first that there is: 'iso', or the unit that its number's size shows."""
    if is_temporal(cells):
        return "iso"
    first = next((text.strip() for text in as_text(cells).to_pylist() if text is not None), "")
    return _unit_by_size(abs(float(first))) if re.search(_NUMBER, first, re.ASCII) else "iso"


def parse_times(cells: pa.Array, unit: TimeUnit, *, one_size: bool = False) -> NDArray[np.int64]:
    """Microseconds since 1970-01-01 UTC (n,), writable.

    Args:
        unit: not 'auto'; of no consequence for a column of a timestamp or date type.
        one_size: refuse numbers too small for `unit` as well as those too large, so that a change of unit is seen.

    Raises:
        CellError: a cell that is not a time.
    """
    if cells.null_count:
        raise CellError(int(np.argmax(cells.is_null().to_numpy(zero_copy_only=False))), "no time", _expected(unit))
    if is_temporal(cells):
        # a date has no unit of its own
        stamps = cells if pa.types.is_timestamp(cells.type) else cells.cast(pa.timestamp("ms"))
        return _from_epoch(_numpy(stamps.cast(pa.int64())), stamps.type.unit, one_size=False)
    if unit == "iso":
        return _from_iso(as_text(cells))
    if pa.types.is_integer(cells.type) and cells.type != pa.uint64():
        return _from_epoch(_numpy(cells.cast(pa.int64())), unit, one_size=one_size)
    if pa.types.is_floating(cells.type):
        return _from_fractions(_numpy(cells.cast(pa.float64())), unit, one_size=one_size)
    return _from_epoch_text(pc.utf8_trim_whitespace(as_text(cells)), unit, one_size=one_size)


def _from_iso(cells: pa.Array) -> NDArray[np.int64]:
    """Written dates and times; the common case, all cells alike, needs no normalising."""
    for zone in (None, "UTC"):
        try:
            return _cast_times(cells, zone)
        except pa.ArrowInvalid:
            continue
    try:
        return _from_any_iso(cells)
    except pa.ArrowInvalid:
        index = first_failing(cells, _from_any_iso)
        raise CellError(index, repr(shorten(cells[index].as_py())), ISO_EXPECTED) from None


def _from_any_iso(cells: pa.Array) -> NDArray[np.int64]:
    """Cells with and without zones, blanks around them, lower-case letters, long fractions."""
    tidy = pc.ascii_upper(pc.utf8_trim_whitespace(cells))
    tidy = pc.replace_substring_regex(tidy, _EXCESS_FRACTION, r".\1")
    tidy = pc.replace_substring_regex(tidy, r" ?(UTC|GMT)$", "Z")
    tidy = pc.replace_substring_regex(tidy, r" ([+-]\d\d(:?\d\d)?)$", r"\1")
    zoned = pc.match_substring_regex(tidy, _ZONED)
    at_zoned = _numpy(zoned)
    times = np.empty(len(cells), np.int64)
    times[at_zoned] = _cast_times(tidy.filter(zoned), "UTC")
    times[~at_zoned] = _cast_times(tidy.filter(pc.invert(zoned)), None)
    return times


def _from_epoch_text(cells: pa.Array, unit: TimeUnit, *, one_size: bool) -> NDArray[np.int64]:
    """Written epoch numbers; whole ones stay integers, which floats of that size cannot tell apart in nanoseconds."""
    number = _numpy(pc.match_substring_regex(cells, _NUMBER))
    if not number.all():
        index = int(np.argmin(number))
        raise CellError(index, repr(shorten(cells[index].as_py())), _expected(unit))
    is_whole = pc.match_substring_regex(cells, _WHOLE)
    whole = _numpy(is_whole)
    if whole.all():
        return _from_epoch(_numpy(cells.cast(pa.int64())), unit, one_size=one_size)
    _check_size(_numpy(cells.cast(pa.float64())), unit, one_size=one_size)
    times = np.empty(len(cells), np.int64)
    times[whole] = _from_epoch(_numpy(cells.filter(is_whole).cast(pa.int64())), unit, one_size=False)
    others = _numpy(cells.filter(pc.invert(is_whole)).cast(pa.float64()))
    times[~whole] = _from_fractions(others, unit, one_size=False)
    return times


def _from_fractions(numbers: NDArray[np.float64], unit: TimeUnit, *, one_size: bool) -> NDArray[np.int64]:
    """Epoch numbers with a fraction; those without one count as the integers that they are."""
    _check_size(numbers, unit, one_size=one_size)
    times = np.rint(numbers * (1e6 / _PER_SECOND[unit])).astype(np.int64)
    whole = numbers == np.floor(numbers)
    times[whole] = _from_epoch(numbers[whole].astype(np.int64), unit, one_size=False)
    return times


def _from_epoch(numbers: NDArray[np.int64], unit: TimeUnit, *, one_size: bool) -> NDArray[np.int64]:
    _check_size(numbers, unit, one_size=one_size)
    return numbers // 1000 if unit == "ns" else numbers * (10**6 // _PER_SECOND[unit])


def _check_size(numbers: NDArray[Any], unit: TimeUnit, *, one_size: bool) -> None:
    """Refuse numbers that are no dates in `unit`, or with `one_size` dates in a finer or coarser one."""
    size = np.abs(numbers.astype(np.float64))
    fits = size < _LIMITS[unit]  # false for NaN too
    if one_size:
        fits &= size >= _SMALLEST[unit]
    if fits.all():
        return
    index = int(np.argmin(fits))
    looks = _unit_by_size(float(size[index]))
    found = f"{numbers[index]}" if looks == unit else f"{numbers[index]}, which has the size of {_WORDS[looks]}"
    raise CellError(index, found, f"{_expected(unit)}{', as before' if one_size else ''}")


def _unit_by_size(number: float) -> TimeUnit:
    return next((unit for unit, limit in _LIMITS.items() if number < limit), "ns")


def _expected(unit: TimeUnit) -> str:
    return ISO_EXPECTED if unit == "iso" else f"{_WORDS[unit]} since 1970"


def _cast_times(cells: pa.Array, zone: str | None) -> NDArray[np.int64]:
    return _numpy(cells.cast(pa.timestamp("us", zone)).cast(pa.int64()))


def first_failing(cells: pa.Array, convert: Callable[[pa.Array], object]) -> int:
    """Index of the first cell that `convert` refuses, given that it refuses `cells`; by bisection."""
    first, end = 0, len(cells)
    while end - first > 1:
        middle = (first + end) // 2
        try:
            convert(cells[first:middle])
        except pa.ArrowInvalid:
            end = middle
        else:
            first = middle
    return first


def _numpy(cells: pa.Array) -> NDArray[Any]:
    """A writable copy, since views of Arrow's memory are read-only."""
    return np.array(cells.to_numpy(zero_copy_only=False))
