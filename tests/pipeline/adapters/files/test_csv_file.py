import gzip
from pathlib import Path

import pytest

from pipeline.adapters.files.csv_file import CsvReader
from tests.pipeline.adapters.files.tables import refusal


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are named relative to an empty folder, as in a shell."""
    monkeypatch.chdir(tmp_path)


def reader(content: bytes, name: str = "x.csv") -> CsvReader:
    """A reader of a file of these bytes."""
    Path(name).write_bytes(content)
    return CsvReader(Path(name), "\t" if name.endswith(".tsv") else ",")


def rows(csv: CsvReader, *columns: str, after_row: int = 0) -> list[tuple[str, ...]]:
    """Cells by row, preceded by the row's number."""
    found: list[tuple[str, ...]] = []
    for block in csv.read(columns, after_row=after_row):
        cells = zip(*(column.to_pylist() for column in block.columns), strict=True)
        found += [(str(block.first_row + index), *row) for index, row in enumerate(cells)]
    return found


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n3,4\n",
        b"a,b\n1,2\n3,4",
        b"a,b\r\n1,2\r\n3,4\r\n",
        b"a,b\r1,2\r3,4\r",
        b"\xef\xbb\xbfa,b\n1,2\n3,4\n",
        b"\n\na,b\n\n1,2\n\n\n3,4\n\n",
        b"a,b\n  \n1,2\n \t\n3,4\n  \n",
        b'"a","b"\n"1","2"\n"3","4"\n',
        b" a, b \n1,2\n3,4\n",
        b"a,b,\n1,2,\n3,4,\n",
        b"a,x,b\n1,\xe9,2\n3,,4\n",
    ],
)
def test_spellings(content: bytes) -> None:
    """Line ends, byte order mark, blank lines, quotes and unused columns make no difference to rows and numbers."""
    csv = reader(content)
    assert [name for name in csv.columns() if name != "x"] == ["a", "b"]
    assert rows(csv, "b", "a") == [("1", "2", "1"), ("2", "4", "3")]
    assert rows(csv, "b", "a", after_row=1) == [("2", "4", "3")]
    assert rows(csv, "b", "a", after_row=2) == []


def test_tabs() -> None:
    """TSV files have tabs between cells, and commas in them."""
    csv = reader(b"a\tb\n1,5\t2\n", "x.tsv")
    assert csv.columns() == ("a", "b")
    assert rows(csv, "a") == [("1", "1,5")]


def test_quoted_line_ends() -> None:
    """A line end in quotes is part of the cell, so that rows are counted by records rather than lines."""
    csv = reader(b'a,b\n"1\n1","2\r\n\r\n2"\n3,"say ""4"", please"\n')
    assert rows(csv, "a", "b") == [("1", "1\n1", "2\r\n\r\n2"), ("2", "3", 'say "4", please')]


@pytest.mark.parametrize("after_row", [0, 1, 20_000, 59_998, 59_999, 60_000, 70_000])
def test_many_blocks(after_row: int) -> None:
    """Rows keep their numbers across blocks, with line ends in quotes and blank lines wherever they fall."""
    lines = [f'{i},"{i}\n{i}"\n' + "\n" * (i % 3) for i in range(1, 60_001)]
    csv = reader("".join(["a,b\n", *lines]).encode())
    assert csv.path.stat().st_size > 1 << 20
    expected = [(str(i), str(i), f"{i}\n{i}") for i in range(after_row + 1, 60_001)]
    assert rows(csv, "a", "b", after_row=after_row) == expected


