from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.adapters.files.labelled import LabelledColumns, open_folder
from pipeline.adapters.files.labelled.layout import FIRST_US
from pipeline.errors import ConfigError, InputError
from pipeline.labelled import LabelledStream
from tests.pipeline.adapters.files.tables import write

MINUTE_US = 60_000_000
TIMES = [f"2024-01-01 00:0{minute}:00" for minute in range(5)]
LABELS = [0, 1, 1, 0, 1]


def read_one(path: Path, **columns: Any) -> LabelledStream:
    """The only stream of a folder."""
    (file,) = open_folder(path, LabelledColumns(**columns)).files
    return file.read()


def table(**columns: list[Any]) -> list[dict[str, Any]]:
    """Rows of columns."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


@pytest.mark.parametrize("extension", [".csv", ".tsv.gz", ".jsonl", ".parquet"])
@pytest.mark.parametrize("label", ["label", "is_anomaly", "Anomaly"])
def test_columns_are_found_out(tmp_path: Path, extension: str, label: str) -> None:
    """Time, label and values are told apart in every format, and text that is no number is left out."""
    columns: dict[str, list[Any]] = {"time": TIMES, "x": [1.5, 2.0, 3.0, 4.0, 5.0], label: LABELS, "y": [0] * 5}
    rows = table(**columns, place=["a"] * 5)
    write(tmp_path / "in" / f"plant/one{extension}", rows)
    stream = read_one(tmp_path / "in")
    assert (stream.name, stream.fields) == ("plant/one", ("x", "y"))
    assert stream.values.tolist() == [[1.5, 0], [2, 0], [3, 0], [4, 0], [5, 0]]
    assert stream.is_anomaly.tolist() == [False, True, True, False, True]
    assert np.diff(stream.time_us).tolist() == [MINUTE_US] * 4
    assert ((stream.windows - stream.time_us[0]) // MINUTE_US).tolist() == [[1, 2], [4, 4]]
    assert stream.history == 0


@pytest.mark.parametrize("counted", [{}, {"timestamp": [0, 1, 2, 3, 4]}, {"index": [7, 8, 9, 10, 11]}])
def test_rows_without_times_are_equally_spaced(tmp_path: Path, counted: dict[str, list[int]]) -> None:
    """A column that counts rows is neither time nor value; the interval is the user's."""
    write(tmp_path / "one.csv", table(**counted, Data=[2.0, 4.0, 3.0, 3.0, 1.0], Label=LABELS))
    stream = read_one(tmp_path, interval_us=5_000_000)
    assert stream.fields == ("Data",)
    assert stream.time_us.tolist() == [FIRST_US + 5_000_000 * row for row in range(5)]


def test_large_values_are_no_times(tmp_path: Path) -> None:
    """Numbers that have the size of epoch numbers are values unless they rise; those that rise are times."""
    write(tmp_path / "one.csv", table(bytes=[2e9, 1.9e9, 2.1e9, 2e9, 2e9], label=LABELS))
    assert read_one(tmp_path).fields == ("bytes",)
    write(tmp_path / "one.csv", table(at=[1_700_000_000 + n for n in range(5)], x=[1] * 5, label=LABELS))
    stream = read_one(tmp_path)
    assert stream.fields == ("x",)
    assert stream.time_us[0] == 1_700_000_000_000_000


def test_columns_can_be_named(tmp_path: Path) -> None:
    """What the user says goes, in the order in which it is said."""
    write(tmp_path / "one.csv", table(x=[1] * 5, fault=LABELS, y=[2] * 5, label=[9] * 5, when=[10, 20, 30, 40, 50]))
    stream = read_one(tmp_path, label_field="fault", value_fields=("y", "x"), time_field="when", history=2)
    assert stream.fields == ("y", "x")
    assert stream.is_anomaly.tolist() == [False, True, True, False, True]
    assert stream.time_us.tolist() == [10_000_000 * n for n in range(1, 6)]
    assert stream.history == 2


@pytest.mark.parametrize("words", [["False", "true", "TRUE", "0", "1"], [False, True, True, False, True]])
def test_labels_may_be_words(tmp_path: Path, words: list[Any]) -> None:
    """True and false, as text or typed, are 1 and 0."""
    write(tmp_path / f"one{'.csv' if isinstance(words[0], str) else '.parquet'}", table(x=[1.0] * 5, label=words))
    assert read_one(tmp_path).is_anomaly.tolist() == [False, True, True, False, True]


