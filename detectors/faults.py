"""Faults of known kinds, put into streams that really happened, to see which of them a detector notices.

The kinds and their lengths are those of `detectors.fleet` that need nothing but the values: a changed period would need
the stream's rhythm, and a silence is noticed by a rule of its own. Sizes are in units of the stream's range, its
1 % to 99 % quantile, and drawn evenly on a logarithmic scale, from what hardly shows on a plot to what nobody misses:
were all faults clear, every setting would find every one, and nothing could be told apart.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.fleet import FAULT_POINTS

Floats = NDArray[np.float64]

KINDS: Final = ("spike", "level_shift", "drift", "frozen", "drop_to_zero", "burst")
SMALLEST, LARGEST = 0.2, 1.5
"""Of a fault, in ranges of its stream."""
_BURST_SHAKE = 0.4  # standard deviation of a burst, in its size
_LEAST_CHANGE = 0.05  # of the range, on average over a fault's points: less is no fault that could be noticed


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in a stream.

    Attributes:
        kind: one of `KINDS`.
        start, stop: rows, half open. A level shift goes on behind `stop`; these are the rows to be noticed in.
        size: in ranges of the stream; NaN for kinds that have none, 'frozen' and 'drop_to_zero'.
    """

    kind: str
    start: int
    stop: int
    size: float


def longest(kind: str) -> int:
    """Most points that a fault of a kind is to be noticed in."""
    return FAULT_POINTS[kind][1]


def value_range(values: Floats) -> float:
    """From the 1 % to the 99 % quantile of the finite values (n,); 0 where there are none."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0
    low, high = np.quantile(finite, [0.01, 0.99])
    return float(high - low)


def disturb(values: Floats, kind: str, start: int, extent: float, rng: np.random.Generator) -> tuple[Floats, Fault]:
    """The values (n,) with a fault that begins at row `start`, and the fault; missing values stay missing.

    What the values have in common is kept: whole numbers stay whole, and values that are never negative stay so.

    Args:
        values: of one lane.
        kind: one of `KINDS`.
        start: first row of the fault.
        extent: the range of the stream, see `value_range`.
        rng: draws length, size and sign.

    Raises:
        ValueError: an unknown kind, or no row for the fault to begin at.
    """
    if kind not in KINDS or not 0 <= start < len(values):
        raise ValueError(f"found a fault {kind!r} at row {start} of {len(values)}; expected one of {KINDS} within")
    shortest, most = FAULT_POINTS[kind]
    stop = min(start + int(rng.integers(shortest, most + 1)), len(values))
    size = math.exp(rng.uniform(math.log(SMALLEST), math.log(LARGEST)))
    step = size * extent * float(rng.choice((1.0, -1.0)))
    shake = rng.normal(size=stop - start)
    out = values.copy()
    during = slice(start, stop)
    match kind:
        case "spike":
            out[during] += step
        case "level_shift":
            out[start:] += step
        case "drift":
            out[during] += step * np.arange(1, stop - start + 1) / (stop - start)
        case "frozen":
            out[during] = np.where(np.isnan(out[during]), np.nan, _newest(values, start))
        case "drop_to_zero":
            out[during] = np.where(np.isnan(out[during]), np.nan, 0.0)
        case _:
            out[during] += _BURST_SHAKE * step * shake
    has_size = kind not in {"frozen", "drop_to_zero"}
    return _alike(out, values), Fault(kind, start, stop, size if has_size else math.nan)


def shows(before: Floats, after: Floats, fault: Fault, extent: float) -> bool:
    """Whether a fault has changed its points at all: a stream that stands still cannot freeze."""
    change = np.abs(after - before)[fault.start : fault.stop]
    finite = change[np.isfinite(change)]
    return bool(finite.size and finite.mean() > _LEAST_CHANGE * extent)


def _newest(values: Floats, row: int) -> float:
    """The last finite value up to a row; NaN for none."""
    finite = np.flatnonzero(np.isfinite(values[: row + 1]))
    return float(values[finite[-1]]) if finite.size else math.nan


def _alike(out: Floats, values: Floats) -> Floats:
    """Disturbed values with what the undisturbed ones have in common."""
    finite = values[np.isfinite(values)]
    if finite.size and (finite >= 0).all():
        out = np.maximum(out, 0.0)
    if finite.size and (finite == np.round(finite)).all():
        out = np.round(out)
    return out
