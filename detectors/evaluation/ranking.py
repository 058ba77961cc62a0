"""How well a score ranks anomalous points above normal ones, whatever the threshold."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAX_BUFFER = 100


def label_rows(time_us: NDArray[np.int64], windows: ArrayLike) -> NDArray[np.bool_]:
    """Which rows (n,) lie in one of the labelled windows (w, 2), first and last microsecond both inclusive."""
    is_anomaly = np.zeros(len(time_us), dtype=bool)
    for start_us, end_us in np.asarray(windows, dtype=np.int64).reshape(-1, 2):
        is_anomaly |= (time_us >= start_us) & (time_us <= end_us)
    return is_anomaly


def label_windows(time_us: NDArray[np.int64], is_anomaly: NDArray[np.bool_]) -> NDArray[np.int64]:
    """First and last microsecond (w, 2) of each run of labelled rows: the opposite of `label_rows`.

    Where times of a run step back, its window is from the earliest to the latest of them.

    Args:
        time_us: (n,) of the rows.
        is_anomaly: (n,) labels.
    """
    starts, stops = np.flatnonzero(np.diff(is_anomaly, prepend=False, append=False)).reshape(-1, 2).T
    windows = [(time_us[run].min(), time_us[run].max()) for run in map(slice, starts, stops)]
    return np.array(windows, np.int64).reshape(-1, 2)


def average_precision(score: NDArray[np.float64], is_anomaly: NDArray[np.bool_]) -> float:
    """Area under the precision-recall curve of single points: precision at each threshold, weighted by recall gained.

    Args:
        score: (n,), larger is more anomalous; equal scores share a threshold.
        is_anomaly: (n,) labels.

    Raises:
        ValueError: different shapes, a score that is NaN, no point labelled.
    """
    order, ends_tie = _thresholds(score, is_anomaly)
    flagged = np.flatnonzero(ends_tie) + 1
    hits = np.cumsum(is_anomaly[order])[ends_tie]
    return float(np.sum(np.diff(hits, prepend=0) * hits / flagged) / hits[-1])


def vus_pr(score: NDArray[np.float64], is_anomaly: NDArray[np.bool_], max_buffer: int = MAX_BUFFER) -> float:
    """Volume under the precision-recall surface: the range-based area, averaged over buffers of 0, 1, ... `max_buffer`.

    The measure is that of Paparrizos et al. 2022, "Volume under the surface". A buffer of length L softens the labels:
    a point d <= L / 2 before or after an anomalous range counts sqrt(1 - d / L). With P anomalous points, a threshold
    that flags labels worth A in the ranges and B in their buffers has precision (A + B) / flagged and recall
    (A + B) / (P + B / 2), at most 1, times the share of ranges (merged where their buffers meet) with a flagged point.
    Every distinct score is a threshold, where the authors' code takes 250 of them.

    Args:
        score: (n,), larger is more anomalous; points at equal distances in time.
        is_anomaly: (n,) labels; each run of True is a range.
        max_buffer: longest buffer in points; the authors take the period of the series or, as here by default, 100.

    Raises:
        ValueError: different shapes, a score that is NaN, no point labelled, `max_buffer` below 0.
    """
    if max_buffer < 0:
        raise ValueError(f"found max_buffer = {max_buffer}; expected 0 or more points")
    order, ends_tie = _thresholds(score, is_anomaly)
    thresholds = score[order][ends_tie]
    flagged = np.flatnonzero(ends_tie) + 1
    hits = np.cumsum(is_anomaly[order])[ends_tie]
    edges = np.diff(is_anomaly, prepend=False, append=False)
    starts, stops = np.flatnonzero(edges).reshape(-1, 2).T
    total = 0.0
    for buffer in range(max_buffer + 1):
        softened = _soften(is_anomaly, starts, stops, buffer)
        worth = np.cumsum(softened[order])[ends_tie]  # A + B
        recall = np.minimum(worth / (hits[-1] + (worth - hits) / 2.0), 1.0)
        peaks = np.sort(_range_peaks(score, starts, stops, buffer // 2))
        touched = 1.0 - np.searchsorted(peaks, thresholds) / len(peaks)
        total += float(np.sum(np.diff(recall * touched, prepend=0.0) * worth / flagged))
    return total / (max_buffer + 1)


def _thresholds(
    score: NDArray[np.float64], is_anomaly: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Rows from the highest score down (n,), and which of them (n,) are the last of their score."""
    if score.ndim != 1 or score.shape != is_anomaly.shape:
        raise ValueError(f"found score {score.shape} and is_anomaly {is_anomaly.shape}; expected (n,) both")
    if np.isnan(score).any():
        raise ValueError(f"found NaN at row {int(np.isnan(score).argmax())} of score; expected numbers")
    if not is_anomaly.any():
        raise ValueError(f"found no anomalous point among {len(score)}; expected at least one")
    order = np.argsort(-score, kind="stable")
    return order, np.append(score[order][1:] != score[order][:-1], True)


def _soften(
    is_anomaly: NDArray[np.bool_], starts: NDArray[np.intp], stops: NDArray[np.intp], buffer: int
) -> NDArray[np.float64]:
    """Labels (n,) in [0, 1] with a buffer of `buffer` points, half on either side of each range [start, stop)."""
    distance = np.arange(1, buffer // 2 + 1)
    rows = np.concatenate([starts[:, None] - distance, stops[:, None] - 1 + distance]).ravel()
    worth = np.tile(np.sqrt(1.0 - distance / max(buffer, 1)), 2 * len(starts))
    exists = (rows >= 0) & (rows < len(is_anomaly))
    return np.minimum(is_anomaly + np.bincount(rows[exists], worth[exists], minlength=len(is_anomaly)), 1.0)


def _range_peaks(
    score: NDArray[np.float64], starts: NDArray[np.intp], stops: NDArray[np.intp], reach: int
) -> NDArray[np.float64]:
    """Highest score within `reach` points of each range, ranges that share a point then counted as one."""
    is_apart = starts[1:] - reach >= stops[:-1] + reach
    lows = np.maximum(starts[np.append(True, is_apart)] - reach, 0)
    highs = np.minimum(stops[np.append(is_apart, True)] + reach, len(score))
    bounds = np.column_stack([lows, highs]).ravel()
    return np.maximum.reduceat(np.append(score, -np.inf), bounds)[::2]