def test_gzip_in_parts() -> None:
    """A gzip file made of several, one after the other, is read as one."""
    csv = reader(gzip.compress(b"a,b\n1,2\n") + gzip.compress(b"3,4\n"), "x.csv.gz")
    assert rows(csv, "a", "b") == [("1", "1", "2"), ("2", "3", "4")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x.csv: found an empty file; expected rows of data"),
        (b"\xef\xbb\xbf", "x.csv: found an empty file; expected rows of data"),
        (b"\n \n", "x.csv: found an empty file; expected rows of data"),
        (b"a,b\n", "x.csv: found a header and no rows; expected at least one row of data"),
        (b"a,b", "x.csv: found a header and no rows; expected at least one row of data"),
        (b"a,b\n\n  \n", "x.csv: found a header and no rows; expected at least one row of data"),
        (b",\n1,2\n", "x.csv: found no named columns; expected one of times and one of numbers at least"),
        (b"a,b,a\n1,2,3\n", "x.csv: found two columns named 'a'; expected each name once"),
        (b"a;b\n1;2\n", "x.csv: found one column 'a;b'; expected several with ',' between them"),
        (b"a,\xe9\n1,2\n", "x.csv: found a header that is no UTF-8; expected text in UTF-8"),
        (
            b"2014-02-07 12:00:00,1.5\n2014-02-07 12:05:00,2\n",
            "x.csv: found data in the first row ('2014-02-07 12:00:00', '1.5'); expected column names",
        ),
    ],
)
def test_columns_refused(content: bytes, message: str) -> None:
    """A file without proper columns or without rows is refused on opening, with what is wrong with it."""
    assert refusal(reader(content).columns) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n1,2\n\n3,4\n5,6,7\n", "x.csv, row 3: found 3 column(s) in '5,6,7'; expected 2, as in the header"),
        (b"a,b\n \n1,2\n  \n3\n", "x.csv, row 2: found 1 column(s) in '3'; expected 2, as in the header"),
        (b'a,b\n"1\n1",2\n3\n', "x.csv, row 2: found 1 column(s) in '3'; expected 2, as in the header"),
        (b'a,b\n1,2\n"3,4\n5,6\n', "x.csv, row 2: found 1 column(s) in '\"3,4\\n5,6'; expected 2, as in the header"),
        (
            b"a,b\n1,2\n" + b"3," * 50 + b"\n",
            "x.csv, row 2: found 51 column(s) in '" + "3," * 19 + "3…'; expected 2, as in the header",
        ),
        (b"a,b\n1,2\n3,\xb0C\n", "x.csv, row 2, column 'b': found b'\\xb0C'; expected text in UTF-8"),
        (
            b"a,b\n1,2\n\n3,4,\xb0C\n",
            "x.csv, row 2: found 3 column(s) in text that is no UTF-8; expected 2, as in the header, in UTF-8",
        ),
        (
            b'a,b\n1,"' + b"2,3\n" * (1 << 19),
            "x.csv: found a row of more than 1 MiB; expected shorter rows; is a quote left open?",
        ),
    ],
)
def test_rows_refused(content: bytes, message: str) -> None:
    """A row that cannot be taken apart is refused with its number."""
    csv = reader(content)
    assert refusal(lambda: rows(csv, "a", "b")) == message


def test_refused_in_a_later_block() -> None:
    """The number of a bad row is right however far into the file it is, blank lines before it or not."""
    good = (b"1,2\n" * 1000 + b" \n\n") * 600
    assert len(good) > 2 << 20
    wide, latin = reader(b"a,b\n" + good + b"1,2,3\n", "wide.csv"), reader(b"a,b\n" + good + b"1,\xff\n")
    assert refusal(lambda: rows(wide, "a")).startswith("wide.csv, row 600001: found 3 column(s)")
    assert refusal(lambda: rows(latin, "b")).startswith("x.csv, row 600001, column 'b': found b'\\xff';")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"a,b\n1,2\n",
            "x.csv.gz: found damaged data (zlib inflate failed: incorrect header check); expected a whole CSV file",
        ),
        (
            gzip.compress(b"a,b\n" + b"1,2\n" * 1000, mtime=0)[:-12],
            "x.csv.gz: found damaged data (Truncated compressed stream); expected a whole CSV file",
        ),
    ],
)
def test_damaged_gzip(content: bytes, message: str) -> None:
    """A file that is no gzip, or only the beginning of one, is refused."""
    csv = reader(content, "x.csv.gz")
    assert refusal(lambda: (csv.columns(), rows(csv, "a"))) == message


def test_unreadable() -> None:
    """What the operating system says of a file is passed on."""
    message = "gone.csv: found a file that cannot be read (No such file or directory); expected access to it"
    assert refusal(CsvReader(Path("gone.csv"), ",").columns) == message


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
@pytest.mark.parametrize("lines", [1, 100, 200_000])
def test_estimate(name: str, lines: int) -> None:
    """The number of rows is exact for a small file and near the truth for a large one, compressed or not."""
    content = b"a,b\n" + b"".join(b"%06d,2\n" % i for i in range(lines))
    estimate = reader(gzip.compress(content) if name.endswith(".gz") else content, name).estimate_rows()
    assert estimate == lines if lines < 1000 else abs(estimate / lines - 1) < 0.01
