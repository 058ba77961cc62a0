"""Packs a lane's points into a short text that `decode.js` unpacks: one gzip of shuffled columns, in base64."""

import base64
import gzip
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.adapters.report.verdicts import Points

_SPARK_COLUMNS = 64
_SPARK_EMPTY = 255
_GAP_STEPS = 5
"""A line is interrupted where a point comes more than this many average steps after the one before."""


def pack_lane(points: Points) -> tuple[dict[str, Any], str]:
    """What a page needs to draw a lane: how to read the packed text, and the text.

    The columns are `step` (uint32, units of time since the point before), `value`, `expected`, `lower`, `upper`
    (float32, distance from `centre` in units of `scale`), `score`, `threshold` (float32) and `flags` (uint8: severity
    + 8 x phase + 32 x whether there is a gap before the point). The bytes of each are shuffled, all first bytes, then
    all second bytes and so on, and mantissas are cut to what a screen can show: both for the sake of compression.
    """
    offsets_us = points.time_us - points.time_us[0]
    unit_us = _time_unit(np.diff(offsets_us))
    step = np.diff(np.rint(offsets_us / unit_us).astype(np.int64), prepend=0).astype(np.uint32)
    finite = points.value[np.isfinite(points.value)]
    centre = float(np.sort(finite)[len(finite) // 2]) if len(finite) else 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        scale = min(float(np.abs(finite - centre).max(initial=0.0)) or 1.0, np.finfo(np.float64).max)
        placed = [(column - centre) / scale for column in (points.value, points.expected, points.lower, points.upper)]
    columns = [
        step,
        _cut(placed[0], bits=16),
        *(_cut(column, bits=11) for column in placed[1:]),
        _cut(points.score, bits=11),
        _cut(points.threshold, bits=16),
        points.severity | points.phase << 3 | gaps(points) << 5,
    ]
    shuffled = b"".join(_shuffled(column) for column in columns)
    meta = {
        "count": len(points),
        "start": int(points.time_us[0]) / 1000,
        "end": int(points.time_us[-1]) / 1000,
        "unit": unit_us / 1000,
        "centre": centre,
        "scale": scale,
    }
    return meta, base64.b64encode(gzip.compress(shuffled, 6, mtime=0)).decode("ascii")


def sparkline(points: Points) -> str:
    """The lowest and highest value in each of 64 slices of the lane's time (of fewer points, fewer slices), in base64.

    A byte each: 0 is the lane's lowest value and 254 its highest; 255 as the lowest of a slice marks an empty one.
    """
    columns = max(1, min(_SPARK_COLUMNS, len(points) // 2))
    rows = np.isfinite(points.value)
    value, elapsed = points.value[rows], points.time_us[rows] - points.time_us[0]
    column = elapsed * columns // (int(points.time_us[-1] - points.time_us[0]) + 1)
    low, high = value.min(initial=np.inf), value.max(initial=-np.inf)
    span = (high / 2 - low / 2) or 1.0  # halves, since the whole may be more than a float holds
    level = np.rint((value / 2 - low / 2) / span * (_SPARK_EMPTY - 1)).astype(np.uint8)
    lowest = np.full(columns, _SPARK_EMPTY, np.uint8)
    highest = np.zeros(columns, np.uint8)
    np.minimum.at(lowest, column, level)
    np.maximum.at(highest, column, level)
    return base64.b64encode(np.stack([lowest, highest], axis=1).tobytes()).decode("ascii")


def _time_unit(steps_us: NDArray[np.int64]) -> int:
    """Microseconds per unit: the largest that loses nothing, or the smallest in which every step fits in 32 bits."""
    if not steps_us.any():
        return 1
    return max(int(np.gcd.reduce(steps_us)), -(-int(steps_us.max()) // (2**32 - 2)))


def gaps(points: Points) -> NDArray[np.uint8]:
    """(n,) of 1 where the time since the kept point before is far longer than the points between them account for."""
    taken, skipped = np.diff(points.time_us), np.diff(points.index)
    usual = taken.sum() / max(skipped.sum(), 1)
    return np.concatenate([[0], taken > _GAP_STEPS * usual * skipped]).astype(np.uint8)


def _cut(column: NDArray[np.float64], bits: int) -> NDArray[np.float32]:
    """As float32 with only the first `bits` bits of the mantissa; what is not finite becomes NaN."""
    drop = np.uint32(23 - bits)
    with np.errstate(over="ignore"):
        narrow = column.astype(np.float32)
    narrow = np.where(np.isfinite(narrow), narrow, np.float32(np.nan))
    cut: NDArray[np.float32] = (narrow.view(np.uint32) >> drop << drop).view(np.float32)
    return cut


def _shuffled(column: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(column.view(np.uint8).reshape(len(column), -1).T).tobytes()
