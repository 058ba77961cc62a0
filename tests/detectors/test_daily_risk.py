"""A risk per lane and day: each lane's threshold follows from its own sampling interval, as far as it is known."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.detector import Detector
from detectors.episodes import OPENED
from detectors.kernel import Verdicts
from detectors.layout import allocate
from detectors.tail_rank import TailRank, rank_decision
from detectors.thresholds import ThresholdTable, make_decision
from tests.fakes import START_US, bits, make_detector, score_in_pieces, seasonal

TABLE = ThresholdTable((150, 4000), (-5.0, -4.0, -3.0), ((3.4, 2.8, 2.2), (2.6, 2.2, 1.7)))
RULES = {"warm_up": 60, "rest": 20, "quiet": 10}
SECOND_US, MINUTE_US, DAY_US = 1_000_000, 60_000_000, 86_400_000_000
LANES, POINTS = 5, 400


def _daily(risk_per_day: float) -> Detector:
    return dataclasses.replace(make_detector(), decision=make_decision(TABLE, risk_per_day=risk_per_day, **RULES))


def _per_points(risk: float) -> Detector:
    return dataclasses.replace(make_detector(), decision=make_decision(TABLE, risk, **RULES))


def _one_lane(detector: Detector, time_us: NDArray[np.int64]) -> Verdicts:
    n = len(time_us)
    values = seasonal(np.random.default_rng(7), n)
    values[n // 2] += 40
    return score_in_pieces(detector, allocate(detector.lane_dtype, 1), np.zeros(n, np.int64), time_us, values)


def _regular(interval_us: int, n: int = POINTS) -> NDArray[np.int64]:
    return START_US + interval_us * np.arange(n)


def _irregular(rng: np.random.Generator, mean_us: float, n: int) -> NDArray[np.int64]:
    """Times of which none follows another by more than a few means."""
    return START_US + np.cumsum(rng.uniform(0.2 * mean_us, 1.8 * mean_us, n).astype(np.int64) + 1)


@pytest.mark.parametrize("interval_us", [MINUTE_US, 5 * MINUTE_US, 60 * MINUTE_US])
def test_a_regular_lane_is_judged_as_by_the_risk_of_its_points(interval_us: int) -> None:
    """From its second point on, every verdict is that of the same risk said per 1,000 points."""
    per_day = 0.3
    daily = _one_lane(_daily(per_day), _regular(interval_us))
    expected = _one_lane(_per_points(1000 * per_day * interval_us / DAY_US), _regular(interval_us))
    np.testing.assert_allclose(daily.threshold[1:], expected.threshold[1:], atol=1e-5)
    assert daily.threshold[0] >= expected.threshold[0]
    assert expected.flagged.any()
    assert daily.flagged.tolist() == expected.flagged.tolist()


def test_points_twice_as_dense_have_a_higher_threshold() -> None:
    """Two lanes with the same values and other intervals differ in their thresholds, not in their scores' kind."""
    dense, sparse = (_one_lane(_daily(0.3), _regular(interval_us)) for interval_us in (MINUTE_US, 10 * MINUTE_US))
    assert (dense.threshold[1:] > sparse.threshold[1:] + 0.3).all()


def test_an_irregular_lane_is_judged_by_its_mean_interval() -> None:
    """Jitter moves the threshold by little, since the interval is a mean over 128 steps."""
    time_us = _irregular(np.random.default_rng(3), 5 * MINUTE_US, 3000)
    irregular, regular = _one_lane(_daily(0.3), time_us), _one_lane(_daily(0.3), _regular(5 * MINUTE_US, 3000))
    np.testing.assert_allclose(irregular.threshold[150:], regular.threshold[150:], atol=0.06)


