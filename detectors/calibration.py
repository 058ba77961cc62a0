"""Measuring how often the detector alerts where nothing is wrong."""

from collections.abc import Callable

import numpy as np

from detectors.detector import Detector
from detectors.episodes import OPENED
from detectors.layout import Profile, allocate
from detectors.network import Network
from detectors.synthetic import generate
from detectors.thresholds import AGES, ThresholdTable, fit_thresholds, fixed_decision

TRIED = (1.3, 1.45, 1.6, 1.75, 1.9, 2.05, 2.2, 2.4, 2.6, 2.9, 3.3)


def calibrate(
    network: Network, profile: Profile, *, seed: int, streams: int = 300, progress: Callable[[float], None]
) -> ThresholdTable:
    """Threshold by age and rate of false alarms, from fault-free synthetic streams.

    Args:
        network: the forecaster.
        profile: what its lanes remember.
        seed: of the streams.
        streams: how many; more make rare alarms more certain.
        progress: called with the fraction done.
    """
    length = AGES[-1]
    made = generate(np.random.default_rng(seed), streams, length, faults=False)
    rows, position = np.tile(np.arange(streams), length), np.arange(streams * length)
    time_us, values = made.time_us.T.ravel(), made.values.T.ravel()
    alarms = np.zeros((len(TRIED), len(AGES) - 1), np.int64)
    for i, threshold in enumerate(TRIED):
        detector = Detector(network, profile, fixed_decision(threshold))
        verdicts = detector.score(allocate(detector.lane_dtype, streams), rows, time_us, values, position)
        alarms[i] = np.histogram(verdicts.points[verdicts.event == OPENED], AGES)[0]
        progress((i + 1) / len(TRIED))
    return fit_thresholds(TRIED, alarms, streams * np.diff(AGES))
