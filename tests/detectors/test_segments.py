import numpy as np
import pytest

from detectors.layout import allocate
from detectors.normalise import FRAME_AFTER
from detectors.profiles import PROFILES
from detectors.segments import GROUPS, make_segment, smooth_segment
from detectors.streams import SEGMENT_GROUPS, STREAMS
from tests.fakes import INTERVAL_US, START_US, make_detector, seasonal


def _smooth(derived: np.ndarray, profile: str = "balanced", seasonal_from: int = 0) -> list[float]:
    """Segment scores of points (n,) with the derived streams (n, streams)."""
    segment = make_segment(PROFILES[profile])
    moments, energy = np.zeros(2 * len(segment.streams), np.float32), np.zeros(GROUPS, np.float32)
    return [
        smooth_segment(moments, energy, segment, row, np.array([n, max(n - seasonal_from, 0), 0]))
        for n, row in enumerate(derived)
    ]


def _reference(derived: np.ndarray, profile: str) -> list[float]:
    """The same, written out in float64: moments, energies and groups by name; every stream from the first point on."""
    names = PROFILES[profile].segment_streams
    mean, variance = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    energy, scores = np.zeros(3), []
    for n, row in enumerate(derived):
        squares: list[list[float]] = [[], [], []]
        for name in names:
            age = n if "seasonal" in name else n - FRAME_AFTER
            if age < 0:
                continue
            difference = row[STREAMS.index(name)] - mean[name]
            sd = np.sqrt(variance[name])
            if variance[name] > 0:
                if age >= 100:
                    squares[SEGMENT_GROUPS[name]].append(min(abs(difference) / sd, 20.0) ** 2)
                if age >= 30:
                    difference = np.clip(difference, -4 * sd, 4 * sd)
            weight = max(1 / (age + 1), 1 / 2000)
            mean[name] += weight * difference
            variance[name] = (1 - weight) * (variance[name] + weight * difference**2)
        energy += 0.2 * (np.array([np.mean(group) if group else 1.0 for group in squares]) - energy)
        scores.append(float(np.log1p(energy).mean()))
    return scores


@pytest.mark.parametrize("profile", ["balanced", "dense"])
def test_it_is_the_smoothed_energy_of_three_groups(profile: str) -> None:
    """The score equals the method written out, to the precision of its float32 state."""
    derived = np.random.default_rng(7).standard_t(3, (600, len(STREAMS)))
    np.testing.assert_allclose(_smooth(derived, profile), _reference(derived, profile), rtol=1e-4)


def test_a_stream_with_nothing_to_say_is_left_out() -> None:
    """NaN changes neither the score of the others nor the stream's moments, and the score stays finite."""
    derived = np.random.default_rng(7).normal(size=(400, len(STREAMS)))
    late = [STREAMS.index(name) for name in ("seasonal_difference", "mean_seasonal_difference")]
    derived[:, late] = np.nan
    scores = _smooth(derived, seasonal_from=300)
    assert np.isfinite(scores).all()
    derived[300:, late] = 3.0
    assert _smooth(derived, seasonal_from=300) == scores  # 100 values are too few to go by
    derived[:, STREAMS.index("value")] = np.nan
    assert _smooth(derived, seasonal_from=300)[-1] != scores[-1]


def _scored(values: np.ndarray, profile: str = "balanced") -> np.ndarray:
    detector = make_detector(profile=profile)
    count = len(values)
    time_us = START_US + INTERVAL_US * np.arange(count)
    slab = allocate(detector.lane_dtype, 1)
    return detector.score(slab, np.zeros(count, np.int64), time_us, values, np.arange(count)).segment


@pytest.mark.parametrize("profile", list(PROFILES))
def test_it_lasts_as_long_as_the_anomaly(profile: str) -> None:
    """Through a stretch of wild values the score is above nearly all that came before; behind it, it comes back."""
    rng = np.random.default_rng(7)
    values = seasonal(rng, 2000)
    values[1500:1700] += rng.normal(0, 3 * values.std(), 200)
    score = _scored(values, profile)
    usual = np.quantile(score[600:1500], 0.99)
    assert (score[1510:1700] > usual).mean() > 0.95
    assert (score[1800:] > usual).mean() < 0.5
    assert np.median(score[1800:]) < 0.3 * np.median(score[1510:1700])


def test_a_level_that_lasts_is_accepted() -> None:
    """After a lasting change of level the score comes back to what it was."""
    values = np.random.default_rng(7).normal(size=9000)
    values[3000:] += 8
    score = _scored(values)
    assert score[3010] > 2 * np.median(score[1000:3000])
    assert np.median(score[8000:]) < 1.1 * np.median(score[1000:3000])


def test_there_is_none_while_warming() -> None:
    """It begins with the score of the event."""
    score = _scored(seasonal(np.random.default_rng(7), 400))
    assert np.isnan(score[:150]).all()
    assert np.isfinite(score[150:]).all()
