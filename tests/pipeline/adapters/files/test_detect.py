import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.files import ColumnMapping, ResolvedMapping, open_source
from pipeline.errors import ConfigError
from tests.pipeline.adapters.files.tables import FORMATS, refusal, write

ROW = {"timestamp": "2014-02-07 12:00:00", "value": 1.5}


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources are named relative to an empty folder, as in a shell."""
    monkeypatch.chdir(tmp_path)


def resolved(rows: list[dict[str, Any]], mapping: ColumnMapping | None = None, suffix: str = ".csv") -> ResolvedMapping:
    """What becomes of `mapping` with a file of these rows."""
    return open_source(write(Path(f"x{suffix}"), rows), mapping or ColumnMapping()).mapping


@pytest.mark.parametrize("suffix", FORMATS)
def test_everything_detected(suffix: str) -> None:
    """Time, values and key are found by name and content, in file order, in every format."""
    rows = [{"b": 1.5, "key": "k", "note": "x", "Timestamp": "2014-02-07", "a": 2, "ok": True}] * 3
    assert resolved(rows, suffix=suffix) == ResolvedMapping(
        "Timestamp", ("b", "a"), "key", "iso", ("time_field", "value_fields", "key_field", "time_unit")
    )


@pytest.mark.parametrize("suffix", FORMATS)
def test_everything_given(suffix: str) -> None:
    """What is given is taken, against all that would be detected, and nothing is said to be detected."""
    rows = [{"timestamp": "2014-02-07", "when": 1391774400, "host": "h", "key": "k", "b": 1.5, "a": 2}] * 3
    mapping = ColumnMapping("when", ("a", "b"), "host", "s")
    assert resolved(rows, mapping, suffix) == ResolvedMapping("when", ("a", "b"), "host", "s", ())


@pytest.mark.parametrize("name", ["timestamp", "TIME", "ts", "Date", "datetime", "event_time", "@timestamp", "ds"])
def test_time_by_name(name: str) -> None:
    """A well-known name in any case makes the time, even among other times."""
    assert resolved([{"since": "2014-02-07", name: "2014-02-08", "v": 1}]).time_field == name


def test_time_by_name_that_holds_times() -> None:
    """Of several well-known names the one that holds times is chosen."""
    assert resolved([{"time": "12:00:00", "date": "2014-02-07", "v": 1}]).time_field == "date"


@pytest.mark.parametrize("cell", ["2014-02-07T12:00:00Z", 1391774400, 1391774400123, "1391774400.5"])
def test_time_by_content(cell: Any) -> None:
    """Without a well-known name the first column of dates or of plausible epoch numbers is the time."""
    rows = [{"v": 12.5, "small": 3, "measured": cell, "later": cell}] * 20
    assert resolved(rows).time_field == "measured"


def test_dates_before_numbers() -> None:
    """A number that could be an epoch is not taken for the time where another column has dates."""
    assert resolved([{"bytes": 1391774400, "measured": "2014-02-07"}]) == ResolvedMapping(
        "measured", ("bytes",), None, "iso", ("time_field", "value_fields", "time_unit")
    )


def test_typed_time() -> None:
    """A Parquet column of timestamps is a time by its type, whatever unit was asked for."""
    rows = [{"v": 1, "at": dt.datetime(2014, 2, 7, 12, tzinfo=dt.UTC)}]
    assert resolved(rows, suffix=".parquet").time_field == "at"
    assert resolved(rows, ColumnMapping(time_unit="ms"), ".parquet").time_field == "at"


def test_unit_given() -> None:
    """A given unit decides what counts as a time."""
    rows = [{"a": 1391774400, "b": 1391774400123, "v": "x", "w": 1}]
    assert resolved(rows, ColumnMapping(time_unit="ms")).time_field == "b"


@pytest.mark.parametrize(
    ("cell", "unit"),
    [
        ("2014-02-07", "iso"),
        (1391774400, "s"),
        (1391774400123, "ms"),
        (1391774400123456, "us"),
        (1391774400123456789, "ns"),
    ],
)
@pytest.mark.parametrize("suffix", FORMATS)
def test_unit_detected(cell: Any, unit: str, suffix: str) -> None:
    """The unit is told from the first time."""
    assert resolved([{"time": cell, "v": 1.5}], suffix=suffix).time_unit == unit


@pytest.mark.parametrize("name", ["key", "series_id"])
def test_key_by_name(name: str) -> None:
    """These two names, and no others, make the key."""
    assert resolved([ROW | {name: "k"}]).key_field == name
    assert resolved([ROW | {name.upper(): "k"}]).key_field is None


def test_numeric_key() -> None:
    """A key that is a number is no value."""
    assert resolved([ROW | {"key": 7}]).value_fields == ("value",)
    assert resolved([ROW | {"host": 7}], ColumnMapping(key_field="host")).value_fields == ("value",)


def test_key_given_as_value() -> None:
    """A column asked for as a value is not taken for the key."""
    assert resolved([ROW | {"key": 1}], ColumnMapping(value_fields=("key",))).key_field is None


def test_numbers_prevail() -> None:
    """A column is numeric when it has more numbers than other text; empty cells have no say."""
    cells = [("1", "x", ""), ("x", "1", "NA"), ("2", "y", "3"), ("", "", "")]
    rows = [ROW | {"mostly": a, "hardly": b, "rarely": c} for a, b, c in cells]
    assert resolved(rows).value_fields == ("value", "mostly", "rarely")


def test_unnamed_columns_are_left_out() -> None:
    """The index that some programs write without a name is no value."""
    Path("x.csv").write_text(",timestamp, value ,\n0,2014-02-07,1.5,\n")
    assert open_source("x.csv", ColumnMapping()).fields == ("value",)


def test_empty_parquet_column() -> None:
    """A column of a numeric type is a value even if its first rows are empty."""
    assert resolved([ROW | {"w": float("nan")}], suffix=".parquet").value_fields == ("value", "w")


@pytest.mark.parametrize(
    ("rows", "mapping", "message"),
    [
        (
            [ROW],
            ColumnMapping(time_field="timestmp"),
            (
                "x.csv: found no column 'timestmp' among 'timestamp', 'value'; "
                "expected that column; did you mean 'timestamp'?"
            ),
        ),
        (
            [ROW],
            ColumnMapping(value_fields=("value", "valu")),
            "x.csv: found no column 'valu' among 'timestamp', 'value'; expected that column; did you mean 'value'?",
        ),
        (
            [ROW],
            ColumnMapping(key_field="host"),
            "x.csv: found no column 'host' among 'timestamp', 'value'; expected that column",
        ),
        (
            [{f"c{i}": i for i in range(12)}],
            ColumnMapping(),
            (
                "x.csv: found no column of times among "
                "'c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8', 'c9' and 2 more; "
                "expected dates or epoch numbers in one of them; name it as the time field"
            ),
        ),
        (
            [{"timestamp": "2014-02-07", "host": "h"}],
            ColumnMapping(),
            (
                "x.csv: found 0 numeric columns beside the time 'timestamp' among 'timestamp', 'host'; "
                "expected at least one column of numbers"
            ),
        ),
        (
            [ROW | {"host": "web-1"}],
            ColumnMapping(value_fields=("host",)),
            "x.csv, column 'host': found no numbers, but text such as 'web-1'; expected numbers",
        ),
    ],
)
def test_refused(rows: list[dict[str, Any]], mapping: ColumnMapping, message: str) -> None:
    """Columns that are not there or of no use are named, with the nearest that is there."""
    assert refusal(lambda: resolved(rows, mapping)) == message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"value_fields": ()},
            "value_fields: found none; expected at least one column, or no such setting to detect them",
        ),
        (
            {"time_field": "a", "value_fields": ("b", "a")},
            "column mapping: found 'a' twice; expected each column once among time, key and values",
        ),
        (
            {"value_fields": ("b", "b")},
            "column mapping: found 'b' twice; expected each column once among time, key and values",
        ),
    ],
)
def test_mapping_refused(given: dict[str, Any], message: str) -> None:
    """A mapping that contradicts itself is refused before any file is opened."""
    with pytest.raises(ConfigError) as caught:
        ColumnMapping(**given)
    assert str(caught.value) == message


def test_columns_of_mapping() -> None:
    """All columns that are read: the time, the values, the key last."""
    assert ResolvedMapping("t", ("a", "b"), None, "s").columns == ("t", "a", "b")
    assert ResolvedMapping("t", ("a",), "k", "s").columns == ("t", "a", "k")
