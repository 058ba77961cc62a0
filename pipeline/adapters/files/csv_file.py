"""CSV and TSV files: taken apart by Arrow, block by block, without guessing at types."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from pipeline.adapters.files.blocks import Block, check_names, listed, shorten
from pipeline.adapters.files.cells import parse_values
from pipeline.adapters.files.text_file import estimate_lines, open_text, read_head, reading
from pipeline.adapters.files.times import CellError, first_failing, parse_times
from pipeline.errors import InputError

_BLOCK_BYTES = 1 << 20
_WIDTHS = re.compile(r"Row #(\d+): Expected (\d+) columns, got (\d+)")
"""Of the row that Arrow tells of where it could not call `_RowCheck`."""


@dataclass(slots=True)
class _RowCheck:
    """Arrow's callback for a row of another width than the header: a blank one is skipped, another ends the reading."""

    skipped: int = 0
    bad: csv.InvalidRow | None = None

    def __call__(self, row: csv.InvalidRow) -> str:
        if not row.text.strip():
            self.skipped += 1
            return "skip"
        self.bad = row
        return "error"

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While Arrow reads: a row that is no UTF-8 ends the reading as well.

        Arrow cannot make such a row a str for the callback, and has Python tell so by a traceback.
        """
        usual = sys.unraisablehook

        def tell(unraisable: "sys.UnraisableHookArgs") -> None:
            if unraisable.object is not self:
                usual(unraisable)

        sys.unraisablehook = tell
        try:
            yield
        finally:
            sys.unraisablehook = usual


@dataclass(frozen=True, slots=True)
class _Batches:
    """What Arrow reads of an open file."""

    reader: csv.CSVStreamingReader
    check: _RowCheck

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while True:
            with self.check.listening():
                batch = next(self.reader, None)
            if batch is None:
                return
            yield batch

    def names(self) -> list[str]:
        """Of the columns, as they are in the header."""
        names: list[str] = self.reader.schema.names
        return names


@dataclass(frozen=True, slots=True)
class CsvReader:
    """Reads text with a header row and cells between `delimiter`; cells may be quoted and hold line ends."""

    path: Path
    delimiter: str

    def columns(self) -> tuple[str, ...]:
        """Names of the columns without blanks around them; columns without a name are left out."""
        with reading(self.path, "CSV"):
            read_head(self.path)
        names = [name.strip() for name in self._header()]
        if len(names) == 1:
            raise InputError(
                str(self.path),
                found=f"one column {shorten(names[0])!r}",
                expected=f"several with {self.delimiter!r} between them",
            )
        named = tuple(name for name in names if name)
        check_names(self.path, named)
        if all(map(_is_data, named)):
            raise InputError(str(self.path), found=f"data in the first row ({listed(named)})", expected="column names")
        if next(self.read(named[:1]), None) is None:
            raise _no_rows(self.path)
        return named

    def estimate_rows(self) -> int:
        """Lines but the header, were they all as long as the first."""
        with reading(self.path, "CSV"):
            return max(estimate_lines(self.path) - 1, 1)

    def read(self, columns: Sequence[str], *, after_row: int = 0) -> Iterator[Block]:
        """Blocks of text cells; blank lines are no rows."""
        in_header = {name.strip(): name for name in self._header()}
        wanted = [in_header[name] for name in columns]
        # bytes, so that a cell that is no UTF-8 can be pointed at
        convert = csv.ConvertOptions(column_types=dict.fromkeys(wanted, pa.binary()), include_columns=wanted)
        row = 1
        with self._open(convert) as batches:
            for batch in batches:
                skip = min(max(after_row - row + 1, 0), len(batch))
                if skip < len(batch):
                    cells = zip(columns, batch.columns, strict=True)
                    yield Block(row + skip, tuple(self._text(cell[skip:], name, row + skip) for name, cell in cells))
                row += len(batch)

    def _header(self) -> list[str]:
        with self._open(csv.ConvertOptions()) as batches:
            try:
                names = batches.names()
            except UnicodeDecodeError as exc:
                raise InputError(str(self.path), found="a header that is no UTF-8", expected="text in UTF-8") from exc
        return names

    @contextmanager
    def _open(self, convert: csv.ConvertOptions) -> Iterator["_Batches"]:
        check = _RowCheck()
        # one thread: only then does Arrow count rows, and it is the faster way with one core to spare
        read = csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False)
        parse = csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=check)
        with reading(self.path, "CSV"), open_text(self.path) as stream:
            try:
                with check.listening():
                    batches = csv.open_csv(stream, read, parse, convert)
                with batches:
                    yield _Batches(batches, check)
            except pa.ArrowInvalid as exc:
                raise self._explained(exc, check) from exc

    def _explained(self, error: pa.ArrowInvalid, check: _RowCheck) -> InputError:
        if check.bad is not None:
            return InputError(
                str(self.path),
                row=check.bad.number - 1 - check.skipped,
                found=f"{check.bad.actual_columns} column(s) in {shorten(check.bad.text)!r}",
                expected=f"{check.bad.expected_columns}, as in the header",
            )
        if widths := _WIDTHS.search(str(error)):
            row, expected, actual = map(int, widths.groups())
            return InputError(
                str(self.path),
                row=row - 1 - check.skipped,
                found=f"{actual} column(s) in text that is no UTF-8",
                expected=f"{expected}, as in the header, in UTF-8",
            )
        if "Empty CSV" in str(error):
            return _no_rows(self.path)
        if "straddl" in str(error):
            found = f"a row of more than {_BLOCK_BYTES >> 20} MiB"
            return InputError(str(self.path), found=found, expected="shorter rows; is a quote left open?")
        return InputError(str(self.path), found=str(error).splitlines()[0], expected="a CSV file")

    def _text(self, cells: pa.Array, column: str, first_row: int) -> pa.Array:
        try:
            return cells.cast(pa.string())
        except pa.ArrowInvalid as exc:
            index = first_failing(cells, lambda some: some.cast(pa.string()))
            raise InputError(
                str(self.path),
                row=first_row + index,
                column=column,
                found=shorten(repr(cells[index].as_py())),
                expected="text in UTF-8",
            ) from exc


def _no_rows(path: Path) -> InputError:
    return InputError(str(path), found="a header and no rows", expected="at least one row of data")


def _is_data(name: str) -> bool:
    """Whether a column name is a number or a time, as in a file without a header."""
    cells = pa.array([name])
    if not parse_values(cells)[1]:
        return True
    try:
        parse_times(cells, "iso")
    except CellError:
        return False
    return True
