"""What flagging each row of a labelled file earns in the Numenta Anomaly Benchmark, before weighting by a profile."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

PROBATION_FRACTION = 0.15
PROBATION_ROWS = 750


@dataclass(frozen=True, slots=True)
class Rows:
    """The scored rows of one or more files, in file order.

    Attributes:
        time_us: (n,) int64.
        score: (n,) float64, larger is more anomalous.
        value: (n,) float64, what flagging the row earns: in (0, 1] inside a window, in [-1, 0) outside.
        window: (n,) index into `spans`, -1 outside; rises with the row, outside rows apart.
        spans: (w, 2) int64, start_us and end_us of each window that has a scored row.
    """

    time_us: NDArray[np.int64]
    score: NDArray[np.float64]
    value: NDArray[np.float64]
    window: NDArray[np.int64]
    spans: NDArray[np.int64]


def rows_of(name: str, time_us: NDArray[np.int64], score: NDArray[np.float64], windows: ArrayLike) -> Rows:
    """The scored rows of one file; see `detectors.evaluation.nab.NabFile` for the arguments.

    Raises:
        ValueError: arrays of different lengths, a score that is NaN, a window that ends before it starts, overlapping
            windows.
    """
    time_us = np.asarray(time_us, dtype=np.int64)
    score = np.asarray(score, dtype=np.float64)
    if time_us.ndim != 1 or time_us.shape != score.shape:
        raise ValueError(f"{name}: found time_us {time_us.shape} and score {score.shape}; expected (n,) both")
    if np.isnan(score).any():
        raise ValueError(f"{name}: found NaN at row {int(np.isnan(score).argmax())} of score; expected numbers")
    n = len(score)
    index = np.arange(n)
    value = np.full(n, -1.0)
    window = np.full(n, -1, dtype=np.int64)
    probation = min(int(PROBATION_FRACTION * n), PROBATION_ROWS)
    spans: list[tuple[int, int]] = []
    stop = 0
    for start_us, end_us in sorted(np.asarray(windows, dtype=np.int64).reshape(-1, 2).tolist()):
        if end_us < start_us:
            raise ValueError(
                f"{name}: found a window from {start_us} to {end_us} us; expected it to end after it starts"
            )
        inside = np.flatnonzero((time_us >= start_us) & (time_us <= end_us))
        if not len(inside):
            continue
        first, last = int(inside[0]), int(inside[-1])
        if first < stop:
            raise ValueError(f"{name}: found overlapping windows at row {first}; expected disjoint windows")
        stop = last + 1
        value[first:stop] = _sigmoid((index[first:stop] - stop) / (stop - first)) / _sigmoid(np.array(-1.0))
        # A window of one row has no length to measure by: what follows it is as far away as can be.
        value[stop:] = _sigmoid((index[stop:] - last) / (last - first)) if last > first else -1.0
        if stop > probation:
            window[first:stop] = len(spans)
            spans.append((start_us, end_us))
    return Rows(
        time_us=time_us[probation:],
        score=score[probation:],
        value=value[probation:],
        window=window[probation:],
        spans=np.array(spans, dtype=np.int64).reshape(-1, 2),
    )


def concatenate(parts: Sequence[Rows]) -> Rows:
    """The rows of all `parts` one after another, windows renumbered.

    Raises:
        ValueError: no part has a window, so that there is nothing to normalise a score by.
    """
    counts = [len(part.spans) for part in parts]
    if not sum(counts):
        raise ValueError(f"found no window with a row to score in {len(parts)} files; expected at least one")
    offsets = np.cumsum([0, *counts[:-1]])
    return Rows(
        time_us=np.concatenate([part.time_us for part in parts]),
        score=np.concatenate([part.score for part in parts]),
        value=np.concatenate([part.value for part in parts]),
        window=np.concatenate(
            [np.where(part.window < 0, -1, part.window + offset) for part, offset in zip(parts, offsets, strict=True)]
        ),
        spans=np.concatenate([part.spans for part in parts]),
    )


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(x > 3.0, -1.0, 2.0 / (1.0 + np.exp(5.0 * np.minimum(x, 3.0))) - 1.0)
