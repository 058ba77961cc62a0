"""A table (CSV, TSV, Parquet, JSON lines) with a column of labels as a labelled stream."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from detectors.evaluation.ranking import label_windows
from pipeline.adapters.files.blocks import Reader, listed
from pipeline.adapters.files.cells import as_text, parse_values
from pipeline.adapters.files.detect import find_time, no_such_column, require_one_key, resolve_values
from pipeline.adapters.files.discover import FoundFile
from pipeline.adapters.files.labelled.layout import (
    LABEL_NAMES,
    LabelledColumns,
    require_labels,
    require_rows_to_measure,
)
from pipeline.adapters.files.readers import reader_for
from pipeline.adapters.files.times import CellError, parse_times, unit_of
from pipeline.errors import InputError
from pipeline.labelled import LabelledStream

NO_VALUES = ("index", "unnamed: 0", "key", "series_id")
"""Columns that are no values, whatever their case: what numbers the rows of a table, and what names its stream."""


@dataclass(frozen=True, slots=True)
class LabelledTable:
    """One file; fulfils `pipeline.interfaces.LabelledSource`.

    Attributes:
        file: where and what it is.
        time: column of event times; None for rows that are equally spaced.
        values: columns of numbers.
        label: column of labels.
        columns: as asked for.
        points: about how many it has, rows times values.
    """

    file: FoundFile
    time: str | None
    values: tuple[str, ...]
    label: str
    columns: LabelledColumns
    points: int

    @property
    def name(self) -> str:
        """Its path below the folder without extension."""
        return self.file.name

    @property
    def told(self) -> str:
        """Its columns, for people."""
        time = "equal steps" if self.time is None else f"time {self.time}"
        return f"{time}; values {', '.join(self.values)}; label {self.label}"

    def read(self) -> LabelledStream:
        """The whole of it.

        Raises:
            InputError: a row that cannot be taken apart; a time, value or label that is none.
        """
        reader = reader_for(self.file)
        names = [*([] if self.time is None else [self.time]), *self.values, self.label]
        blocks = list(reader.read(names))
        cells = {name: _joined([block.columns[i] for block in blocks]) for i, name in enumerate(names)}
        source, rows = str(self.file.path), len(cells[self.label])
        require_rows_to_measure(source, rows, self.columns.history)
        values = np.column_stack([self._numbers(name, cells[name]) for name in self.values])
        label = self._numbers(self.label, _as_numbers(cells[self.label]))
        is_anomaly = require_labels(source, label, column=self.label)
        time_us = self.columns.equal_steps(rows) if self.time is None else self._times(self.time, cells[self.time])
        return LabelledStream(
            self.name,
            self.values,
            time_us,
            values,
            is_anomaly,
            label_windows(time_us, is_anomaly),
            self.columns.history,
        )

    def _times(self, column: str, cells: pa.Array) -> NDArray[np.int64]:
        try:
            return parse_times(cells, unit_of(cells), one_size=self.columns.time_field is None)
        except CellError as exc:
            raise InputError(
                str(self.file.path), row=exc.index + 1, column=column, found=exc.found, expected=exc.expected
            ) from exc

    def _numbers(self, column: str, cells: pa.Array) -> NDArray[np.float64]:
        numbers, unusable = parse_values(cells)
        if unusable:
            index, found = unusable[0]
            expected = "a number, or an empty cell for a missing one" if column != self.label else "0 or 1"
            raise InputError(str(self.file.path), row=index + 1, column=column, found=repr(found), expected=expected)
        return numbers


def open_table(file: FoundFile, columns: LabelledColumns) -> LabelledTable:
    """The file with its columns found out, from its header and first rows.

    Raises:
        InputError: it cannot be read, or lacks labels, values or a column that was named.
    """
    reader = reader_for(file)
    names = reader.columns()
    label = _label_of(reader, names, columns.label_field)
    require_one_key(reader)
    time, is_time = columns.time_field, True
    if time is None:
        time, is_time = find_time(reader, {label, *(columns.value_fields or ())})
    elif time not in names:
        raise no_such_column(str(file.path), time, names)
    if columns.value_fields is None:
        values = resolve_values(reader, {label, time, *(name for name in names if name.lower() in NO_VALUES)})
    else:
        values = columns.value_fields
        for name in values:
            if name not in names:
                raise no_such_column(str(file.path), name, names)
    return LabelledTable(file, time if is_time else None, values, label, columns, reader.estimate_rows() * len(values))


def _label_of(reader: Reader, names: tuple[str, ...], asked: str | None) -> str:
    if asked is not None:
        if asked not in names:
            raise no_such_column(str(reader.path), asked, names)
        return asked
    by_name = {name.lower(): name for name in reversed(names)}
    found = next((by_name[name] for name in LABEL_NAMES if name in by_name), None)
    if found is None:
        raise InputError(
            str(reader.path),
            found=f"no column of labels among {listed(names)}",
            expected=f"one of {', '.join(LABEL_NAMES)} with 0 or 1 in every row: name it by --label-field",
        )
    return found


def _as_numbers(cells: pa.Array) -> pa.Array:
    """Labels, with 1 and 0 for true and false."""
    if pa.types.is_boolean(cells.type):
        return cells.cast(pa.int8())
    if not pa.types.is_string(cells.type):
        return cells
    lower = pc.ascii_lower(pc.utf8_trim_whitespace(as_text(cells)))
    return pc.if_else(pc.equal(lower, "true"), "1", pc.if_else(pc.equal(lower, "false"), "0", cells))


def _joined(parts: Sequence[pa.Array]) -> pa.Array:
    """The cells of all blocks; of one type, as text where blocks differ."""
    kinds = {part.type for part in parts}
    return pa.concat_arrays(list(parts) if len(kinds) == 1 else [as_text(part) for part in parts])
