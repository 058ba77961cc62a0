"""Calibration as a whole: a table made on some streams keeps its promise on others."""

import numpy as np
import pytest

from detectors.calibration import Block, calibrate, calibrate_joint, count_alarms, key_blocks, stream_blocks
from detectors.detector import Detector
from detectors.episodes import OPENED
from detectors.layout import allocate
from detectors.profiles import PROFILES
from detectors.synthetic import generate
from detectors.thresholds import AGES, LOG_RATES, ThresholdTable, make_decision
from tests.fakes import make_network

STREAMS = 10


@pytest.fixture(scope="module")
def table() -> ThresholdTable:
    """Of a network of random weights; what is told meanwhile rises to 1."""
    told: list[float] = []
    made = calibrate(make_network(), PROFILES["dense"], seed=7, streams=STREAMS, workers=2, progress=told.append)
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


@pytest.mark.slow
def test_joint_lanes_have_a_table_of_their_own(table: ThresholdTable) -> None:
    """It is measured the same whatever the workers, and steeper: the joint value has no family of heavy tails."""
    network, profile = make_network(), PROFILES["dense"]
    one, other = (
        calibrate_joint(network, profile, table, seed=7, streams=STREAMS, workers=workers, progress=lambda _done: None)
        for workers in (1, 3)
    )
    assert one == other
    assert np.shape(one.thresholds) == np.shape(table.thresholds)
    assert one.thresholds[-1] != table.thresholds[-1]


@pytest.mark.parametrize("streams", [1, 60, 800])
def test_blocks_cover_all_streams_and_keys_once(streams: int) -> None:
    """Each length has as many as are told; a full block of few streams is the one of many streams."""
    of_streams, of_keys = stream_blocks(streams), key_blocks(streams)
    assert [sum(one.count for one in of_streams if one.length == length) for length in (12_000, 1000)] == [
        streams, 8 * streams,
    ]  # fmt: skip
    assert len(set(of_streams)) == len(of_streams)
    assert len(set(of_keys)) == len(of_keys)
    assert {one.fields for one in of_keys} == {2, 3, 5, 10}
    whole = {one for one in of_streams if one.count in (50, 400)}
    assert whole <= set(stream_blocks(2000))


def test_workers_change_nothing_but_the_time() -> None:
    """Sums are the same for any number of workers, and what is told of the progress rises to 1."""
    blocks = [Block(0, start, 2, 100) for start in range(7)]

    def count(block: Block) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(block.start)
        return rng.integers(0, 99, (17, 7)), rng.integers(0, 99, 7)

    told: list[float] = []
    (alarms, points), (again, points_again) = (count_alarms(count, blocks, n, told.append) for n in (1, 4))
    assert np.array_equal(alarms, again)
    assert np.array_equal(points, points_again)
    assert told == [pytest.approx(done / 7) for done in range(1, 8)] * 2


def test_a_failing_block_ends_it() -> None:
    """What goes wrong in a worker is raised, and blocks that wait are not begun."""
    begun: list[int] = []

    def count(block: Block) -> tuple[np.ndarray, np.ndarray]:
        begun.append(block.start)
        raise ValueError("found a block")

    with pytest.raises(ValueError, match="found a block"):
        count_alarms(count, [Block(0, start, 2, 100) for start in range(50)], 1, lambda _done: None)
    assert len(begun) < 50