def test_missing_values_stay_missing(tmp_path: Path) -> None:
    """An empty cell is no error; the engine has a rule for it."""
    write(tmp_path / "one.csv", table(x=[1.0, "", 3.0, "NaN", 5.0], label=LABELS))
    assert np.isnan(read_one(tmp_path).values[:, 0]).tolist() == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        (
            table(x=[1.0], y=[2.0]),
            "found no column of labels among 'x', 'y'; expected one of label, is_anomaly, anomaly",
        ),
        (
            table(x=[1.0, 2.0], label=[0, 2]),
            "row 2, column 'label': found the label 2; expected 0 for normal, 1 if not",
        ),
        (table(x=[1.0, 2.0], label=[0, ""]), "row 2, column 'label': found the label nan; expected 0"),
        (table(x=[1.0, 2.0], label=[0, "odd"]), "row 2, column 'label': found 'odd'; expected 0 or 1"),
        (table(x=[1.0, 2.0, "off"], label=[0, 0, 0]), "row 3, column 'x': found 'off'; expected a number"),
        (table(time=TIMES, label=LABELS), "found no column of numbers beside labels and times"),
        (table(key=["a", "b"], x=[1, 2], label=[0, 1]), "found several streams, told apart by the column 'key'"),
        (
            table(time=["2024-01-01", "soon"], x=[1, 2], label=[0, 1]),
            "row 2, column 'time': found 'soon'; expected a ti",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_explained(tmp_path: Path, rows: list[dict[str, Any]], found: str) -> None:
    """With its row and column, and what to do."""
    write(tmp_path / "one.csv", rows)
    with pytest.raises(InputError, match=f"one.csv.*{found}"):
        read_one(tmp_path)


def test_columns_that_are_not_there_are_named(tmp_path: Path) -> None:
    """With the nearest name that is."""
    write(tmp_path / "one.csv", table(x=[1.0], label=[0]))
    for name in ("time_field", "label_field"):
        with pytest.raises(InputError, match=r"found no column 'labell' among 'x', 'label'.*did you mean 'label'"):
            read_one(tmp_path, **{name: "labell"})
    with pytest.raises(InputError, match="found no column 'z'"):
        read_one(tmp_path, value_fields=("x", "z"))
    with pytest.raises(
        InputError, match="found no row behind the 1 of history; expected some to be measured: lower --history"
    ):
        read_one(tmp_path, history=1)
    with pytest.raises(ConfigError, match="--history: found -1"):
        LabelledColumns(history=-1)
    with pytest.raises(ConfigError, match="--interval: found 0 us"):
        LabelledColumns(interval_us=0)


def test_folders_of_nothing_are_refused(tmp_path: Path) -> None:
    """A folder that is not there, is empty, or holds other things."""
    with pytest.raises(InputError, match="absent: found nothing there; expected a folder of tables"):
        open_folder(tmp_path / "absent", LabelledColumns())
    with pytest.raises(InputError, match="found no files; expected tables"):
        open_folder(tmp_path, LabelledColumns())
    (tmp_path / "readme.txt").touch()
    with pytest.raises(InputError, match=r"found only files of other kinds \(.txt\)"):
        open_folder(tmp_path, LabelledColumns())


def test_a_folder_holds_tables_and_arrays_and_others(tmp_path: Path) -> None:
    """All come by name; others are counted; a file alone is a folder of one."""
    write(tmp_path / "b.csv", table(x=[1.0], label=[0]))
    np.save(tmp_path / "a.npy", np.arange(3.0))
    np.save(tmp_path / "a_labels.npy", np.array([0, 1, 0]))
    (tmp_path / "readme.txt").touch()
    (tmp_path / ".hidden.csv").touch()
    folder = open_folder(tmp_path, LabelledColumns())
    assert [file.name for file in folder.files] == ["a", "b"]
    assert folder.ignored_files == 2
    assert [file.name for file in open_folder(tmp_path / "b.csv", LabelledColumns()).files] == ["b"]
    (tmp_path / "b.csv").rename(tmp_path / "a.csv")
    with pytest.raises(InputError, match="found two streams named 'a'; expected one"):
        open_folder(tmp_path, LabelledColumns())
