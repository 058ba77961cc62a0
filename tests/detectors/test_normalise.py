from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.frontend import series_inputs
from detectors.layout import allocate, lane_dtype
from detectors.normalise import (
    CLIP_SD,
    FRAME_AFTER,
    GAP_INTERVALS,
    MEMORY,
    asinh,
    freeze_frame,
    scale_of,
    update_interval,
    update_moments,
)
from detectors.profiles import PROFILES
from tests.fakes import INTERVAL_US, START_US

MINUTE_US = 60_000_000


def _fresh_lane() -> tuple[Any, NDArray[Any]]:
    """(scalars, window) of a lane that has seen nothing."""
    slab = allocate(lane_dtype(PROFILES["balanced"], 1, 1), 1)
    return slab["scalars"][0], slab["window"][0]


def _observe_all(values: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """(z, mean, scale) of a regular series after each step."""
    time_us = START_US + INTERVAL_US * np.arange(len(values))
    inputs, mean, scale = series_inputs(values[None], time_us[None])
    return inputs[0, :, 0], mean[0], scale[0]


def _learn_interval(steps_us: list[int]) -> tuple[float, list[bool]]:
    """(interval, which steps were gaps) after a series of steps of time."""
    lane, _ = _fresh_lane()
    gaps = []
    for at in np.cumsum([START_US, *steps_us]).tolist():
        gaps.append(bool(update_interval(lane, at)))
        lane["run"] = 1 if gaps[-1] else lane["run"] + 1
        lane["last_time_us"] = at
        lane["points"] += 1
    return float(lane["interval_us"]), gaps[1:]


def test_first_moments_are_plain_averages() -> None:
    """Before clipping sets in, mean and variance are those of all points so far."""
    values = np.random.default_rng(7).normal(3, 2, 30)
    _, mean, scale = _observe_all(values)
    np.testing.assert_allclose(mean, [values[: n + 1].mean() for n in range(30)], rtol=1e-12)
    np.testing.assert_allclose(scale[1:], [values[: n + 1].std() for n in range(1, 30)], rtol=1e-9)


def test_a_large_mean_hides_no_spread() -> None:
    """A stream at 1e9 with a spread of 1 gives the z of the same stream at 0."""
    values = np.round(np.random.default_rng(7).normal(size=5000), 6)
    z, mean, scale = _observe_all(values)
    z_high, mean_high, scale_high = _observe_all(values + 1e9)
    np.testing.assert_allclose(z_high, z, rtol=0, atol=1e-5)
    np.testing.assert_allclose(mean_high - 1e9, mean, rtol=0, atol=1e-5)
    np.testing.assert_allclose(scale_high[1:], scale[1:], rtol=1e-5)


def test_the_unit_of_the_values_does_not_matter() -> None:
    """A stream in units a trillion times smaller or larger has the same z."""
    values = np.random.default_rng(7).normal(size=500)
    z = _observe_all(values)[0]
    for unit in (1e-12, 1e12):
        np.testing.assert_allclose(_observe_all(values * unit)[0], z, rtol=0, atol=1e-5)


def test_one_outlier_hardly_moves_the_moments() -> None:
    """An outlier of a million sd counts as one of four."""
    lane, _ = _fresh_lane()
    for value in np.random.default_rng(7).normal(size=200):
        update_moments(lane, value)
        lane["points"] += 1
    mean, sd = float(lane["mean"]), float(np.sqrt(lane["variance"]))
    update_moments(lane, 1e6)
    assert lane["mean"] - mean == pytest.approx(CLIP_SD * sd / 201)
    assert np.sqrt(lane["variance"]) < 1.05 * sd


def test_a_lasting_level_is_accepted() -> None:
    """After a few times the memory, mean and sd are those of the new level."""
    rng = np.random.default_rng(7)
    _, mean, scale = _observe_all(np.concatenate([rng.normal(0, 1, 3000), rng.normal(5, 1, 6 * MEMORY)]))
    assert mean[-1] == pytest.approx(5, abs=0.1)
    assert scale[-1] == pytest.approx(1, abs=0.1)


def test_a_constant_stream_has_z_of_zero_and_its_first_change_is_finite() -> None:
    """While nothing changes z is exactly 0; the first change gives a finite z."""
    z, _, scale = _observe_all(np.array([0.1] * 400 + [0.2] * 3))
    assert (z[:400] == 0).all()
    assert (scale > 0).all()
    assert np.isfinite(z).all()
    assert z[400] > 1


@pytest.mark.parametrize("value", [1e-300, 1e-9, 0.3, 7.0, 1e9, 1e46])
def test_asinh_is_accurate_and_odd(value: float) -> None:
    """The inverse hyperbolic sine agrees with numpy's to 1e-14, and is odd."""
    assert asinh(value) == pytest.approx(np.arcsinh(value), rel=1e-14)
    assert asinh(-value) == -asinh(value)


def test_the_frozen_frame_holds_the_values_seen_before() -> None:
    """When the frame is frozen, the window's earlier differences become (value - mean) / scale."""
    values = np.random.default_rng(7).normal(1000, 5, FRAME_AFTER + 1)
    lane, window = _fresh_lane()
    for value in values:
        update_moments(lane, value)
        freeze_frame(lane, window)
        if lane["frame_scale"] == 0:
            window[lane["points"]] = value - lane["frame_mean"]
            lane["points"] += 1
    assert lane["points"] == FRAME_AFTER
    assert lane["frame_mean"] == pytest.approx(values.mean())
    assert lane["frame_scale"] == pytest.approx(values.std(), rel=1e-5)
    expected = (values[:-1] - values.mean()) / values.std()
    np.testing.assert_allclose(window[:FRAME_AFTER], expected, atol=1e-5)


def test_no_frame_is_frozen_while_nothing_varies() -> None:
    """A constant lane has no frame, however long it is."""
    lane, window = _fresh_lane()
    for _ in range(100):
        update_moments(lane, 5.0)
        freeze_frame(lane, window)
        lane["points"] += 1
    assert lane["frame_scale"] == 0


def test_the_scale_has_a_floor_far_below_the_magnitude() -> None:
    """What rounding makes of a constant is no spread."""
    lane, _ = _fresh_lane()
    for value in [0.3, 0.1 + 0.2] * 100:
        update_moments(lane, value)
        lane["points"] += 1
    assert scale_of(lane) > 1e3 * np.sqrt(lane["variance"]) > 0


@pytest.mark.parametrize("interval_us", [1_000_000, 5 * MINUTE_US, 60 * MINUTE_US])
def test_a_regular_stream_gives_its_interval_exactly(interval_us: int) -> None:
    """The interval of a regular stream is exact from the second point on."""
    assert _learn_interval([interval_us]) == (interval_us, [False])
    assert _learn_interval([interval_us] * 500) == (interval_us, [False] * 500)


def test_a_gap_is_told_and_teaches_nothing() -> None:
    """A step of more than eight intervals is a gap and leaves the interval as it was; one of eight is none."""
    steps = [MINUTE_US] * 200
    assert _learn_interval([*steps, 9 * MINUTE_US, *steps[:3]]) == (MINUTE_US, [False] * 200 + [True] + [False] * 3)
    assert _learn_interval([*steps, int(GAP_INTERVALS) * MINUTE_US])[1][-1] is False


def test_jitter_averages_out() -> None:
    """Steps that vary by half an interval average to the interval."""
    rng = np.random.default_rng(7)
    interval, gaps = _learn_interval((MINUTE_US * rng.uniform(0.5, 1.5, 2000)).astype(np.int64).tolist())
    assert interval == pytest.approx(MINUTE_US, rel=0.1)
    assert not any(gaps)


def test_a_gap_as_first_step_is_soon_forgotten() -> None:
    """A lane whose first step was a day long knows its minute a few points later."""
    interval, _ = _learn_interval([1440 * MINUTE_US, *[MINUTE_US] * 3])
    assert interval == MINUTE_US


def test_a_coarser_sampling_is_accepted() -> None:
    """A stream that is sampled twelve times more rarely for good has gaps for a while, and then none."""
    interval, gaps = _learn_interval([5 * MINUTE_US] * 300 + [60 * MINUTE_US] * 600)
    assert gaps[300]
    assert sum(gaps) < 60
    assert not any(gaps[360:])
    assert interval == pytest.approx(60 * MINUTE_US, rel=0.05)
