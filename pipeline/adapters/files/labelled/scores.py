"""Scores of labelled streams as CSV files, for whoever wants to look or measure further."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv


def write_scores(
    path: Path, time_us: NDArray[np.int64], is_anomaly: NDArray[np.bool_], scores: Mapping[str, NDArray[np.float64]]
) -> None:
    """Write a row for each row of a stream: `time`, `label` and a column for each of `scores`.

    Args:
        path: of the file; folders above it are made.
        time_us: (n,) event times.
        is_anomaly: (n,) labels.
        scores: (n,) by the name of the column.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {"time": pa.array(time_us, pa.timestamp("us", "UTC")), "label": is_anomaly.astype(np.int8), **scores}
    csv.write_csv(pa.table(columns), path)
