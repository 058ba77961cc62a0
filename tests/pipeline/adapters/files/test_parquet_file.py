from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.adapters.files.parquet_file import ParquetReader
from tests.pipeline.adapters.files.tables import refusal


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are named relative to an empty folder, as in a shell."""
    monkeypatch.chdir(tmp_path)


def reader(table: pa.Table, row_group_size: int | None = None) -> ParquetReader:
    """A reader of a file of this table."""
    parquet.write_table(table, "x.parquet", row_group_size=row_group_size)
    return ParquetReader(Path("x.parquet"))


@pytest.mark.parametrize("row_group_size", [1, 7, 100, None])
@pytest.mark.parametrize("after_row", [0, 1, 7, 99, 100, 1500, 1999, 2000, 3000])
def test_rows(row_group_size: int | None, after_row: int) -> None:
    """Every row behind the one given comes once, with its number, however the file is cut into groups."""
    file = reader(pa.table({"a": np.arange(1, 2001), "b": np.arange(2000.0)}), row_group_size)
    blocks = list(file.read(["b", "a"], after_row=after_row))
    assert [row for block in blocks for row in block.columns[1].to_pylist()] == list(range(after_row + 1, 2001))
    assert [row - 1 for block in blocks for row in block.columns[0].to_pylist()] == list(range(after_row - 1, 1999))
    assert [block.first_row for block in blocks] == [block.columns[1][0].as_py() for block in blocks]
    assert file.estimate_rows() == 2000


def test_dotted_names() -> None:
    """A dot in a name is part of it, and nested columns beside it do no harm."""
    file = reader(pa.table({"cpu": [1], "cpu.load": [2], "nested": [{"cpu": 3}]}))
    assert file.columns() == ("cpu", "cpu.load", "nested")
    (block,) = file.read(["cpu.load", "cpu"])
    assert [column.to_pylist() for column in block.columns] == [[2], [1]]


def test_wide_and_long() -> None:
    """Memory is bounded: a wide file comes in blocks of few rows."""
    file = reader(pa.table({f"c{i}": np.zeros(3000) for i in range(300)}))
    blocks = list(file.read(file.columns(), after_row=10))
    assert [(block.first_row, len(block.columns[0])) for block in blocks] == [(11, 1014), (1025, 1024), (2049, 952)]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            pa.table({"a": pa.array([], pa.int8())}),
            "x.parquet: found columns and no rows; expected at least one row of data",
        ),
        (pa.table([[1], [2]], names=["a", "a"]), "x.parquet: found two columns named 'a'; expected each name once"),
        (
            pa.table([[1]], names=[""]),
            "x.parquet: found no named columns; expected one of times and one of numbers at least",
        ),
    ],
)
def test_columns_refused(table: pa.Table, message: str) -> None:
    """A file without rows or proper names is refused on opening."""
    assert refusal(reader(table).columns) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x.parquet: found an empty file; expected rows of data"),
        (
            b"timestamp,value\n2014-02-07,1\n",
            (
                "x.parquet: found damaged data (Parquet magic bytes not found in footer. "
                "Either the file is corrupted or this is not a parquet file.); expected a whole Parquet file"
            ),
        ),
    ],
)
def test_not_parquet(content: bytes, message: str) -> None:
    """A file of another format is refused."""
    Path("x.parquet").write_bytes(content)
    assert refusal(ParquetReader(Path("x.parquet")).columns) == message


def test_damaged_page() -> None:
    """Damage that shows only when the rows are read is refused too."""
    file = reader(pa.table({"a": np.random.default_rng(7).normal(size=1000)}))
    content = bytearray(file.path.read_bytes())
    content[4:60] = b"\xff" * 56
    file.path.write_bytes(content)
    assert file.columns() == ("a",)
    assert refusal(lambda: list(file.read(["a"]))).startswith("x.parquet: found damaged data (")


def test_text_that_is_no_utf8() -> None:
    """Text that another program wrote in another encoding is refused."""
    text = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xb0C"]).buffers())
    file = reader(pa.table({"a": text}))
    assert refusal(lambda: list(file.read(["a"]))).startswith("x.parquet: found damaged data (")
