import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.examples import training_examples, validation_examples

HORIZONS = (1, 4)
STEPS = 300
CUT = 240


def series() -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Three series with inputs, means and scales that differ at every step."""
    rng = np.random.default_rng(7)
    values, mean = rng.normal(size=(2, 3, STEPS))
    return values, rng.normal(size=(3, STEPS, 2)).astype(np.float32), mean, rng.uniform(1, 2, (3, STEPS))


def test_target_is_a_later_value_in_the_units_of_its_own_step() -> None:
    """The target at step t is x[t + h], normalised by the mean and scale of t."""
    values, inputs, mean, sd = series()
    examples = training_examples(values, inputs, mean, sd, HORIZONS)
    for k, horizon in enumerate(HORIZONS):
        for t in (40, 100, CUT - 1 - horizon):
            expected = np.arcsinh((values[:, t + horizon] - mean[:, t]) / sd[:, t])
            np.testing.assert_allclose(examples.targets[:, t, k], expected, rtol=1e-6)


def test_training_never_sees_the_last_fifth() -> None:
    """Whatever the last fifth holds, the training examples are the same, and its own points are none of them."""
    values, inputs, mean, sd = series()
    before = training_examples(values, inputs, mean, sd, HORIZONS)
    for array in (values, inputs, mean, sd):
        array[:, CUT:] += 100
    after = training_examples(values, inputs, mean, sd, HORIZONS)
    assert before.inputs.shape == (3, CUT, 2)
    assert np.array_equal(before.inputs, after.inputs)
    assert np.array_equal(before.targets, after.targets, equal_nan=True)


def test_training_skips_the_first_points() -> None:
    """Forecasts from the first 40 points are not trained on; from then on every one within reach is."""
    targets = training_examples(*series(), HORIZONS).targets
    assert np.isnan(targets[:, :40]).all()
    for k, horizon in enumerate(HORIZONS):
        assert np.isfinite(targets[:, 40 : CUT - horizon, k]).all()
        assert np.isnan(targets[:, CUT - horizon :, k]).all()


def test_validation_judges_the_last_fifth_alone() -> None:
    """Validation keeps the inputs of whole series, and targets only where the forecast is made in the last fifth."""
    values, inputs, mean, sd = series()
    examples = validation_examples(values, inputs, mean, sd, HORIZONS)
    assert np.array_equal(examples.inputs, inputs)
    assert np.isnan(examples.targets[:, :CUT]).all()
    for k, horizon in enumerate(HORIZONS):
        assert np.isfinite(examples.targets[:, CUT : STEPS - horizon, k]).all()


def test_rows_are_a_batch() -> None:
    """A slice of series has those series' inputs and targets."""
    examples = training_examples(*series(), HORIZONS)
    batch = examples.rows(1, 3)
    assert np.array_equal(batch.inputs, examples.inputs[1:3])
    assert np.array_equal(batch.targets, examples.targets[1:3], equal_nan=True)


def test_series_too_short_for_the_longest_horizon_are_refused() -> None:
    """A last fifth that holds no answer to the longest forecast is refused, with the length needed."""
    with pytest.raises(ValueError, match=r"found series of 300 points; expected at least 680 for horizons up to 96"):
        validation_examples(*series(), (1, 96))
