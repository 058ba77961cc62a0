import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.frontend import series_inputs
from detectors.lookback import DAY_US, WEEK_US, fill_slot, look_up, slot_at
from detectors.minifloat import decode
from detectors.profiles import PROFILES

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
START_US = 16_002 * DAY_US  # a midnight, so that points lie evenly within the slots
SLOPE = 0.2  # per period, so that no period is like the one before


def _stream(time_us: NDArray[np.int64], period_us: int = DAY_US) -> NDArray[np.float64]:
    """A smooth cycle on a slow slope: a lag that is wrong by one step shows."""
    since = (time_us - START_US) / period_us
    return np.sin(2 * np.pi * since) + SLOPE * since


def _look_back(
    time_us: NDArray[np.int64], period_us: int = DAY_US, profile: str = "balanced"
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What each step looks back to, in the units of the stream, and whether there is anything."""
    inputs, mean, scale = series_inputs(_stream(time_us, period_us)[None], time_us[None], PROFILES[profile])
    value, mask = (2, 4) if period_us == DAY_US else (5, 6)
    return np.sinh(inputs[0, :, value].astype(float)) * scale[0] + mean[0], inputs[0, :, mask] == 1


@pytest.mark.parametrize(
    ("interval_us", "profile", "error"),
    [
        (MINUTE_US, "balanced", 0.002),
        (5 * MINUTE_US, "balanced", 0.002),
        (5 * MINUTE_US, "dense", 0.005),
        (20 * MINUTE_US, "balanced", 0.035),
        (HOUR_US, "balanced", 0.002),
        (HOUR_US, "dense", 0.002),
        (3 * HOUR_US, "balanced", 0.002),
    ],
)
def test_a_regular_stream_looks_back_exactly_one_day(interval_us: int, profile: str, error: float) -> None:
    """For the point to come, the look-back is the value one day before it, for any interval.

    One step of time too far would be an error of 0.022 at 5 minutes, and of 0.087 at 20.
    """
    time_us = START_US + interval_us * np.arange(4 * DAY_US // interval_us)
    found, there = _look_back(time_us, profile=profile)
    old = time_us >= START_US + DAY_US + 2 * HOUR_US + 25 * interval_us  # the frame is frozen at the 20th point
    assert there[old].all()
    expected = _stream(time_us + interval_us - DAY_US)
    np.testing.assert_allclose(found[old], expected[old], rtol=0, atol=error)


def test_points_that_lie_unevenly_within_the_slots_look_back_within_half_a_step() -> None:
    """A stream off the grid of the slots looks back wrong by half a step of time at most."""
    time_us = START_US + 200_000_000 + 5 * MINUTE_US * np.arange(4 * 288)
    found, there = _look_back(time_us)
    expected = _stream(time_us + 5 * MINUTE_US - DAY_US)
    np.testing.assert_allclose(found[350:], expected[350:], rtol=0, atol=0.011)
    assert there[350:].all()


def test_nothing_is_looked_back_to_on_the_first_day() -> None:
    """A lane younger than a day has an empty look-back."""
    time_us = START_US + 5 * MINUTE_US * np.arange(280)
    assert not _look_back(time_us)[1].any()


def test_a_regular_stream_looks_back_exactly_one_week() -> None:
    """For the point to come, the weekly look-back is the value one week before it."""
    time_us = START_US + 15 * MINUTE_US * np.arange(3 * WEEK_US // (15 * MINUTE_US))
    found, there = _look_back(time_us, WEEK_US)
    old = time_us >= START_US + WEEK_US + DAY_US
    assert there[old].all()
    assert not there[time_us < START_US + WEEK_US - HOUR_US].any()
    expected = _stream(time_us + 15 * MINUTE_US - WEEK_US, WEEK_US)
    np.testing.assert_allclose(found[old], expected[old], rtol=0, atol=0.003)


def test_the_look_back_follows_the_clock_when_times_jitter() -> None:
    """Points at irregular times look back one day by the clock, not so many points."""
    rng = np.random.default_rng(7)
    time_us = START_US + np.cumsum(rng.uniform(0.2, 1.8, 4 * 288) * 5 * MINUTE_US).astype(np.int64)
    found, there = _look_back(time_us)
    old = time_us >= START_US + DAY_US + 3 * HOUR_US
    assert there[old].mean() > 0.99
    expected = _stream(time_us + 5 * MINUTE_US - DAY_US)
    error = np.abs(found - expected)[old & there]
    assert np.quantile(error, 0.95) < 0.03
    assert error.max() < 0.1


def test_a_gap_moves_nothing_and_leaves_the_day_before() -> None:
    """Where yesterday has a hole, the look-back is the day before yesterday's value; elsewhere it is yesterday's."""
    time_us = START_US + 5 * MINUTE_US * np.arange(5 * 288)
    since = (time_us - START_US) / HOUR_US
    hole = (since >= 54) & (since < 60)  # six hours on the third day
    kept = time_us[~hole]
    found, there = _look_back(kept)
    since = (kept - START_US) / HOUR_US
    over_the_hole = (since >= 79) & (since < 83)
    behind_it = (since >= 61) & (since < 72)
    lag_us = 5 * MINUTE_US - DAY_US
    assert there[over_the_hole | behind_it].all()
    np.testing.assert_allclose(found[behind_it], _stream(kept + lag_us)[behind_it], rtol=0, atol=0.003)
    before = _stream(kept + lag_us - DAY_US)
    np.testing.assert_allclose(found[over_the_hole], before[over_the_hole], rtol=0, atol=0.003)


def test_a_stream_coarser_than_half_a_day_has_no_daily_look_back() -> None:
    """Daily values have nothing to look back to within a day."""
    assert not _look_back(START_US + DAY_US * np.arange(60))[1].any()


def test_slots_divide_the_period_evenly() -> None:
    """Slot k of n begins at k / n of the period, whichever the day."""
    for slot in range(96):
        begin = 12345 * DAY_US + slot * 15 * MINUTE_US
        assert slot_at(begin, 96, DAY_US) == slot
        assert slot_at(begin + 15 * MINUTE_US - 1, 96, DAY_US) == slot


def test_an_exact_zero_is_remembered() -> None:
    """A stored 0 is not mistaken for an empty slot."""
    ring = np.zeros(4, np.int16)
    fill_slot(ring, 1, np.float32(0.0))
    assert 0 < decode(ring[1]) < 1e-5
    assert look_up(ring, 0, 4, DAY_US, DAY_US * 3 // 8, -1, np.float32(np.nan))[1]
    assert not look_up(ring, 0, 4, DAY_US, DAY_US * 7 // 8, -1, np.float32(np.nan))[1]
