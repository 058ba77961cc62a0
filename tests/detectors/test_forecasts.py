"""Measures of one-step forecasts."""

import numpy as np
import pytest
from scipy import stats

from detectors.evaluation.forecasts import log_loss, mean_with_interval, probability

RNG = np.random.default_rng(7)
SURPRISE = RNG.standard_t(3, 200).astype(np.float32) * 4
LOG_SCALE = RNG.uniform(-10, 3, 200).astype(np.float32)
FREEDOM = RNG.uniform(1.1, 40, 200).astype(np.float32)


def test_loss_and_probability_are_those_of_student_t() -> None:
    """They equal density and distribution function of scipy's own, moved and scaled."""
    scale = np.exp(LOG_SCALE.astype(np.float64))
    value = SURPRISE.astype(np.float64) * scale
    density = stats.t.logpdf(value, FREEDOM.astype(np.float64), scale=scale)
    assert np.allclose(log_loss(SURPRISE, LOG_SCALE, FREEDOM), -density, atol=1e-9)
    below = stats.t.cdf(SURPRISE.astype(np.float64), FREEDOM.astype(np.float64))
    assert np.allclose(probability(SURPRISE, FREEDOM), below, atol=1e-12)


@pytest.mark.parametrize(("location", "log_scale", "freedom"), [(0.1, 0.0, 5.0), (0.0, 0.1, 5.0), (0.0, 0.0, 2.0)])
def test_nobody_does_better_than_the_true_distribution(location: float, log_scale: float, freedom: float) -> None:
    """A forecast that is off in any way has the larger loss in the mean."""
    value = np.random.default_rng(8).standard_t(5.0, 200_000)

    def mean(location: float, log_scale: float, freedom: float) -> float:
        ones = np.ones(len(value), np.float32)
        surprise = ((value - location) / np.exp(log_scale)).astype(np.float32)
        return float(log_loss(surprise, ones * np.float32(log_scale), ones * np.float32(freedom)).mean())

    assert mean(location, log_scale, freedom) > mean(0.0, 0.0, 5.0) + 1e-3


def test_probabilities_of_the_true_distribution_are_uniform() -> None:
    """By a test of goodness of fit, and not of another distribution."""
    value = np.random.default_rng(9).standard_t(4.0, 20_000).astype(np.float32)
    ones = np.ones(len(value), np.float32)
    assert stats.kstest(probability(value, 4 * ones), "uniform").pvalue > 0.01
    assert stats.kstest(probability(value * np.float32(1.1), 4 * ones), "uniform").pvalue < 1e-6


def test_the_interval_holds_the_mean_as_often_as_it_says() -> None:
    """Also where points of a cluster hang together, and clusters differ in size."""
    rng = np.random.default_rng(10)
    held = 0
    for _ in range(2_000):
        count = rng.integers(5, 50, 30).astype(np.float64)
        level = rng.normal(0.5, 1.0, 30)
        total = count * level + rng.normal(0, 1, 30) * np.sqrt(count)
        low, high = mean_with_interval(total, count) or (np.nan, np.nan)
        held += low <= 0.5 <= high
    assert 0.92 < held / 2_000 < 0.97


def test_few_clusters_tell_nothing() -> None:
    """Those without points do not count."""
    assert mean_with_interval(np.ones(7), np.ones(7)) is None
    assert mean_with_interval(np.ones(9), np.array([1.0] * 7 + [0.0] * 2)) is None
    assert mean_with_interval(np.ones(8), np.ones(8)) == (1.0, 1.0)
