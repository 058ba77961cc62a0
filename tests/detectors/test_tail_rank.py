"""Ranking: what a raw score comes to, whatever its scale, and what of it is kept."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.episodes import CLOSED, OPENED
from detectors.kernel import Verdicts
from detectors.layout import Slab, allocate
from detectors.tail_rank import GENERATION, TAIL_SIZE, TailRank, rank_decision, ranked_rates
from tests.fakes import INTERVAL_US, START_US

WARM_UP = 50


def _judge(
    raw: NDArray[np.float64], values: NDArray[np.float64] | None = None, slab: Slab | None = None, **rules: float
) -> Verdicts:
    """Verdicts of one lane, whose values are noise unless given."""
    ranking = TailRank(rank_decision(1.0, warm_up=WARM_UP, **rules))
    slab = allocate(ranking.lane_dtype(), 1) if slab is None else slab
    n = len(raw)
    values = np.random.default_rng(3).normal(size=n) if values is None else values
    verdicts, _ = ranking.allocate(n)
    time_us = START_US + INTERVAL_US * np.arange(n)
    ranking.judge(slab, np.zeros(n, np.int64), time_us, values, np.arange(n), raw, verdicts)
    return verdicts


def test_a_score_is_the_rarity_of_its_rank() -> None:
    """Of N raw scores from the 21st on, k are as high: the score is log10((N + 1) / (k + 1))."""
    raw = np.random.default_rng(7).exponential(size=3000)
    for k, at in ((3, 1000), (10, 2000), (50, 2900)):
        raw[at] = np.sort(raw[20:at])[-k]  # a tie with the k-th highest
        assert _judge(raw).score[at] == pytest.approx(np.log10((at - 20 + 1) / (k + 1)), abs=1e-6)


def test_the_rate_of_an_event_is_that_of_its_rank() -> None:
    """(k + 1) / (N + 1) where k of N were as high, at most that where none was; at an episode's end none is told."""
    raw = np.random.default_rng(7).exponential(size=3000)
    raw[2900], raw[2950] = np.max(raw[20:2900]), 1000.0
    verdicts = _judge(raw, margin=-9.0, rest=0)
    m = int(np.count_nonzero(verdicts.event))
    cut = {name: getattr(verdicts, name)[:m] for name in ("event_point", "event_evidence")}
    verdicts = verdicts._replace(**cut)
    rates = ranked_rates(verdicts)
    told = dict(zip(verdicts.event_point.tolist(), zip(rates.per_point, rates.is_most, strict=True), strict=True))
    assert told[2900] == (pytest.approx(2 / 2881), False)
    assert told[2950] == (pytest.approx(1 / 2931), True)
    ends = verdicts.event[verdicts.event_point] >= CLOSED
    assert ends.any()
    assert (np.isnan(rates.per_point) == ends).all()
    assert verdicts.event_evidence["value"][verdicts.event_point == 2950, 0] == 1000


def test_beyond_everything_seen_distance_counts() -> None:
    """A new highest score gives more, the further out it is; a new lowest gives 0."""
    raw = np.random.default_rng(7).uniform(size=600)
    scores = []
    for highest in (1.01, 2.0, 20.0, -5.0):
        raw[599] = highest
        scores.append(float(_judge(raw).score[599]))
    assert scores[-1] == 0
    assert np.log10(580) < scores[0] < scores[1] < scores[2]


def test_the_scale_of_the_raw_score_does_not_matter() -> None:
    """Nor does an offset."""
    raw = np.random.default_rng(7).exponential(size=1500)
    expected = _judge(raw).score
    np.testing.assert_allclose(_judge(raw * 1024 - 64).score, expected, atol=2e-4)


