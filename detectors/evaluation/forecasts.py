"""How good one-step forecasts were: each is a Student-t distribution, and each was answered by a value."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, stdtr
from scipy.stats import t as student_t

Floats = NDArray[np.float64]
LEAST_CLUSTERS = 8
"""Fewer tell nothing of chance."""


def log_loss(surprise: NDArray[np.float32], log_scale: NDArray[np.float32], freedom: NDArray[np.float32]) -> Floats:
    """Negative log-likelihood of each value (n,) under its forecast, in nats.

    The logarithmic score is strictly proper: nobody does better in the mean than by the true distribution (Gneiting &
    Raftery 2007, section 4.1). It is of the normalised value, which is the same whatever network forecasts it, so that
    losses of two networks differ by what they say of the very value.

    Args:
        surprise: value minus location, in units of the scale.
        log_scale: of the distribution.
        freedom: its degrees of freedom.
    """
    s, nu = surprise.astype(np.float64), freedom.astype(np.float64)
    constant = gammaln(nu / 2) - gammaln((nu + 1) / 2) + 0.5 * np.log(nu * np.pi)
    loss: Floats = log_scale.astype(np.float64) + constant + (nu + 1) / 2 * np.log1p(s * s / nu)
    return loss


def probability(surprise: NDArray[np.float32], freedom: NDArray[np.float32]) -> Floats:
    """Probability (n,) that each forecast gave to values below the one that came.

    With a calibrated forecaster it is uniform over [0, 1] (Dawid 1984).
    """
    below: Floats = stdtr(freedom.astype(np.float64), surprise.astype(np.float64))
    return below


def mean_with_interval(total: Floats, count: Floats, *, coverage: float = 0.95) -> tuple[float, float] | None:
    """Where a mean over points lies, given clusters of points that may hang together within, but not across.

    The mean is a ratio of sums over clusters, with the usual linearised standard error (Cochran 1977, section 6.3) and
    as many degrees of freedom as there are clusters but one.

    Args:
        total: (G,) sum over the points of each cluster.
        count: (G,) points of each; clusters without points are left out.
        coverage: of the interval.

    Returns:
        Both ends of the interval; None with fewer than `LEAST_CLUSTERS` clusters.
    """
    total, count = total[count > 0], count[count > 0]
    clusters = len(count)
    if clusters < LEAST_CLUSTERS:
        return None
    points = count.sum()
    mean = total.sum() / points
    off = total - mean * count
    error = np.sqrt(clusters / (clusters - 1) * (off @ off)) / points
    reach = float(student_t.ppf(0.5 + coverage / 2, clusters - 1) * error)
    return float(mean - reach), float(mean + reach)
