"""Reads the copy of the Numenta Anomaly Benchmark in tests/data/nab."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from detectors.evaluation.ranking import label_rows
from pipeline.labelled import LabelledStream

FOLDER = Path(__file__).parent / "data" / "nab"


class NabStream(NamedTuple):
    """One file: 'group/name.csv', (n,) times and values in file order, (w, 2) windows in microseconds, inclusive."""

    name: str
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    windows: NDArray[np.int64]


def load_nab() -> list[NabStream]:
    """The 58 files, sorted by name."""
    windows = json.loads((FOLDER / "windows.json").read_text())
    table = pq.read_table(FOLDER / "data.parquet")
    time_us = table["time"].to_numpy().astype(np.int64)
    value = table["value"].to_numpy()
    name, bounds = _bounds(table["file"].to_numpy())
    return [
        NabStream(file, time_us[rows], value[rows], np.array(windows[file], "M8[us]").astype(np.int64).reshape(-1, 2))
        for file, rows in zip(name, bounds, strict=True)
    ]


def labelled(stream: NabStream) -> LabelledStream:
    """The file as an evaluation takes it."""
    is_anomaly = label_rows(stream.time_us, stream.windows)
    return LabelledStream(
        stream.name, ("value",), stream.time_us, stream.value[:, None].copy(), is_anomaly, stream.windows
    )


def write_checkout(directory: Path, streams: Sequence[NabStream]) -> Path:
    """Some files in the layout of the benchmark's repository."""
    windows = {stream.name: stream.windows.astype("M8[us]").astype(str).tolist() for stream in streams}
    for stream in streams:
        path = directory / "data" / stream.name
        path.parent.mkdir(parents=True, exist_ok=True)
        times = np.datetime_as_string(stream.time_us.astype("M8[us]"), unit="s")
        rows = (
            f"{time.replace('T', ' ')},{value!r}\n"
            for time, value in zip(times.tolist(), stream.value.tolist(), strict=True)
        )
        path.write_text("timestamp,value\n" + "".join(rows))
    (directory / "labels").mkdir()
    (directory / "labels" / "combined_windows.json").write_text(json.dumps(windows))
    return directory


def load_reference_scores() -> dict[str, list[NDArray[np.float64]]]:
    """Scores by detector, ordered as the published ones, one (n,) array per file, in the order of `load_nab`."""
    _, bounds = _bounds(pq.read_table(FOLDER / "data.parquet", columns=["file"])["file"].to_numpy())
    table = pq.read_table(FOLDER / "reference_scores.parquet")
    columns = {detector: table[detector].to_numpy().astype(np.float64) for detector in table.column_names}
    return {detector: [column[rows] for rows in bounds] for detector, column in columns.items()}


def _bounds(file: NDArray[np.object_]) -> tuple[list[str], list[slice]]:
    """The name and rows of each file, from the file of each row."""
    starts = np.flatnonzero(np.append(True, file[1:] != file[:-1]))
    ends = np.append(starts[1:], len(file))
    return [str(name) for name in file[starts]], [slice(*pair) for pair in zip(starts, ends, strict=True)]
