"""What is new in a history, as it will be seen once it has gone on for longer.

Behind a change for good, what a lane shows goes on changing. Its normaliser takes the new level and scale over in the
course of its memory, and shows the same shape at other places and sizes meanwhile; what a day or a week ago was is of
the old for as long; weekdays come that had none of the new. A network that has learned from the first days knows none
of that, and takes what they happen to have in common for certain. So it is shown other histories beside: those in which
what is new had come again and again before it came as it did. The front end goes through them as it will in service.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.lookback import DAY_US
from detectors.normalise import MEMORY
from detectors.series import Series, Track

FORGOTTEN = 0.95
"""The most that a normaliser is taken to have forgotten of what was before."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps of a series that may come again and again.

    Attributes:
        first, stop: the first step, and the one behind the last.
        period_us: event time from one coming to the next; whole days if there is one, so that rhythms of the day go on.
    """

    first: int
    stop: int
    period_us: int

    @property
    def steps(self) -> int:
        """How many."""
        return self.stop - self.first


def find_stretch(time_us: NDArray[np.int64], onset: int, stop: int, least: int) -> Stretch | None:
    """What is new, between two steps of a series; None where that is fewer than `least` steps.

    Args:
        time_us: (steps,) event times, rising.
        onset: first step of what is new.
        stop: a step of the series, before which the stretch ends.
        least: steps.
    """
    if stop - onset < max(least, 1):
        return None
    period_us = int(time_us[stop] - time_us[onset])
    if period_us >= DAY_US:
        period_us -= period_us % DAY_US
        onset = int(np.searchsorted(time_us, time_us[stop] - period_us))
    return Stretch(onset, stop, period_us)


def draw_repeats(rng: np.random.Generator, stretch: Stretch, count: int) -> list[int]:
    """How often a stretch has come before, in so many histories or fewer.

    They are spread evenly over what the normaliser has forgotten by then. A stretch so long that it has forgotten the
    most already is not repeated.
    """
    forgotten = FORGOTTEN * (np.arange(count) + rng.random(count)) / count
    repeats = [round(-MEMORY * math.log1p(-share) / stretch.steps) for share in forgotten.tolist()]
    return [times for times in repeats if times]


def prolong(track: Track, stretch: Stretch, times: int) -> Track:
    """The points, had those of a stretch come so many times more before they came; all from there on is later."""
    first, stop = np.searchsorted(track.step, [stretch.first, stretch.stop])

    def again(points: NDArray[np.int64], each: int) -> NDArray[np.int64]:
        repeated = [points[first:stop] + each * time for time in range(times)]
        return np.concatenate([points[:first], *repeated, points[first:] + each * times])

    place = again(np.arange(len(track.values)), 0)
    return Track(
        track.values[place],
        again(track.time_us, stretch.period_us),
        again(track.step, stretch.steps),
        track.is_masked[place],
    )


def newest_of(series: Series, context: int, length: int) -> Series:
    """The series without steps that no excerpt reaches back to."""
    first = max(min(series.begin - context, series.split - context - length), 0)
    return Series(series.inputs[first:], series.targets[first:], series.split - first, series.begin - first)