@pytest.mark.parametrize("risk", [10.0, 1.0])
def test_the_risk_is_what_it_says(risk: float) -> None:
    """Of raw scores that are alike, so many in a thousand reach the threshold, and no more episodes open."""
    lanes, points = 40, 5000
    ranking = TailRank(rank_decision(risk))
    rng = np.random.default_rng(7)
    rows, n = np.tile(np.arange(lanes), points), lanes * points
    verdicts, _ = ranking.allocate(n)
    time_us = START_US + INTERVAL_US * (np.arange(n) // lanes)
    slab = allocate(ranking.lane_dtype(), lanes)
    ranking.judge(slab, rows, time_us, rng.normal(size=n), np.arange(n), rng.gumbel(size=n), verdicts)
    old = verdicts.points >= 1000
    reached = 1000 * np.mean(verdicts.score[old] >= verdicts.threshold[old])
    assert reached == pytest.approx(risk, rel=0.35)
    assert 0.3 * risk < 1000 * np.mean(verdicts.event[old] == OPENED) <= reached


def test_ranks_are_exact_up_to_the_highest_risk() -> None:
    """As deep into the past as the threshold of 10 per 1,000 points reaches."""
    assert GENERATION * 10 / 1000 <= TAIL_SIZE


def test_what_says_nothing_scores_nothing_and_is_not_remembered() -> None:
    """NaN is no raw score; ranks are among those that were, after a warm-up of their own."""
    raw = np.random.default_rng(7).exponential(size=900)
    late = np.concatenate([np.full(400, np.nan), raw])
    score = _judge(late).score
    assert np.isnan(score[:WARM_UP]).all()
    assert (score[WARM_UP : 400 + WARM_UP - 20] == 0).all()
    expected = np.concatenate([raw[:20], raw])  # the first 20 of a lane are left out
    np.testing.assert_array_equal(score[450:], _judge(expected).score[70:])


def test_the_older_generation_is_forgotten() -> None:
    """A record of long ago is beaten again."""
    raw = np.random.default_rng(7).uniform(size=3 * GENERATION)
    raw[1000] = 50.0
    raw[5000], raw[9000] = 40.0, 30.0
    score = _judge(raw, rest=0, clear=99.0).score
    assert score[5000] < np.log10(5000)  # the second highest
    assert score[9000] < np.log10(9000)
    raw[11500] = 45.0
    assert _judge(raw, rest=0, clear=99.0).score[11500] > np.log10(7500)  # beyond all that is remembered


def test_a_clear_incident_is_not_learned() -> None:
    """One that stands out the same way later scores the same again."""
    raw = np.random.default_rng(7).uniform(size=4000)
    raw[[2000, 3000]] = 1000.0
    verdicts = _judge(raw)
    assert {2000, 3000} <= {*np.flatnonzero(verdicts.event == OPENED).tolist()}
    assert verdicts.score[3000] > verdicts.score[2000] - 0.01
    assert _judge(raw, clear=99.0).score[3000] < 3.4  # learned: the rank of a tie


def test_a_lane_is_the_same_however_it_is_cut() -> None:
    """Row and verdicts are to the bit those of one pass."""
    ranking = TailRank(rank_decision(1.0, warm_up=WARM_UP))
    rng = np.random.default_rng(7)
    raw, values = rng.exponential(size=1200), rng.normal(size=1200)
    time_us = START_US + INTERVAL_US * np.arange(1200)
    scores, states = [], []
    for cuts in ([0, 1200], [0, 1, 57, 58, 700, 1200]):
        slab, parts = allocate(ranking.lane_dtype(), 2), []
        for start, stop in itertools.pairwise(cuts):
            verdicts, _ = ranking.allocate(stop - start)
            part = slice(start, stop)
            rows = np.ones(stop - start, np.int64)
            ranking.judge(slab, rows, time_us[part], values[part], np.arange(1200)[part], raw[part], verdicts)
            parts.append(verdicts.score)
        scores.append(np.concatenate(parts).tobytes())
        states.append([array.tobytes() for array in slab.values()])
    assert scores[0] == scores[1]
    assert states[0] == states[1]


@pytest.mark.parametrize("risk", [0, -1, float("inf"), float("nan")])
def test_a_risk_is_positive(risk: float) -> None:
    """As with the LSTM."""
    with pytest.raises(ValueError, match="expected a positive number of false alarms"):
        rank_decision(risk)


def test_gaps_are_those_of_the_engine() -> None:
    """A stream that is sampled more rarely for good comes after gaps at first, and is accepted then."""
    ranking = TailRank(rank_decision(1.0))
    steps = np.concatenate([np.full(200, 1), np.full(800, 20)])
    n = len(steps)
    verdicts, raw = ranking.allocate(n)
    slab = allocate(ranking.lane_dtype(), 1)
    time_us = START_US + INTERVAL_US * np.cumsum(steps)
    ranking.judge(slab, np.zeros(n, np.int64), time_us, np.sin(np.arange(n)), np.arange(n), raw, verdicts)
    assert not verdicts.gap[:200].any()
    assert verdicts.gap[200:220].all()
    assert not verdicts.gap[-500:].any()
