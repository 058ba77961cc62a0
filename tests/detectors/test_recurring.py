import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.frontend import see_series
from detectors.lookback import DAY_US
from detectors.normalise import MEMORY
from detectors.recurring import FORGOTTEN, Stretch, draw_repeats, find_stretch, newest_of, prolong
from detectors.series import Series, Track, lane_series
from tests.fakes import START_US

DAY = 96
INTERVAL_US = DAY_US // DAY
ONSET, COUNT = 3 * DAY, 6 * DAY
TIMES = START_US + INTERVAL_US * np.arange(COUNT)


def _values() -> NDArray[np.float64]:
    """A daily rhythm whose level rises for good."""
    noise = np.random.default_rng(7).normal(0, 0.1, COUNT)
    return np.sin(2 * np.pi * np.arange(COUNT) / DAY) + noise + np.where(np.arange(COUNT) < ONSET, 0.0, 3.0)


def _track() -> Track:
    return Track(_values(), TIMES, np.arange(COUNT), np.arange(COUNT) == ONSET + DAY)


def test_whole_days_come_again_where_there_is_one() -> None:
    """The newest whole days up to where it is to end; all of what is new, where that is no day."""
    assert find_stretch(TIMES, ONSET, COUNT - 30, 40) == Stretch(COUNT - 30 - 2 * DAY, COUNT - 30, 2 * DAY_US)
    assert find_stretch(TIMES, ONSET, ONSET + 50, 40) == Stretch(ONSET, ONSET + 50, 50 * INTERVAL_US)


@pytest.mark.parametrize("stop", [ONSET - 20, ONSET, ONSET + 39])
def test_too_little_that_is_new_does_not_come_again(stop: int) -> None:
    """A few points tell nothing of what will go on, and nothing new tells less."""
    assert find_stretch(TIMES, ONSET, stop, 40) is None
    assert find_stretch(TIMES, ONSET, stop, 0) is None or stop > ONSET


def test_a_history_is_longer_by_what_has_come_again() -> None:
    """What was before stays; the stretch comes so often more, a period apart; what comes then is as it was, later."""
    track, stretch = _track(), Stretch(ONSET, ONSET + DAY, DAY_US)
    longer = prolong(track, stretch, 4)
    more = 4 * DAY
    assert len(longer.values) == COUNT + more
    assert (np.diff(longer.time_us) == INTERVAL_US).all()
    assert longer.step.tolist() == list(range(COUNT + more))
    assert longer.values[:ONSET].tobytes() == track.values[:ONSET].tobytes()
    assert longer.values[ONSET + more :].tobytes() == track.values[ONSET:].tobytes()
    for time in range(4):
        again = longer.values[ONSET + time * DAY : ONSET + (time + 1) * DAY]
        assert again.tobytes() == track.values[ONSET : ONSET + DAY].tobytes()
    assert longer.is_masked.nonzero()[0].tolist() == [ONSET + DAY + more]


def test_of_several_fields_the_steps_stay_together() -> None:
    """A field that has a point in every other step comes again in the steps in which it came."""
    track = _track()
    sparse = Track(track.values[::2], TIMES[::2], np.arange(0, COUNT, 2), track.is_masked[::2])
    stretch = Stretch(ONSET, ONSET + DAY, DAY_US)
    longer, of_all = prolong(sparse, stretch, 2), prolong(track, stretch, 2)
    assert longer.step.tolist() == list(range(0, COUNT + 2 * DAY, 2))
    assert longer.values.tobytes() == of_all.values[longer.step].tobytes()
    assert longer.time_us.tolist() == of_all.time_us[longer.step].tolist()


def test_the_normaliser_has_come_farther() -> None:
    """The same newest points are nearer to the lane's mean, the oftener what is new has come before."""
    stretch = Stretch(ONSET, ONSET + DAY, DAY_US)
    means = []
    for times in (0, 4, 40):
        longer = prolong(_track(), stretch, times)
        means.append(see_series(longer.values, longer.time_us).mean[-1])
    assert means == sorted(means)
    assert means[0] < 2.0
    assert means[-1] == pytest.approx(3.0, abs=0.2)


def test_repeats_are_spread_over_what_is_forgotten() -> None:
    """Each of three has a third of the way to itself; less than once is left out."""
    rng = np.random.default_rng(7)
    for _ in range(50):
        repeats = draw_repeats(rng, Stretch(0, 10, 1), 3)
        forgotten = -np.expm1(-10 * np.array(repeats) / MEMORY) / FORGOTTEN
        assert all(third / 3 - 0.01 < share < (third + 1) / 3 + 0.01 for third, share in enumerate(forgotten[-2:], 1))
        assert len(repeats) == 2 or forgotten[0] < 1 / 3 + 0.01
    assert draw_repeats(rng, Stretch(0, 8 * MEMORY, 1), 3) == []


def test_what_no_excerpt_reaches_is_left_out() -> None:
    """Excerpts before the split, and those that judge behind it, are the same."""
    series = lane_series(_track(), (1, 4), begin=ONSET + 90, split=ONSET + 200)
    short = newest_of(series, 60, 30)
    assert short.begin == 60
    first = ONSET + 30
    assert short.split == ONSET + 200 - first
    assert short.inputs.tobytes() == series.inputs[first:].tobytes()
    assert newest_of(Series(series.inputs, series.targets, 100, 80), 60, 30).split == 90
