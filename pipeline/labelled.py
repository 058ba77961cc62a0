"""Labelled streams: what an evaluation is measured on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class LabelledStream:
    """One stream with the labels of its rows, in file order.

    Attributes:
        name: what tells it from the others.
        fields: names of its values.
        time_us: (n,) int64, event time in microseconds since 1970-01-01 UTC; duplicates and steps back may occur.
        values: (n, fields) float64; NaN where missing.
        is_anomaly: (n,) bool, labels.
        windows: (w, 2) int64, first and last microsecond of each labelled window, both inclusive.
        history: rows at the start that are only learned from: what is said of them is not measured.
    """

    name: str
    fields: tuple[str, ...]
    time_us: NDArray[np.int64]
    values: NDArray[np.float64]
    is_anomaly: NDArray[np.bool_]
    windows: NDArray[np.int64]
    history: int = 0

    def __len__(self) -> int:
        return len(self.time_us)
