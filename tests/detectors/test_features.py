import numpy as np
import pytest

from detectors.features import observe
from detectors.layout import allocate, lane_dtype, make_plan, view_lanes
from detectors.lookback import WEEK_US
from detectors.profiles import PROFILES
from detectors.streams import CHANGE_LAGS, STREAMS
from tests.fakes import INTERVAL_US, START_US

HOUR_US = 3_600_000_000


def _derive(values: np.ndarray, time_us: np.ndarray, profile: str = "balanced") -> dict[str, np.ndarray]:
    """Derived streams (n,) by name, of a lane that has no forecasts."""
    chosen = PROFILES[profile]
    plan = make_plan(chosen, 1, 1)
    lanes = view_lanes(allocate(lane_dtype(chosen, 1, 1), 1))
    rows, inputs = np.empty((len(values), len(STREAMS))), np.empty(10, np.float32)
    for n, value in enumerate(values):
        observe(lanes.scalars[0], lanes.rings[0], lanes.window[0], plan, value, time_us[n], rows[n], inputs)
        lanes.scalars["points"] += 1
        lanes.scalars["weekly_points"] += not np.isnan(rows[n, STREAMS.index("weekly_difference")])
    scale = np.float64(lanes.scalars["frame_scale"][0])
    return {name: rows[:, i] * (scale if name in CHANGE_LAGS else 1.0) for i, name in enumerate(STREAMS)}


@pytest.mark.parametrize("profile", list(PROFILES))
@pytest.mark.parametrize(("stream", "lag"), CHANGE_LAGS.items())
def test_a_change_is_over_so_many_points(profile: str, stream: str, lag: int) -> None:
    """A change stream is the value minus the one so many points before, in units of the frame, once that is fixed."""
    values = np.random.default_rng(7).normal(50, 10, 200)
    derived = _derive(values, START_US + INTERVAL_US * np.arange(200), profile)
    expected = values[60:] - values[60 - lag : -lag]
    np.testing.assert_allclose(derived[stream][60:], expected, atol=0.1 if profile == "dense" else 1e-4)


def test_no_change_goes_across_a_gap() -> None:
    """For as many points behind a gap as a change is long, it is 0."""
    time_us = START_US + INTERVAL_US * np.arange(200)
    time_us[120:] += 100 * INTERVAL_US
    derived = _derive(np.random.default_rng(7).normal(50, 10, 200), time_us)
    for stream, lag in CHANGE_LAGS.items():
        assert not derived[stream][120 : 120 + lag].any()
        assert derived[stream][120 + lag :].all()


def test_a_week_is_compared_with_the_week_before() -> None:
    """Of a weekly rhythm the weekly difference is 0 from the second week on; what is new this week is all of it."""
    time_us = START_US // WEEK_US * WEEK_US + HOUR_US * np.arange(3 * 168)
    values = np.tile(np.random.default_rng(7).normal(50, 10, 168), 3)
    values[400] += 25
    derived = _derive(values, time_us)
    weekly = derived["weekly_difference"]
    assert np.isnan(weekly[:168]).all()
    np.testing.assert_allclose(np.delete(weekly[190:], 400 - 190), 0, atol=0.02)  # the first points had no frame yet
    assert weekly[400] == pytest.approx(25 / values[:20].std(), rel=0.1)
    np.testing.assert_allclose(derived["mean_weekly_difference"][400:440], weekly[400] / 40, rtol=0.2)
    assert abs(derived["mean_weekly_difference"][441]) < 0.1


def test_a_profile_without_slots_of_the_week_has_no_weekly_difference() -> None:
    """It has nothing to say of a week before."""
    derived = _derive(np.arange(400.0), START_US + HOUR_US * np.arange(400), "dense")
    assert np.isnan(derived["weekly_difference"]).all()
