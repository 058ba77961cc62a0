"""Parquet files: read by row groups and batches, so that memory stays bounded and a resumed read skips what it can."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyarrow import parquet

from pipeline.adapters.files.blocks import Block, check_names
from pipeline.adapters.files.text_file import reading
from pipeline.errors import InputError

_BLOCK_CELLS = 1 << 18
_LEAST_ROWS = 1 << 10


@dataclass(frozen=True, slots=True)
class ParquetReader:
    """Reads the top-level columns of a Parquet file."""

    path: Path

    def columns(self) -> tuple[str, ...]:
        """Names of the columns; one without a name is left out."""
        with self._open() as file:
            names = tuple(name for name in file.schema_arrow.names if name)
            if file.metadata.num_rows == 0:
                raise InputError(str(self.path), found="columns and no rows", expected="at least one row of data")
        check_names(self.path, names)
        return names

    def estimate_rows(self) -> int:
        """The number of rows, exactly."""
        with self._open() as file:
            rows: int = file.metadata.num_rows
        return rows

    def read(self, columns: Sequence[str], *, after_row: int = 0) -> Iterator[Block]:
        """Blocks of cells as the file has typed them."""
        with self._open() as file:
            row = 1
            groups = range(file.metadata.num_row_groups)
            while groups and row + file.metadata.row_group(groups[0]).num_rows <= after_row + 1:
                row += file.metadata.row_group(groups[0]).num_rows
                groups = groups[1:]
            rows = max(_BLOCK_CELLS // len(columns), _LEAST_ROWS)
            for batch in file.iter_batches(rows, row_groups=groups, columns=list(columns)):
                batch.validate(full=True)  # text need not be UTF-8 in a file that another program wrote
                skip = min(max(after_row - row + 1, 0), len(batch))
                if skip < len(batch):
                    yield Block(row + skip, tuple(batch.column(name)[skip:] for name in columns))
                row += len(batch)

    @contextmanager
    def _open(self) -> Iterator[parquet.ParquetFile]:
        with reading(self.path, "Parquet"):
            if self.path.stat().st_size == 0:
                raise InputError(str(self.path), found="an empty file", expected="rows of data")
            # a row group is read page by page rather than fetched whole
            with parquet.ParquetFile(self.path, pre_buffer=False) as file:
                yield file
