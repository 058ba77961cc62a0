import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.adapters.files.json_file import JsonReader
from tests.pipeline.adapters.files.tables import refusal


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are named relative to an empty folder, as in a shell."""
    monkeypatch.chdir(tmp_path)


def reader(content: bytes, name: str = "x.jsonl") -> JsonReader:
    """A reader of a file of these bytes."""
    Path(name).write_bytes(content)
    return JsonReader(Path(name))


def rows(lines: JsonReader, *columns: str, after_row: int = 0) -> list[tuple[Any, ...]]:
    """Cells by row, preceded by the row's number."""
    found: list[tuple[Any, ...]] = []
    for block in lines.read(columns, after_row=after_row):
        cells = zip(*(column.to_pylist() for column in block.columns), strict=True)
        found += [(block.first_row + index, *row) for index, row in enumerate(cells)]
    return found


@pytest.mark.parametrize(
    "content",
    [
        b'{"a":1,"b":2}\n{"a":3,"b":4}\n',
        b'{"a":1,"b":2}\n{"b":4,"a":3}',
        b'\xef\xbb\xbf{"a":1,"b":2}\r\n{"a":3,"b":4}\r\n',
        b'\n\n {"a": 1, "b": 2}\n  \n\t{"a": 3, "b": 4} \n\n',
        b'{"a":1,"b":2,"c":[{"d":"\\n"}]}\n{"a":3,"b":4,"":5}\n',
    ],
)
def test_spellings(content: bytes) -> None:
    """Line ends, byte order mark, blank lines, order and unused names make no difference to rows and their numbers."""
    lines = reader(content)
    assert [name for name in lines.columns() if name != "c"] == ["a", "b"]
    assert rows(lines, "b", "a") == [(1, 2, 1), (2, 4, 3)]
    assert rows(lines, "b", "a", after_row=1) == [(2, 4, 3)]
    assert rows(lines, "b", "a", after_row=2) == []


def test_columns_of_some_rows() -> None:
    """Columns are all names of the first rows; what a row lacks is absent there."""
    lines = reader(b'{"a":1}\n{"b":2,"a":null}\n')
    assert lines.columns() == ("a", "b")
    assert rows(lines, "a", "b") == [(1, 1, None), (2, None, 2)]


@pytest.mark.parametrize(
    ("cells", "array"),
    [
        ("1 2 null", pa.array([1, 2, None])),
        ("1.5 2.0", pa.array([1.5, 2.0])),
        ("1 2.5 3.0", pa.array(["1", "2.5", "3.0"])),
        ('1 "x" null true', pa.array(["1", "x", None, "true"])),
        ("9007199254740993 1.5", pa.array(["9007199254740993", "1.5"])),
        ("123456789012345678901234567890 1", pa.array(["123456789012345678901234567890", "1"])),
        ("true false", pa.array(["true", "false"])),
        ('[1,"x"] {"y":null}', pa.array(['[1,"x"]', '{"y":null}'])),
        ("Infinity -Infinity 1e400", pa.array([float("inf"), -float("inf"), float("inf")])),
        ("NaN 1", pa.array(["nan", "1"])),
    ],
)
def test_cells(cells: str, array: pa.Array) -> None:
    """A column is typed only where all its cells are alike; as text a number is still the same number."""
    lines = reader("".join(f'{{"a":{cell}}}\n' for cell in cells.split()).encode())
    (block,) = lines.read(["a"])
    assert block.columns[0].equals(array)


@pytest.mark.parametrize("after_row", [0, 1, 50_000, 99_999, 100_000, 100_001])
def test_many_blocks(after_row: int) -> None:
    """Rows keep their numbers across blocks, blank lines or not."""
    lines = reader("".join(f'{{"a":{i}}}\n' + "\n" * (i % 3) for i in range(1, 100_001)).encode())
    assert lines.path.stat().st_size > 1 << 20
    assert rows(lines, "a", after_row=after_row) == [(i, i) for i in range(after_row + 1, 100_001)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"a":1', "found '{\"a\":1', which is not valid JSON; expected one JSON object per line"),
        (b'{"a":1} {"a":2}', 'found \'{"a":1} {"a":2}\', which is not valid JSON; expected one JSON object per line'),
        (b"a,b", "found 'a,b', which is not valid JSON; expected one JSON object per line"),
        (b"[1, 2]", "found [1, 2]; expected one JSON object per line"),
        (b"null", "found null; expected one JSON object per line"),
        (b'{"a":"\xb0C"}', 'found b\'{"a":"\\xb0C"}\'; expected text in UTF-8'),
    ],
)
@pytest.mark.parametrize("before", [0, 3])
def test_refused(line: bytes, message: str, before: int) -> None:
    """A line that is no object is refused with the number of its row, however far into the file it is."""
    lines = reader(b'{"a":1}\n\n' * before + line + b"\n")
    assert refusal(lambda: rows(lines, "a")) == f"x.jsonl, row {before + 1}: {message}"


def test_refused_in_a_later_block() -> None:
    """The number of a bad row is right however far into the file it is."""
    lines = reader(b'{"a":1}\n\n' * 150_000 + b"{")
    assert refusal(lambda: rows(lines, "a")).startswith("x.jsonl, row 150001: found '{',")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x.jsonl: found an empty file; expected rows of data"),
        (b"\xef\xbb\xbf\n", "x.jsonl: found an empty file; expected rows of data"),
        (b" \n\n", "x.jsonl: found an empty file; expected rows of data"),
        (b"{}\n{}\n", "x.jsonl: found no named columns; expected one of times and one of numbers at least"),
        (b"[\n", "x.jsonl, row 1: found '[', which is not valid JSON; expected one JSON object per line"),
        (
            b'{"a":"' + b"x" * (18 << 20),
            "x.jsonl: found a line of more than 16 MiB; expected one JSON object per line",
        ),
    ],
)
def test_columns_refused(content: bytes, message: str) -> None:
    """A file without rows or without names is refused on opening."""
    assert refusal(reader(content).columns) == message


def test_damaged_gzip() -> None:
    """The beginning of a gzip file is refused."""
    content = gzip.compress(b'{"a":1}\n' * 1000)[:-12]
    lines = reader(content, "x.jsonl.gz")
    message = "x.jsonl.gz: found damaged data (Truncated compressed stream); expected a whole JSON lines file"
    assert refusal(lambda: rows(lines, "a")) == message


@pytest.mark.parametrize("count", [1, 100, 200_000])
def test_estimate(count: int) -> None:
    """The number of rows is exact for a small file and near the truth for a large one."""
    estimate = reader(b"".join(b'{"a":%06d}\n' % i for i in range(count))).estimate_rows()
    assert estimate == count if count < 1000 else abs(estimate / count - 1) < 0.01