def test_a_change_of_the_interval_is_followed() -> None:
    """A lane that is sampled four times as rarely from now on has, a few hundred points later, the threshold for it."""
    steps = np.repeat([MINUTE_US, 4 * MINUTE_US], 1000)
    changed = _one_lane(_daily(0.3), START_US + np.cumsum(steps))
    before, after = (_one_lane(_daily(0.3), _regular(us, 2000)).threshold for us in (MINUTE_US, 4 * MINUTE_US))
    np.testing.assert_allclose(changed.threshold[1:1000], before[1:1000], atol=1e-5)
    assert (np.diff(changed.threshold[1000:1300]) <= 0).all()
    np.testing.assert_allclose(changed.threshold[1600:], after[1600:], atol=0.01)


def test_a_gap_leaves_the_threshold() -> None:
    """An outage is no rarer sampling: the threshold behind it is the one without it."""
    time_us = _regular(MINUTE_US)
    broken = time_us + np.where(np.arange(POINTS) >= 200, 300 * MINUTE_US, 0)
    assert _one_lane(_daily(0.3), broken).threshold.tobytes() == _one_lane(_daily(0.3), time_us).threshold.tobytes()


def _fleet() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Lanes of five intervals, two of them irregular, interleaved at random."""
    rng = np.random.default_rng(11)
    times = [_regular(us) for us in (SECOND_US, MINUTE_US, 60 * MINUTE_US)]
    times += [_irregular(rng, us, POINTS) for us in (10 * SECOND_US, 15 * MINUTE_US)]
    values = np.array([seasonal(rng, POINTS) for _ in range(LANES)])
    values[:, 300:304] += 30
    rows = rng.permutation(np.repeat(np.arange(LANES), POINTS))
    nth = np.empty(len(rows), np.int64)
    for lane in range(LANES):
        nth[rows == lane] = np.arange(POINTS)
    return rows, np.array(times)[rows, nth], values[rows, nth]


@settings(max_examples=8)
@given(st.sets(st.integers(1, LANES * POINTS - 1), max_size=40).map(sorted), st.integers(1, LANES * POINTS))
def test_neither_batches_nor_what_follows_show(cuts: list[int], end: int) -> None:
    """However the points are cut, and wherever the stream ends, verdicts are those of one pass, bit for bit."""
    detector, (rows, time_us, values) = _daily(0.5), _fleet()
    whole = score_in_pieces(detector, allocate(detector.lane_dtype, LANES), rows, time_us, values)
    pieces = score_in_pieces(detector, allocate(detector.lane_dtype, LANES), rows, time_us, values, cuts)
    assert bits(pieces) == bits(whole)
    assert whole.flagged.any()
    short = score_in_pieces(detector, allocate(detector.lane_dtype, LANES), rows[:end], time_us[:end], values[:end])
    for name in ("score", "threshold", "flagged", "event", "episode"):
        assert getattr(short, name).tobytes() == getattr(whole, name)[:end].tobytes()


@pytest.mark.parametrize("is_regular", [True, False])
def test_lanes_of_any_interval_alarm_as_often_a_day(*, is_regular: bool) -> None:
    """Of raw scores that are alike, each lane's alarms per day are those asked for, whatever its points per day."""
    lanes, points, asked = 40, 5000, 0.5
    ranking = TailRank(rank_decision(risk_per_day=asked))
    for interval_us in (3 * MINUTE_US, 12 * MINUTE_US):
        rng = np.random.default_rng(7)
        one = _regular(interval_us, points) if is_regular else _irregular(rng, interval_us, points)
        rows, time_us = np.tile(np.arange(lanes), points), np.repeat(one, lanes)
        verdicts, raw = ranking.allocate(lanes * points)
        raw[:] = rng.gumbel(size=lanes * points)
        slab = allocate(ranking.lane_dtype(), lanes)
        ranking.judge(slab, rows, time_us, rng.normal(size=len(raw)), np.arange(len(raw)), raw, verdicts)
        reached = (verdicts.points >= 2000) & (verdicts.score >= verdicts.threshold)
        days = (one[-1] - one[2000]) / DAY_US
        assert reached.sum() / lanes / days == pytest.approx(asked, rel=0.25)
        assert (verdicts.event == OPENED).any()
