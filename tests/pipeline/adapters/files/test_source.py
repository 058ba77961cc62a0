import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.adapters.files import ColumnMapping, open_source
from pipeline.records import Problem
from tests.pipeline.adapters.files.tables import FORMATS, Row, only_partition, refusal, whole, write

MINUTE_US = 60_000_000
START_US = 1_391_774_400_000_000  # 2014-02-07 12:00:00 UTC


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources are named relative to an empty folder, as in a shell."""
    monkeypatch.chdir(tmp_path)


def minutes(count: int, **cells: Any) -> list[Row]:
    """Rows a minute apart, the same but for their time and value."""
    start = dt.datetime(2014, 2, 7, 12, tzinfo=dt.UTC)
    times = [(start + dt.timedelta(minutes=i)).strftime("%Y-%m-%d %H:%M:%S") for i in range(count)]
    return [{"timestamp": time, "value": i + 0.5} | cells for i, time in enumerate(times)]


NUMBERS = st.one_of(st.floats(), st.integers(-(2**70), 2**70), st.none())
KEYS = st.one_of(
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1), st.sampled_from(["", "a b", "NA", 'q"\n,'])
)


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    """Rows with a time, a key and two values; all times written in one way, all numbers as they come."""
    as_number = draw(st.booleans())
    rows = []
    for time_us in draw(st.lists(st.integers(10**14, 4 * 10**15), min_size=1, max_size=30)):
        moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=time_us)
        time = time_us if as_number else moment.isoformat()
        rows.append({"time": time, "time_us": time_us, "key": draw(KEYS), "a": draw(NUMBERS), "b": draw(NUMBERS)})
    return rows


def cells_for(suffix: str, row: Row) -> Row:
    """What of a row a file holds; Parquet has columns of one type."""
    cells = {name: row[name] for name in ("key", "b", "time", "a")}
    if suffix == ".parquet":
        cells |= {name: None if row[name] is None else float(row[name]) for name in ("a", "b")}
    return cells


@pytest.mark.parametrize("suffix", FORMATS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=tables(), batch_size=st.integers(1, 35), after_row=st.integers(0, 35))
def test_read_back(suffix: str, rows: list[Row], batch_size: int, after_row: int) -> None:
    """What was written is read back from every format, for any size of batches and from any row on."""
    path = write(Path(f"x{suffix}"), [cells_for(suffix, row) for row in rows])
    partition = only_partition(path, ColumnMapping(value_fields=("a", "b"), key_field="key"))
    batches = list(partition.batches(batch_size, after_row=after_row))
    read, rest = whole(batches), rows[after_row:]

    assert read.sizes == [min(batch_size, len(rest) - row) for row in range(0, len(rest), batch_size)]
    assert read.keys == [row["key"] for row in rest]
    assert read.time_us == [row["time_us"] for row in rest]
    assert read.position == list(range(after_row + 1, len(rows) + 1))
    keyless = [position for position, row in zip(read.position, rest, strict=True) if not row["key"]]
    assert read.problems == [Problem(position, -1, "bad_key", "") for position in keyless]
    expected = [[number(row[name]) if row["key"] else np.nan for name in ("a", "b")] for row in rest]
    np.testing.assert_array_equal(read.values, np.array(expected).reshape(read.values.shape))


def number(cell: float | None) -> float:
    """The value that a cell is read as."""
    return np.nan if cell is None else float(cell)


@pytest.mark.parametrize("suffix", FORMATS)
def test_large_file(suffix: str) -> None:
    """Records, keys and problems are the same for any size of batches, across the blocks in which a file is read."""
    count = 30_000
    rows: list[Row] = [
        {"t": START_US // 1000 + i, "note": "n" * 30, "key": f"k{i % 17}", "v": "bad" if i % 1000 == 3 else f"{i}.25"}
        for i in range(count)
    ]
    partition = only_partition(write(Path(f"x{suffix}"), rows), ColumnMapping(value_fields=("v",)))
    for batch_size, after_row in ((997, 0), (100_000, 0), (5000, 1), (100_000, 19_999), (997, 21_234)):
        read = whole(partition.batches(batch_size, after_row=after_row))
        kept = np.arange(after_row, count)
        assert read.sizes == [min(batch_size, len(kept) - i) for i in range(0, len(kept), batch_size)]
        assert read.keys == [f"k{i % 17}" for i in kept]
        np.testing.assert_array_equal(read.time_us, START_US + kept * 1000)
        np.testing.assert_array_equal(read.position, kept + 1)
        np.testing.assert_array_equal(read.values[:, 0], np.where(kept % 1000 == 3, np.nan, kept + 0.25))
        assert read.problems == [Problem(i + 1, 0, "not_a_number", "bad") for i in kept.tolist() if i % 1000 == 3]


def test_folder_of_formats() -> None:
    """Every file of a folder is a partition and a key, in sorted order, whatever its format."""
    for name in ("g/b.csv", "g/a.parquet", "c.jsonl.gz"):
        write(Path("d") / name, minutes(3))
    Path("d/README.md").touch()
    source = open_source("d", ColumnMapping())
    assert [partition.name for partition in source.partitions] == ["c", "g/a", "g/b"]
    assert [partition.path for partition in source.partitions] == [
        Path(f"d/{x}") for x in ("c.jsonl.gz", "g/a.parquet", "g/b.csv")
    ]
    assert [set(whole(partition.batches(2)).keys) for partition in source.partitions] == [{"c"}, {"g/a"}, {"g/b"}]
    assert (source.fields, source.ignored_files, source.total_rows) == (("value",), 1, 9)


@pytest.mark.parametrize("suffix", FORMATS)
def test_time_range(suffix: str) -> None:
    """Rows before the first time or at the end time are no part of any batch; the others keep their row numbers."""
    path = write(Path(f"x{suffix}"), minutes(10))
    bounds: dict[str, Any] = {"from_us": START_US + 3 * MINUTE_US, "to_us": START_US + 7 * MINUTE_US}
    read = whole(only_partition(path, **bounds).batches(3))
    assert (read.sizes, read.position) == ([3, 1], [4, 5, 6, 7])
    assert read.values[:, 0].tolist() == [3.5, 4.5, 5.5, 6.5]
    resumed = whole(only_partition(path, **bounds).batches(3, after_row=5))
    assert (resumed.sizes, resumed.position) == ([2], [6, 7])
    assert whole(only_partition(path, from_us=START_US + 99 * MINUTE_US).batches(3)).sizes == []


def test_problems_in_time_range_only() -> None:
    """An unusable value outside the range is nobody's problem, and others are at the right record."""
    rows = minutes(6)
    rows[0]["value"] = rows[3]["value"] = rows[5]["value"] = "x"
    path = write(Path("x.csv"), rows)
    bounds: dict[str, Any] = {"from_us": START_US + 2 * MINUTE_US, "to_us": START_US + 5 * MINUTE_US}
    (batch,) = only_partition(path, ColumnMapping(value_fields=("value",)), **bounds).batches(10)
    assert batch.position.tolist() == [3, 4, 5]
    assert batch.problems == (Problem(1, 0, "not_a_number", "x"),)


@pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if suffix != ".parquet"])
def test_unusable_values(suffix: str) -> None:
    """Text among numbers is NaN and a problem; missing values are NaN alone; infinities and spelled numbers stay."""
    cells = [1.5, "x", "", "NA", "nan", " 2.5 ", "1e5", "1,5", "-inf", "Infinity", "y"]
    rows = [row | {"w": cell, "z": 1} for row, cell in zip(minutes(len(cells)), cells, strict=True)]
    rows[1]["z"] = "also bad"
    path = write(Path(f"x{suffix}"), rows)
    partition = only_partition(path, ColumnMapping(value_fields=("value", "z", "w")))
    (batch,) = partition.batches(100)
    nan = np.nan
    np.testing.assert_array_equal(batch.values[:, 2], [1.5, nan, nan, nan, nan, 2.5, 1e5, nan, -np.inf, np.inf, nan])
    assert np.isnan(batch.values[:, 1]).tolist() == [False, True] + [False] * 9
    assert batch.problems == (
        Problem(1, 1, "not_a_number", "also bad"),
        Problem(1, 2, "not_a_number", "x"),
        Problem(7, 2, "not_a_number", "1,5"),
        Problem(10, 2, "not_a_number", "y"),
    )


def test_bad_key() -> None:
    """A record without a key is one problem, whatever its values are, and has none of them."""
    rows = [row | {"key": key} for row, key in zip(minutes(4), ["a", "", "b", " "], strict=True)]
    rows[1]["value"] = "x"
    (batch,) = only_partition(write(Path("x.csv"), rows)).batches(10)
    assert batch.problems == (Problem(1, -1, "bad_key", ""), Problem(3, -1, "bad_key", ""))
    assert batch.key_names == ["a", "", "b"]
    assert batch.key_codes.tolist() == [0, 1, 2, 1]
    np.testing.assert_array_equal(batch.values[:, 0], [0.5, np.nan, 2.5, np.nan])


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_numbered_keys(suffix: str) -> None:
    """Keys that are numbers are taken as written, whatever the others are."""
    rows = [row | {"key": i} for i, row in enumerate(minutes(3))]
    assert whole(only_partition(write(Path(f"x{suffix}"), rows)).batches(2)).keys == ["0", "1", "2"]


def test_float_keys_beside_others() -> None:
    """A JSON number is the same key whether or not its neighbours are numbers like it."""
    rows = [row | {"key": key} for row, key in zip(minutes(4), [7.0, 7, "7", 7.0], strict=True)]
    path = write(Path("x.jsonl"), rows)
    assert whole(only_partition(path).batches(9)).keys == ["7.0", "7", "7", "7.0"]
    assert whole(only_partition(path).batches(9, after_row=3)).keys == ["7.0"]


