"""Residuals, summed over batches."""

import numpy as np
import pytest

from pipeline.residuals import BOUNDS, LARGEST, measure_residuals, no_residuals
from tests.fakes import column, cut, every, make_detector, make_engine, one_stream, process, seasonal

STREAM = one_stream(seasonal(np.random.default_rng(4), 400))


def test_residuals_are_in_standard_deviations_of_the_lane() -> None:
    """A residual is taken without its sign, in units of the lane's spread, and falls into the bucket of its bound."""
    found = measure_residuals(np.array([5.0, 5.0]), np.array([5.25, 3.0]), np.array([4.0, 4.0]))
    assert found.total == pytest.approx(0.125 + 1.0)
    assert found.buckets.tolist() == [int(bound in (0.2, 1.0)) for bound in (*BOUNDS, np.inf)]


def test_what_was_not_forecast_is_left_out_and_an_incident_is_bounded() -> None:
    """No forecast and no spread mean no residual; a wild value counts as ten standard deviations."""
    nothing = measure_residuals(np.array([1.0, 2.0]), np.array([np.nan, 1.0]), np.array([1.0, 0.0]))
    assert (nothing.points, nothing.total) == (0, 0.0)
    wild = measure_residuals(np.array([1e9]), np.array([0.0]), np.array([1.0]))
    assert (wild.points, wild.total) == (1, LARGEST)
    assert wild.buckets[-1] == 1


def test_batches_add_up_and_warming_lanes_are_left_out() -> None:
    """However a stream is cut, there is a residual for every scored point that was forecast."""
    whole, pieces = no_residuals(), no_residuals()
    outcomes = process(make_engine(make_detector(warm_up=20)), [STREAM])
    for outcome in outcomes:
        whole = whole.plus(outcome.residuals)
    for outcome in process(make_engine(make_detector(warm_up=20)), cut(STREAM, every(STREAM, 7))):
        pieces = pieces.plus(outcome.residuals)
    assert whole.points == pieces.points == np.isfinite(column(outcomes, "expected")[20:]).sum() == 380
