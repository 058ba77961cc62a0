import numpy as np
import pytest

from detectors.features import INPUTS
from detectors.frontend import series_inputs
from detectors.layout import allocate
from detectors.normalise import scale_of
from tests.fakes import INTERVAL_US, START_US, make_detector, seasonal

HOUR_US = 3_600_000_000


def test_training_sees_the_normaliser_of_scoring_to_the_bit() -> None:
    """Mean and scale after a series are those of the lane that the kernel scored it in."""
    values = seasonal(np.random.default_rng(7), 700)
    time_us = START_US + INTERVAL_US * np.arange(700)
    _, mean, scale = series_inputs(values[None], time_us[None])
    detector = make_detector()
    slab = allocate(detector.lane_dtype, 1)
    detector.score(slab, np.zeros(700, np.int64), time_us, values, np.arange(700))
    assert mean[0, -1] == slab["scalars"]["mean"][0]
    assert scale[0, -1] == scale_of(slab["scalars"][0])


def test_inputs_depend_on_the_past_of_their_own_series_alone() -> None:
    """Cutting series short or leaving others out changes no input."""
    rng = np.random.default_rng(7)
    values = np.array([seasonal(rng, 600), seasonal(rng, 600) * 50])
    time_us = np.tile(START_US + INTERVAL_US * np.arange(600), (2, 1))
    whole = series_inputs(values, time_us)
    cut = series_inputs(values[1:, :450], time_us[1:, :450])
    for n in range(3):
        assert cut[n][0].tobytes() == whole[n][1, :450].tobytes()


def test_level_and_increment_are_normalised() -> None:
    """The first two inputs are asinh of the value and of its increment in units of the lane's moments."""
    values = np.random.default_rng(7).normal(10, 3, 50)
    inputs, mean, scale = series_inputs(values[None], START_US + INTERVAL_US * np.arange(50)[None])
    assert inputs.shape == (1, 50, INPUTS)
    np.testing.assert_allclose(inputs[0, 1:, 0], np.arcsinh((values - mean[0])[1:] / scale[0, 1:]), rtol=1e-5)
    np.testing.assert_allclose(inputs[0, 1:, 1], np.arcsinh(np.diff(values) / scale[0, 1:]), rtol=1e-5, atol=1e-6)
    assert inputs[0, 0, 1] == 0


def test_the_clock_inputs_are_those_of_the_point_to_come() -> None:
    """Sine, cosine and weekend flag are of the time one interval later, in UTC."""
    friday_noon = np.datetime64("2024-03-01T12:00", "us").astype(np.int64)
    time_us = friday_noon + 6 * HOUR_US * np.arange(12)
    inputs, _, _ = series_inputs(np.random.default_rng(7).normal(size=(1, 12)), time_us[None])
    # the points to come after the second: Saturday 00:00, 06:00, ...
    np.testing.assert_allclose(inputs[0, 1:6, 7], [0, 1, 0, -1, 0], atol=1e-6)
    np.testing.assert_allclose(inputs[0, 1:6, 8], [1, 0, -1, 0, 1], atol=1e-6)
    assert inputs[0, 1:, 9].tolist() == [1.0] * 8 + [0.0] * 3


@pytest.mark.parametrize("profile", ["balanced", "dense"])
def test_huge_values_leave_everything_finite(profile: str) -> None:
    """The largest and smallest numbers there are leave finite inputs behind."""
    values = seasonal(np.random.default_rng(7), 600)
    values[[10, 200, 201, 400]] = 1.7e308, -1.7e308, 1.7e308, 5e-324
    inputs, mean, scale = series_inputs(
        values[None], START_US + INTERVAL_US * np.arange(600)[None], make_detector(profile).profile
    )
    assert np.isfinite(inputs).all()
    assert np.isfinite(mean).all()
    assert np.isfinite(scale).all()