TIME_EXPECTED = "expected a time such as 2014-02-07 14:55:00 or 2014-02-07T14:55:00.5Z"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"time": "2014-02-07", "v": 1}, {"time": "soon", "v": 1}],
            f"x.csv, row 2, column 'time': found 'soon'; {TIME_EXPECTED}",
        ),
        (
            [{"time": "2014-02-07", "v": 1}, {"time": "", "v": 1}],
            f"x.csv, row 2, column 'time': found ''; {TIME_EXPECTED}",
        ),
        (
            [{"time": "07.02.2014", "v": 1}],
            f"x.csv, row 1, column 'time': found '07.02.2014'; {TIME_EXPECTED}",
        ),
        (
            [{"time": "2014-02-07", "v": 1}, {"time": 1391774400, "v": 1}],
            f"x.csv, row 2, column 'time': found '1391774400'; {TIME_EXPECTED}",
        ),
        (
            [{"time": 1391774400, "v": 1}, {"time": "2014-02-07", "v": 1}],
            "x.csv, row 2, column 'time': found '2014-02-07'; expected seconds since 1970",
        ),
        (
            [{"time": 1391774400, "v": 1}, {"time": 1391774401, "v": 1}, {"time": 1391774402000, "v": 1}],
            (
                "x.csv, row 3, column 'time': found 1391774402000, which has the size of milliseconds; "
                "expected seconds since 1970, as before"
            ),
        ),
        (
            [{"time": 1391774400000, "v": 1}, {"time": 1391774401, "v": 1}],
            (
                "x.csv, row 2, column 'time': found 1391774401, which has the size of seconds; "
                "expected milliseconds since 1970, as before"
            ),
        ),
    ],
)
def test_bad_times(rows: list[Row], message: str) -> None:
    """A time that is none, or of another unit than the first, ends the reading with its row."""
    partition = only_partition(write(Path("x.csv"), rows))
    assert refusal(lambda: list(partition.batches(10))) == message


def test_absent_time() -> None:
    """A JSON object without a time ends the reading with its row."""
    Path("x.jsonl").write_text('{"time": 1391774400, "v": 1}\n{"v": 1}\n')
    message = "x.jsonl, row 2, column 'time': found no time; expected seconds since 1970"
    assert refusal(lambda: list(only_partition("x.jsonl").batches(10))) == message


def test_unit_holds_for_all_files() -> None:
    """A file whose times are of another unit than the first file's is refused."""
    write(Path("d/a.csv"), [{"time": 1391774400, "v": 1}])
    write(Path("d/b.csv"), [{"time": 1391774400000, "v": 1}])
    second = open_source("d", ColumnMapping()).partitions[1]
    message = (
        "d/b.csv, row 1, column 'time': found 1391774400000, which has the size of milliseconds; "
        "expected seconds since 1970, as before"
    )
    assert refusal(lambda: list(second.batches(10))) == message


def test_given_unit_may_start_at_zero() -> None:
    """With a given unit small numbers are times shortly after 1970."""
    path = write(Path("x.csv"), [{"time": 0, "v": 1}, {"time": 250, "v": 1}])
    assert whole(only_partition(path, ColumnMapping(time_unit="ms")).batches(10)).time_us == [0, 250_000]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            {"value": "x"},
            "x.csv, row 3, column 'value': found 'x'; expected a number, or an empty cell for a missing one",
        ),
        ({"key": " "}, "x.csv, row 3, column 'key': found no key; expected one"),
    ],
)
@pytest.mark.parametrize("after_row", [0, 1, 2])
def test_strict(cells: Row, message: str, after_row: int) -> None:
    """Told to be strict, the reading ends at the first unusable value or key, with its row."""
    rows = minutes(5, key="k")
    rows[2] |= cells
    rows[4] |= cells
    path = write(Path("x.csv"), rows)
    assert refusal(lambda: list(only_partition(path, strict=True).batches(10, after_row=after_row))) == message
    to_us = START_US + 2 * MINUTE_US
    assert whole(only_partition(path, strict=True, to_us=to_us).batches(10)).position == [1, 2]


@pytest.mark.parametrize("name", ["b.jsonl", "d.jsonl"])
def test_files_must_agree(name: str) -> None:
    """A file that lacks a column of the first is refused with what it has; columns of its own do not matter."""
    write(Path("d/a.csv"), minutes(1))
    write(Path("d/c.parquet"), minutes(1, more=1))
    assert open_source("d", ColumnMapping()).fields == ("value",)
    write(Path("d") / name, [{"timestamp": "2014-02-07", "valve": 1}])
    assert refusal(lambda: open_source("d", ColumnMapping())) == (
        f"d/{name}: found no column 'value' among 'timestamp', 'valve'; expected that column; did you mean 'valve'?"
    )


def test_bad_arguments() -> None:
    """Sizes below one and rows below none are a caller's mistake."""
    partition = only_partition(write(Path("x.csv"), minutes(1)))
    with pytest.raises(ValueError, match="found batch_size=0, after_row=0; expected at least 1 and 0"):
        partition.batches(0)
    with pytest.raises(ValueError, match="found batch_size=1, after_row=-1; expected at least 1 and 0"):
        partition.batches(1, after_row=-1)
