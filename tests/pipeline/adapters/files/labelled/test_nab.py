import csv
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.adapters.files.labelled import open_nab, write_nab_scores
from pipeline.errors import InputError
from tests.nab import NabStream, write_checkout

SECOND_US = 1_000_000


def make_checkout(directory: Path) -> Path:
    """Two files of five rows from 2020; one has a step back, and a window from its second row to its third."""
    start_us = 1_577_836_800 * SECOND_US
    time_us = start_us + SECOND_US * np.array([0, 1, 2, 1, 4])
    windows = time_us[[[1, 2]]]
    none = np.empty((0, 2), np.int64)
    return write_checkout(
        directory,
        [
            NabStream("real/a.csv", time_us, np.array([1.0, 2.5, 1e-7, 4.0, 5.0]), windows),
            NabStream("calm/b.csv", start_us + SECOND_US * np.arange(5), np.ones(5), none),
        ],
    )


def test_files_are_read_with_their_windows(tmp_path: Path) -> None:
    """Files come by name with values, times and labels, rows out of order included."""
    corpus = open_nab(make_checkout(tmp_path / "NAB"))
    assert [file.name for file in corpus.files] == ["calm/b", "real/a"]
    assert [file.points for file in corpus.files] == [5, 5]
    assert corpus.absent == ()
    stream = corpus.files[1].read()
    assert stream.values[:, 0].tolist() == [1.0, 2.5, 1e-7, 4.0, 5.0]
    assert np.diff(stream.time_us).tolist() == [SECOND_US, SECOND_US, -SECOND_US, 3 * SECOND_US]
    assert stream.is_anomaly.tolist() == [False, True, True, True, False]
    assert len(stream.windows) == 1
    assert not corpus.files[0].read().is_anomaly.any()


def test_results_are_what_nabs_scorer_reads(tmp_path: Path) -> None:
    """The file is named after detector and file, with times and values as they stood and scores that read back."""
    corpus = open_nab(make_checkout(tmp_path / "NAB"))
    score = np.array([0.0, 1 / 3, 0.0, 1.0, 1e-17])
    path = write_nab_scores(tmp_path / "out", "driftline", corpus.files[1], score)
    assert path == tmp_path / "out" / "driftline" / "real" / "driftline_a.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / "NAB" / "data" / "real" / "a.csv").open() as file:
        original = list(csv.DictReader(file))
    assert [*rows[0]] == ["timestamp", "value", "anomaly_score", "label"]
    assert [(row["timestamp"], row["value"]) for row in rows] == [(row["timestamp"], row["value"]) for row in original]
    assert [float(row["anomaly_score"]) for row in rows] == score.tolist()
    assert [row["label"] for row in rows] == ["0", "1", "1", "1", "0"]


def test_windows_without_a_file_are_told(tmp_path: Path) -> None:
    """A part of the benchmark can be read, and what is absent is known."""
    checkout = make_checkout(tmp_path / "NAB")
    (checkout / "data" / "calm" / "b.csv").unlink()
    assert open_nab(checkout).absent == ("calm/b",)


def change_windows(checkout: Path, content: object) -> None:
    """Other windows."""
    (checkout / "labels" / "combined_windows.json").write_text(
        content if isinstance(content, str) else json.dumps(content)
    )


def test_other_layouts_are_refused(tmp_path: Path) -> None:
    """Each message says what is there, and what a checkout is."""
    checkout = make_checkout(tmp_path / "NAB")
    for directory, found in (
        (tmp_path / "absent", "found no data there; expected a checkout of https://github.com/numenta/NAB"),
        (checkout / "data", "found no data there, but calm, real"),
    ):
        with pytest.raises(InputError, match=found):
            open_nab(directory)
    change_windows(checkout, {"calm/b.csv": []})
    with pytest.raises(InputError, match=r"found no entry for 'real/a.csv', which is in data; expected a list of win"):
        open_nab(checkout)
    change_windows(checkout, '{"calm/b.csv": [[1, 2]]}')
    with pytest.raises(InputError, match=r"combined_windows.json: found another layout .*; expected an object such as"):
        open_nab(checkout)
    change_windows(checkout, "no JSON")
    with pytest.raises(InputError, match=r"combined_windows.json: found another layout"):
        open_nab(checkout)
    change_windows(checkout, {"calm/b.csv": [], "real/a.csv": [["2020-01-01", "yesterday"]]})
    with pytest.raises(InputError, match=r"found 'yesterday' for 'real/a.csv'; expected a time such as"):
        open_nab(checkout)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("time,value\n2020-01-01,1\n", "found no column 'timestamp' among 'time', 'value'"),
        ("timestamp,value\n2020-01-01,1\n2020-01-02,high\n", "row 2, column 'value': found 'high'; expected a number"),
        ("timestamp,value\nnever,1\n", "row 1, column 'timestamp': found 'never'; expected a time such as"),
        ("timestamp,value\n", "found a header and no rows"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, text: str, found: str) -> None:
    """With its file, row and column."""
    checkout = make_checkout(tmp_path / "NAB")
    (checkout / "data" / "real" / "a.csv").write_text(text)
    with pytest.raises(InputError, match=rf"a.csv.*{found}"):
        open_nab(checkout).files[1].read()
