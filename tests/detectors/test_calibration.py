"""Calibration as a whole: a table made on some streams keeps its promise on others."""

import numpy as np
import pytest

from detectors.calibration import calibrate
from detectors.detector import Detector
from detectors.episodes import OPENED
from detectors.layout import PROFILES, allocate
from detectors.synthetic import generate
from detectors.thresholds import AGES, LOG_RATES, ThresholdTable, make_decision
from tests.fakes import make_network

STREAMS = 10


@pytest.fixture(scope="module")
def table() -> ThresholdTable:
    """Of a network of random weights; what is told meanwhile rises to 1."""
    told: list[float] = []
    made = calibrate(make_network(), PROFILES["dense"], seed=7, streams=STREAMS, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    return made


@pytest.mark.slow
@pytest.mark.parametrize("risk", [1.0, 3.0])
def test_the_risk_is_kept_on_other_streams(table: ThresholdTable, risk: float) -> None:
    """Young and old lanes of another seed open about as many episodes per 1,000 points as asked for."""
    count, points = 40, AGES[-1]
    detector = Detector(make_network(), PROFILES["dense"], make_decision(table, risk))
    made = generate(np.random.default_rng(8), count, points, faults=False)
    verdicts = detector.score(
        allocate(detector.lane_dtype, count),
        np.tile(np.arange(count), points),
        made.time_us.T.ravel(),
        made.values.T.ravel(),
        np.arange(count * points),
    )
    opened = verdicts.points[verdicts.event == OPENED]
    for youngest, oldest in ((AGES[0], AGES[-2]), (AGES[-2], points)):
        alarms = np.count_nonzero((opened >= youngest) & (opened < oldest))
        expected = risk / 1000 * count * (oldest - youngest)
        # a factor of 1.5 for what differs between streams, and three standard deviations of chance
        assert expected / 1.5 - 3 * expected**0.5 < alarms < expected * 1.5 + 3 * expected**0.5


@pytest.mark.slow
def test_lanes_of_more_past_have_lower_thresholds(table: ThresholdTable) -> None:
    """At the default risk, since the more has been seen, the less is rare by chance."""
    thresholds = [np.interp(-3.0, LOG_RATES, row) for row in table.thresholds]
    assert thresholds[0] > thresholds[2] > thresholds[-1]
