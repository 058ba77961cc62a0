"""The layout of the Numenta Anomaly Benchmark: its data and windows, and the files that its scorer reads.

data/<category>/<file>.csv                  timestamp,value
labels/combined_windows.json                {"<category>/<file>.csv": [["first", "last"], ...]}

<detector>/<category>/<detector>_<file>.csv timestamp,value,anomaly_score,label

The last is a result, as NAB's scorer takes it; scores lie in [0, 1].
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from detectors.evaluation.ranking import label_rows
from pipeline.adapters.files.cells import parse_values
from pipeline.adapters.files.csv_file import CsvReader
from pipeline.adapters.files.detect import no_such_column
from pipeline.adapters.files.discover import find_files
from pipeline.adapters.files.labels import read_labels
from pipeline.adapters.files.times import CellError, parse_times
from pipeline.errors import InputError
from pipeline.labelled import LabelledStream

DATA = "data"
WINDOWS = "labels/combined_windows.json"
_COLUMNS = ("timestamp", "value")
_LAYOUT = f"a checkout of https://github.com/numenta/NAB, with {DATA}/<category>/<file>.csv and {WINDOWS}"


@dataclass(frozen=True, slots=True)
class NabStreamFile:
    """One file of the benchmark; fulfils `pipeline.interfaces.LabelledSource`.

    Attributes:
        name: 'category/file', without extension.
        path: where it is.
        windows: first and last microsecond of each labelled window.
        points: about how many rows it has.
    """

    name: str
    path: Path
    windows: tuple[tuple[int, int], ...]
    points: int

    def read(self) -> LabelledStream:
        """The whole of it.

        Raises:
            InputError: a row that cannot be taken apart, a time or value that is none.
        """
        times, values = self._cells()
        time_us = self._times(times)
        numbers, unusable = parse_values(values)
        if unusable:
            index, found = unusable[0]
            expected = "a number, or an empty cell for a missing one"
            raise InputError(str(self.path), row=index + 1, column="value", found=repr(found), expected=expected)
        windows = np.array(self.windows, np.int64).reshape(-1, 2)
        return LabelledStream(
            self.name, ("value",), time_us, numbers[:, None].copy(), label_rows(time_us, windows), windows
        )

    def write_scores(self, path: Path, score: NDArray[np.float64]) -> None:
        """The file again, times and values as they stand there, with the scores (n,) in [0, 1] and labels of its rows.

        Raises:
            InputError: as `read`.
        """
        times, values = self._cells()
        label = label_rows(self._times(times), np.array(self.windows, np.int64).reshape(-1, 2))
        columns = {
            "timestamp": times,
            "value": values,
            "anomaly_score": pa.array(map(repr, score.tolist()), pa.string()),
            "label": label.astype(np.int8),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        csv.write_csv(pa.table(columns), path, csv.WriteOptions(quoting_style="none", quoting_header="none"))

    def _cells(self) -> tuple[pa.Array, pa.Array]:
        """Times and values as text."""
        blocks = list(CsvReader(self.path, ",").read(_COLUMNS))
        times, values = (pa.concat_arrays([block.columns[i] for block in blocks]) for i in range(2))
        return times, values

    def _times(self, cells: pa.Array) -> NDArray[np.int64]:
        try:
            return parse_times(cells, "iso")
        except CellError as exc:
            raise InputError(
                str(self.path), row=exc.index + 1, column="timestamp", found=exc.found, expected=exc.expected
            ) from exc


@dataclass(frozen=True, slots=True)
class NabCorpus:
    """The benchmark, or as many of its files as there are.

    Attributes:
        files: sorted by name.
        absent: names that have windows and no file.
    """

    files: tuple[NabStreamFile, ...]
    absent: tuple[str, ...]


def open_nab(directory: Path) -> NabCorpus:
    """The files of the benchmark below `directory`, their columns and windows checked, no row read.

    Raises:
        InputError: another layout, a file without windows, or one without the columns timestamp and value.
    """
    for part in (DATA, WINDOWS):
        if not (directory / part).exists():
            there = ", ".join(sorted(path.name for path in directory.iterdir())[:8]) if directory.is_dir() else ""
            found = f"no {part} there, but {there}" if there else f"no {part} there"
            raise InputError(str(directory), found=found, expected=_LAYOUT)
    windows = read_labels(directory / WINDOWS)
    files = []
    for file in find_files(directory / DATA)[0]:
        if file.format != ".csv":
            continue
        if file.name not in windows:
            raise InputError(
                str(directory / WINDOWS),
                found=f"no entry for '{file.name}.csv', which is in {DATA}",
                expected="a list of windows for every file, [] for one without anomalies",
            )
        reader = CsvReader(file.path, ",")
        names = reader.columns()
        for column in _COLUMNS:
            if column not in names:
                raise no_such_column(str(file.path), column, names)
        files.append(NabStreamFile(file.name, file.path, tuple(windows[file.name]), reader.estimate_rows()))
    if not files:
        raise InputError(str(directory / DATA), found="no CSV files", expected=_LAYOUT)
    return NabCorpus(tuple(files), tuple(sorted(set(windows) - {file.name for file in files})))


def write_nab_scores(directory: Path, detector: str, file: NabStreamFile, score: NDArray[np.float64]) -> Path:
    """Write what NAB's scorer reads of one file, and give where it is.

    Args:
        directory: NAB's folder of results.
        detector: its name there.
        file: whose rows the scores are of.
        score: (n,) in [0, 1].
    """
    category, _, name = file.name.rpartition("/")
    path = directory / detector / category / f"{detector}_{name}.csv"
    file.write_scores(path, score)
    return path
