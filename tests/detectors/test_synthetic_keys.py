"""Keys to calibrate joint lanes on: fields that have something in common."""

import numpy as np
import pytest

from detectors.synthetic_keys import make_keys


@pytest.mark.parametrize("fields", [2, 10])
def test_every_record_has_all_fields(fields: int) -> None:
    """Values are finite, no field stands still, and times are regular."""
    keys = make_keys(np.random.default_rng(7), 6, fields, 500)
    assert keys.values.shape == (6, fields, 500)
    assert keys.time_us.shape == (6, 500)
    assert np.isfinite(keys.values).all()
    assert (np.ptp(keys.values, axis=2) > 0).all()
    steps = np.diff(keys.time_us, axis=1)
    assert (steps == steps[:, :1]).all()
    assert (steps > 0).all()


def test_keys_follow_from_the_seed() -> None:
    """The same seed gives the same keys, another one others."""
    one, again, other = (make_keys(np.random.default_rng(seed), 3, 3, 400).values for seed in (7, 7, 8))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_fields_of_a_key_belong_together() -> None:
    """What is known of a field follows better from the other nine of its key than from those of another key."""
    values = make_keys(np.random.default_rng(7), 12, 10, 2000).values
    values = (values - values.mean(axis=2, keepdims=True)) / values.std(axis=2, keepdims=True)

    def left_over(target: int, given: int) -> float:
        others = values[given, 1:].T
        found = np.linalg.lstsq(others, values[target, 0], rcond=None)[0]
        return float(np.std(values[target, 0] - others @ found))

    own, foreign = (np.array([left_over(key, (key + shift) % 12) for key in range(12)]) for shift in (0, 1))
    assert np.median(own) < 0.6 * np.median(foreign)
