"""Reads the copy of the Numenta Anomaly Benchmark in tests/data/nab."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

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
