"""Resolving a column mapping against the first rows of the first file.

The time is a column with a well-known name, the first of these whose first cell is a time; else the first column with
only dates in its first rows, else with only epoch numbers of this century.
The key is a column named exactly `key` or `series_id`. The values are all other columns in which numbers prevail.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.adapters.files.blocks import Reader, listed
from pipeline.adapters.files.cells import is_numeric, parse_values
from pipeline.adapters.files.mapping import ColumnMapping, ResolvedMapping, TimeUnit
from pipeline.adapters.files.times import CellError, is_temporal, parse_times, unit_of
from pipeline.errors import InputError, nearest

_SAMPLE_ROWS = 1000
_TIME_ROWS = 10
_TIME_NAMES = ("timestamp", "@timestamp", "event_time", "datetime", "date_time", "time", "ts", "date", "ds", "epoch")
_KEY_NAMES = ("key", "series_id")
_YEAR_2000_US, _YEAR_2100_US = 946_684_800_000_000, 4_102_444_800_000_000


@dataclass(frozen=True, slots=True)
class _Sample:
    """First rows of a file: its cells by column, in file order."""

    source: str
    cells: dict[str, pa.Array]

    def check_has(self, name: str) -> None:
        if name not in self.cells:
            raise no_such_column(self.source, name, tuple(self.cells))


def resolve(reader: Reader, mapping: ColumnMapping) -> ResolvedMapping:
    """`mapping` with everything left open detected from the first rows of a file.

    Raises:
        InputError: a column that is not there, no column of times, or no column of numbers.
    """
    sample = _take_sample(reader)
    key = mapping.key_field
    if key is None:
        taken = {mapping.time_field, *(mapping.value_fields or ())}
        key = next((name for name in _KEY_NAMES if name in sample.cells and name not in taken), None)
    else:
        sample.check_has(key)
    time = mapping.time_field
    if time is None:
        time = _detect_time(sample, mapping.time_unit, {key, *(mapping.value_fields or ())})
    else:
        sample.check_has(time)
    values = mapping.value_fields
    if values is None:
        values = _detect_values(sample, time, key)
    else:
        _check_values(sample, values)
    unit = unit_of(sample.cells[time]) if mapping.time_unit == "auto" else mapping.time_unit

    detected = {
        "time_field": mapping.time_field is None,
        "value_fields": mapping.value_fields is None,
        "key_field": mapping.key_field is None and key is not None,
        "time_unit": mapping.time_unit == "auto",
    }
    return ResolvedMapping(time, values, key, unit, tuple(name for name, was in detected.items() if was))


def find_time(reader: Reader, taken: set[str]) -> tuple[str | None, bool]:
    """The column of times outside `taken` if there is one, and whether it holds times.

    A column with a well-known name that counts rows, such as 0, 1, 2, is found and holds none; so does one of epoch
    numbers outside this century. A column of epoch numbers without such a name has to rise.

    Raises:
        InputError: the file cannot be read.
    """
    sample = _take_sample(reader)
    try:
        name = _detect_time(sample, "auto", {*taken})
    except InputError:
        return None, False
    cells = sample.cells[name]
    times = _times(cells, "auto")
    if times is None or _unit(cells, "auto") == "iso":
        return name, True  # where a row is no time, reading it will say which
    is_known, is_recent = name.lower() in _TIME_NAMES, bool(((times >= _YEAR_2000_US) & (times < _YEAR_2100_US)).all())
    if not is_known and not (np.diff(times) > 0).all():
        return None, False
    return name, is_recent


def require_one_key(reader: Reader) -> None:
    """Refuse a file of several streams.

    Raises:
        InputError: that is what it is, by its first rows.
    """
    sample = _take_sample(reader)
    for name in _KEY_NAMES:
        keys = len(sample.cells[name].unique()) if name in sample.cells else 1
        if keys > 1:
            raise InputError(
                sample.source,
                found=f"several streams, told apart by the column {name!r}",
                expected="a file for each stream: split it",
            )


def resolve_values(reader: Reader, taken: set[str | None]) -> tuple[str, ...]:
    """The columns outside `taken` in whose first rows numbers prevail.

    Raises:
        InputError: there are none, or the file cannot be read.
    """
    sample = _take_sample(reader)
    numeric = _numeric(sample, taken)
    if not numeric:
        raise InputError(
            sample.source,
            found=f"no column of numbers beside labels and times among {listed(tuple(sample.cells))}",
            expected="at least one",
        )
    return numeric


def no_such_column(source: str, name: str, names: tuple[str, ...]) -> InputError:
    """The error for a column that a file lacks, with what it has and the nearest name."""
    return InputError(
        source, found=f"no column {name!r} among {listed(names)}", expected=f"that column{nearest(name, names)}"
    )


def _take_sample(reader: Reader) -> _Sample:
    names = reader.columns()
    block = next(reader.read(names))
    cells = (column[:_SAMPLE_ROWS] for column in block.columns)
    return _Sample(str(reader.path), dict(zip(names, cells, strict=True)))


def _detect_time(sample: _Sample, asked: TimeUnit, taken: set[str | None]) -> str:
    free = {name: cells[:_TIME_ROWS] for name, cells in sample.cells.items() if name not in taken}
    by_name = {name.lower(): name for name in reversed(free)}
    known = [by_name[name] for name in _TIME_NAMES if name in by_name]
    if known:
        # where none is a time, reading the first will say which row is not
        return next((name for name in known if _times(free[name][:1], asked) is not None), known[0])
    times = {name: found for name, cells in free.items() if (found := _times(cells, asked)) is not None}
    dates = [name for name in times if _unit(free[name], asked) == "iso"]
    # any number is an epoch number, so that only those of our days count
    epochs = [name for name, found in times.items() if ((found >= _YEAR_2000_US) & (found < _YEAR_2100_US)).all()]
    if not dates and not epochs:
        raise InputError(
            sample.source,
            found=f"no column of times among {listed(tuple(sample.cells))}",
            expected="dates or epoch numbers in one of them; name it as the time field",
        )
    return (dates or epochs)[0]


def _times(cells: pa.Array, asked: TimeUnit) -> NDArray[np.int64] | None:
    try:
        return parse_times(cells, _unit(cells, asked), one_size=True)
    except CellError:
        return None


def _unit(cells: pa.Array, asked: TimeUnit) -> TimeUnit:
    return unit_of(cells) if asked == "auto" or is_temporal(cells) else asked


def _detect_values(sample: _Sample, time: str, key: str | None) -> tuple[str, ...]:
    numeric = _numeric(sample, {time, key})
    if not numeric:
        raise InputError(
            sample.source,
            found=f"0 numeric columns beside the time {time!r} among {listed(tuple(sample.cells))}",
            expected="at least one column of numbers",
        )
    return numeric


def _numeric(sample: _Sample, taken: set[str | None]) -> tuple[str, ...]:
    others = {name: cells for name, cells in sample.cells.items() if name not in taken}
    return tuple(name for name, cells in others.items() if is_numeric(cells) or _numbers_prevail(cells))


def _numbers_prevail(cells: pa.Array) -> bool:
    values, unusable = parse_values(cells)
    return int(np.count_nonzero(~np.isnan(values))) > len(unusable)


def _check_values(sample: _Sample, names: tuple[str, ...]) -> None:
    for name in names:
        sample.check_has(name)
        values, unusable = parse_values(sample.cells[name])
        if unusable and np.isnan(values).all():
            raise InputError(
                sample.source, column=name, found=f"no numbers, but text such as {unusable[0][1]!r}", expected="numbers"
            )
