"""How far one-step forecasts are off, over many points: what tells drift, and one bundle from another."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BOUNDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Upper bounds of the buckets of a residual, in standard deviations of its lane; one more bucket lies above."""
LARGEST = 10.0
"""A residual counts as at most so many standard deviations in the sum: one incident must not outweigh everything."""


class Residuals(NamedTuple):
    """Absolute one-step residuals, each in standard deviations of its lane's normaliser.

    Attributes:
        buckets: (len(BOUNDS) + 1,) points by residual.
        total: sum of the residuals.
    """

    buckets: NDArray[np.int64]
    total: float

    @property
    def points(self) -> int:
        """Points that were forecast."""
        return int(self.buckets.sum())

    def plus(self, other: "Residuals") -> "Residuals":
        """Both together."""
        return Residuals(self.buckets + other.buckets, self.total + other.total)


def no_residuals() -> Residuals:
    """Of no points."""
    return Residuals(np.zeros(len(BOUNDS) + 1, np.int64), 0.0)


def measure_residuals(
    value: NDArray[np.float64], expected: NDArray[np.float64], variance: NDArray[np.float64]
) -> Residuals:
    """Residuals of points (n,).

    Args:
        expected: one-step forecasts; points without, NaN, are left out.
        variance: of each point's lane; points of a lane that is constant so far are left out.
    """
    known = np.isfinite(expected) & (variance > 0)
    residual = np.minimum(np.abs(value[known] - expected[known]) / np.sqrt(variance[known]), LARGEST)
    buckets = np.bincount(np.searchsorted(BOUNDS, residual), minlength=len(BOUNDS) + 1)
    return Residuals(buckets.astype(np.int64), float(residual.sum()))
