"""Measuring how often the detector alerts where nothing is wrong."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from detectors.detector import Detector
from detectors.episodes import OPENED
from detectors.layout import Profile, allocate
from detectors.network import Network
from detectors.synthetic import Corpus, SyntheticStreams
from detectors.thresholds import AGES, ThresholdTable, fit_thresholds, fixed_decision

TRIED = (1.15, 1.3, 1.45, 1.6, 1.75, 1.9, 2.05, 2.2, 2.4, 2.6, 2.9, 3.3)
YOUNG_POINTS, YOUNG_STREAMS = 1000, 8
"""Length of further streams and how many there are of them: a lane is young but once, and old for long."""
_OLD = len(AGES) - 2
_COUNTED = np.array([*AGES[:-1], 1000, 2000, 4000, AGES[-1]])
"""Edges of the ages that are counted apart."""
_BLOCK_STREAMS = {AGES[-1]: 50, YOUNG_POINTS: 400}


def calibrate(
    network: Network, profile: Profile, *, seed: int, streams: int = 100, progress: Callable[[float], None]
) -> ThresholdTable:
    """Threshold by age and rate of false alarms, from fault-free synthetic streams.

    Args:
        network: the forecaster.
        profile: what its lanes remember.
        seed: of the streams.
        streams: how many of 12,000 points, with eight times as many of 1,000; more make rare alarms more certain.
        progress: called with the fraction done.
    """
    lengths = {AGES[-1]: streams, YOUNG_POINTS: YOUNG_STREAMS * streams}
    alarms, points = np.zeros((len(TRIED), len(_COUNTED) - 1), np.int64), np.zeros(len(_COUNTED) - 1, np.int64)
    done, total = 0, len(TRIED) * sum(length * count for length, count in lengths.items())
    for part, (length, count) in enumerate(lengths.items()):
        for start in range(0, count, _BLOCK_STREAMS[length]):
            size = min(_BLOCK_STREAMS[length], count - start)
            made = Corpus(seed, part, size, length, faults=False).block(start)
            points += size * np.diff(np.minimum(_COUNTED, length))
            for i, threshold in enumerate(TRIED):
                alarms[i] += _count_alarms(Detector(network, profile, fixed_decision(threshold)), made)
                done += size * length
                progress(done / total)
    return fit_thresholds(TRIED, *_join_old(alarms, points))


def _join_old(alarms: NDArray[np.int64], points: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Alarms and points by group of AGES: of the last, ages count by how long a lane has them, not a short stream."""
    lasts = np.diff(_COUNTED)[_OLD:] / np.diff(_COUNTED)[_OLD:].sum()
    old_points = points[_OLD:].sum()
    old_alarms = np.round((alarms[:, _OLD:] / points[_OLD:]) @ lasts * old_points).astype(np.int64)
    return np.column_stack([alarms[:, :_OLD], old_alarms]), np.append(points[:_OLD], old_points)


def _count_alarms(detector: Detector, made: SyntheticStreams) -> NDArray[np.int64]:
    """Episodes opened at each of the ages counted, the streams walked side by side."""
    count, length = made.values.shape
    verdicts = detector.score(
        allocate(detector.lane_dtype, count),
        np.tile(np.arange(count), length),
        made.time_us.T.ravel(),
        made.values.T.ravel(),
        np.arange(count * length),
    )
    return np.histogram(verdicts.points[verdicts.event == OPENED], _COUNTED)[0]
