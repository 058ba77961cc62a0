"""Files as a source of records: opened, their columns resolved, and read in batches from any row on."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.adapters.files.blocks import Block, Reader
from pipeline.adapters.files.cells import parse_keys, parse_values
from pipeline.adapters.files.detect import no_such_column, resolve
from pipeline.adapters.files.discover import find_files
from pipeline.adapters.files.mapping import ColumnMapping, ResolvedMapping
from pipeline.adapters.files.readers import reader_for
from pipeline.adapters.files.rebatch import Chunk, rebatch
from pipeline.adapters.files.times import CellError, parse_times
from pipeline.errors import InputError
from pipeline.records import Batch, Problem


@dataclass(frozen=True, slots=True)
class Selection:
    """What is taken from every file of a source.

    Attributes:
        mapping: the columns.
        from_us: first event time that is kept; None keeps all.
        to_us: first event time that is no longer kept; None keeps all.
        strict: whether an unusable value or key ends the reading, instead of becoming a problem of its batch.
    """

    mapping: ResolvedMapping
    from_us: int | None
    to_us: int | None
    strict: bool


@dataclass(frozen=True, slots=True)
class FilePartition:
    """One file of a source.

    Attributes:
        name: its path below the folder without extension; the key of its records where no column holds one.
        path: where it is.
        total_rows: about how many rows it has, filtered ones too: exact for Parquet and small files, else a guess from
            the length of the first lines.
    """

    name: str
    path: Path
    total_rows: int
    reader: Reader
    selection: Selection

    def batches(self, batch_size: int, *, after_row: int = 0) -> Iterator[Batch]:
        """The records behind row `after_row`, `batch_size` at a time and the rest at the end.

        A record's position is its data row in the file, counted from 1. Keys are listed in the order in which a batch
        has them. Memory is bounded whatever the size of the file.

        Raises:
            InputError: a row that cannot be taken apart, a time that is none, with `strict` an unusable value or key.
            ValueError: `batch_size` below 1 or `after_row` below 0.
        """
        if batch_size < 1 or after_row < 0:
            raise ValueError(f"found batch_size={batch_size}, after_row={after_row}; expected at least 1 and 0")
        return rebatch(self._chunks(after_row), batch_size, self.name)

    def _chunks(self, after_row: int) -> Iterator[Chunk]:
        for block in self.reader.read(self.selection.mapping.columns, after_row=after_row):
            yield self._chunk(block)

    def _chunk(self, block: Block) -> Chunk:
        mapping = self.selection.mapping
        time_us = self._times(block)
        position = np.arange(block.first_row, block.first_row + len(time_us))
        cells = block.columns[1:]
        kept = np.ones(len(time_us), bool)
        if self.selection.from_us is not None:
            kept &= time_us >= self.selection.from_us
        if self.selection.to_us is not None:
            kept &= time_us < self.selection.to_us
        if not kept.all():
            time_us, position = time_us[kept], position[kept]
            cells = tuple(column.filter(pa.array(kept)) for column in cells)

        values = np.empty((len(time_us), len(mapping.value_fields)))
        problems = []
        for field in range(len(mapping.value_fields)):
            values[:, field], unusable = parse_values(cells[field])
            problems += [Problem(index, field, "not_a_number", found) for index, found in unusable]
        keys = None
        if mapping.key_field is not None:
            keys, keyless = parse_keys(cells[-1])
            values[keyless] = np.nan
            lost = set(keyless.tolist())
            problems = [problem for problem in problems if problem.index not in lost]
            problems += [Problem(index, -1, "bad_key", "") for index in lost]
        problems.sort(key=lambda problem: (problem.index, problem.field))
        if problems and self.selection.strict:
            raise self._refusal(problems[0], int(position[problems[0].index]))
        return Chunk(keys, time_us, values, position, problems)

    def _times(self, block: Block) -> NDArray[np.int64]:
        mapping = self.selection.mapping
        try:
            return parse_times(block.columns[0], mapping.time_unit, one_size="time_unit" in mapping.detected)
        except CellError as exc:
            raise InputError(
                str(self.path),
                row=block.first_row + exc.index,
                column=mapping.time_field,
                found=exc.found,
                expected=exc.expected,
            ) from exc

    def _refusal(self, problem: Problem, row: int) -> InputError:
        mapping = self.selection.mapping
        if problem.field < 0:
            return InputError(str(self.path), row=row, column=mapping.key_field, found="no key", expected="one")
        return InputError(
            str(self.path),
            row=row,
            column=mapping.value_fields[problem.field],
            found=repr(problem.found),
            expected="a number, or an empty cell for a missing one",
        )


@dataclass(frozen=True, slots=True)
class FileSource:
    """The files of a replay, opened.

    Attributes:
        partitions: one per file, sorted by name.
        mapping: the columns that are read from all of them, and which of these were detected.
        ignored_files: how many files lie among them that are hidden or of no known extension.
    """

    partitions: tuple[FilePartition, ...]
    mapping: ResolvedMapping
    ignored_files: int

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the values of each record."""
        return self.mapping.value_fields

    @property
    def total_rows(self) -> int:
        """About how many rows all files have, for a progress bar; see `FilePartition.total_rows`."""
        return sum(partition.total_rows for partition in self.partitions)


def open_source(
    source: str | Path,
    mapping: ColumnMapping,
    *,
    from_us: int | None = None,
    to_us: int | None = None,
    strict: bool = False,
) -> FileSource:
    """The files of `source`, a file, a folder (with all below it) or a glob, ready to be read.

    What `mapping` leaves open is detected from the first file; every other must have the same columns.

    Args:
        from_us: first event time that is kept, in microseconds since 1970-01-01 UTC.
        to_us: first event time that is no longer kept.
        strict: end at the first unusable value or key, instead of reporting it with its batch.

    Raises:
        InputError: files or columns that are not there or cannot be read.
    """
    files, ignored = find_files(source)
    readers = [reader_for(file) for file in files]
    resolved = resolve(readers[0], mapping)
    for reader in readers[1:]:
        names = reader.columns()
        for name in resolved.columns:
            if name not in names:
                raise no_such_column(str(reader.path), name, names)
    selection = Selection(resolved, from_us, to_us, strict)
    partitions = tuple(
        FilePartition(file.name, file.path, reader.estimate_rows(), reader, selection)
        for file, reader in zip(files, readers, strict=True)
    )
    return FileSource(partitions, resolved, ignored)
