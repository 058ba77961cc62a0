"""Evidence against what the whole past of a lane says, computed in numpy from the values themselves."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.detector import Detector
from detectors.episodes import CLOSED_AS_LEVEL_SHIFT
from detectors.frontend import series_inputs
from detectors.kernel import Verdicts
from detectors.layout import allocate
from detectors.normalise import FRAME_AFTER
from detectors.novelty import remembered
from detectors.profiles import PROFILES
from detectors.streams import STREAMS
from detectors.thresholds import ThresholdTable, fixed_decision
from tests.fakes import INTERVAL_US, START_US, bits, make_detector, make_network, score_in_pieces

GENERATION = 150


def _detector(profile: str = "accurate", **rules: float) -> Detector:
    """All streams scored, a network that forecasts no change, many events, and everything learned."""
    chosen = replace(PROFILES[profile], generation=GENERATION, streams=STREAMS)
    decision = fixed_decision(0.9, **{"rest": 0, "margin": -9.0, "clear": 99.0, **rules})
    return Detector(make_network(gain=0), chosen, decision)


def _score(detector: Detector, values: NDArray[np.float64], cuts: tuple[int, ...] = ()) -> Verdicts:
    n = len(values)
    time_us = START_US + INTERVAL_US * np.arange(n)
    return score_in_pieces(detector, allocate(detector.lane_dtype, 1), np.zeros(n, np.int64), time_us, values, cuts)


def _moving(values: NDArray[np.float64], length: int, what: Any) -> NDArray[np.float64]:
    """A statistic of the newest `length` values at each point from `length` on; 0 before."""
    told = what(np.lib.stride_tricks.sliding_window_view(values, length), axis=1)
    return np.concatenate([np.zeros(length - 1), told])


def _change(values: NDArray[np.float64], lag: int) -> NDArray[np.float64]:
    return np.concatenate([np.zeros(lag), values[lag:] - values[:-lag]])


@pytest.fixture(scope="module")
def noise() -> NDArray[np.float64]:
    """Values all different, with heavy tails."""
    return np.random.default_rng(7).standard_t(4, 700) * 3 + 1000


def test_values_are_in_units_of_the_value(noise: NDArray[np.float64]) -> None:
    """Each linear stream's, each spread's and each residual's value is what numpy makes of the series."""
    detector = _detector()
    verdicts = _score(detector, noise)
    expected = {
        "value": noise,
        "increment": _change(noise, 1),
        "change_5": _change(noise, 5),
        "change_20": _change(noise, 20),
        "mean_10": _moving(noise, 10, np.mean),
        "mean_40": _moving(noise, 40, np.mean),
        "spread_10": _moving(noise, 10, np.std),
        "spread_40": _moving(noise, 40, np.std),
    }
    checked = set()
    for column, name in enumerate(detector.streams):
        spoke = verdicts.event_novelty[:, column] > 0
        found, points = verdicts.event_evidence[spoke, column]["value"], verdicts.event_point[spoke]
        if name in expected:
            # spreads and means are of values kept in float32
            np.testing.assert_allclose(found, expected[name][points], rtol=1e-4, atol=2e-3)
            checked |= {name} if spoke.any() else set()
    assert checked == set(expected)


def test_a_residual_is_observed_minus_forecast(noise: NDArray[np.float64]) -> None:
    """With a forecast of no change, a residual is the change from the point that forecast, by the normaliser of today.

    That point's normalised value, as it was then, is what was forecast; today's mean and scale bring it back.
    """
    detector = _detector()
    verdicts = _score(detector, noise)
    time_us = START_US + INTERVAL_US * np.arange(len(noise))
    level, mean, scale = (array[0] for array in series_inputs(noise[None], time_us[None]))
    for horizon in (1, 8, 32, 96):
        column = detector.streams.index(f"residual_{horizon}")
        spoke = verdicts.event_novelty[:, column] > 0
        points = verdicts.event_point[spoke]
        forecast = mean[points] + scale[points] * np.sinh(level[points - horizon, 0])
        assert len(points) > 5
        np.testing.assert_allclose(
            verdicts.event_evidence[spoke, column]["value"], noise[points] - forecast, rtol=1e-3, atol=0.01
        )


@pytest.mark.parametrize("profile", ["accurate", "balanced"])
def test_ranks_are_those_among_all_points_remembered(noise: NDArray[np.float64], profile: str) -> None:
    """An exact rank counts the past values as far out; one that is not is less than them. The point is no past.

    Where tails have 16 bits, values that round to the same are as far out as one another.
    """
    detector = _detector(profile)
    series = {"value": noise, "increment": _change(noise, 1), "change_20": _change(noise, 20)}
    verdicts = _score(detector, noise)
    exact, bounds = 0, 0
    for name, values in series.items():
        column = detector.streams.index(name)
        close = 0.0 if profile == "accurate" else 2**-8 * np.ptp(values)
        for event in np.flatnonzero(verdicts.event_novelty[:, column]):
            point, evidence = verdicts.event_point[event], verdicts.event_evidence[event, column]
            past = values[:point][-remembered(point - FRAME_AFTER, GENERATION) :]
            side = 1 if evidence["above"] else -1
            assert evidence["among"] == len(past)
            assert side * (values[point] - np.mean(past)) > -np.std(past)
            least, most = (int((side * past >= side * values[point] + by).sum()) for by in (close, -close))
            assert evidence["seen"] <= most
            if evidence["exact"]:
                assert evidence["seen"] >= least
            exact, bounds = exact + int(evidence["exact"]), bounds + int(not evidence["exact"])
    assert exact > 50
    assert bounds > 20


def test_a_season_is_ranked_among_its_own_points(noise: NDArray[np.float64]) -> None:
    """A stream that began later than its lane covers fewer points."""
    detector = _detector()
    verdicts = _score(detector, noise)
    column = detector.streams.index("seasonal_difference")
    among = verdicts.event_evidence[verdicts.event_novelty[:, column] > 0, column]["among"]
    assert 0 < among.max() < 2 * GENERATION
    first = verdicts.event_point[np.argmax(verdicts.event_novelty[:, column] > 0)]
    assert among[0] == min(first - 288 - FRAME_AFTER, remembered(first - FRAME_AFTER, GENERATION))


def test_a_stream_without_novelty_has_no_evidence(noise: NDArray[np.float64]) -> None:
    """Nothing is told of a stream that did not speak."""
    verdicts = _score(_detector(), noise)
    silent = verdicts.event_evidence[verdicts.event_novelty == 0]
    assert set(silent.tolist()) == {(0.0, 0, 0, False, False)}


def test_evidence_does_not_depend_on_batches(noise: NDArray[np.float64]) -> None:
    """The last event is told to the bit the same, alone in its batch or not, and no verdict changes."""
    whole = _score(_detector(), noise)
    last = int(whole.event_point[-1])
    detector = _detector()
    slab, n = allocate(detector.lane_dtype, 1), len(noise)
    time_us, rows = START_US + INTERVAL_US * np.arange(n), np.zeros(n, np.int64)
    first = detector.score(slab, rows[:last], time_us[:last], noise[:last], np.arange(last))
    rest = detector.score(slab, rows[last:], time_us[last:], noise[last:], np.arange(last, n))
    assert rest.event_evidence[0].tolist() == whole.event_evidence[-1].tolist()
    assert rest.event_levels[0].tolist() == whole.event_levels[-1].tolist()
    assert len(first.event_evidence) == len(whole.event_evidence) - 1
    assert bits(whole) == bits(_score(_detector(), noise, (100, 101, 333)))


def test_without_a_table_nothing_is_known_of_rates(noise: NDArray[np.float64]) -> None:
    """A detector with thresholds of its own tells none; with a table it tells those of its highest score."""
    detector = _detector()
    n = len(noise)
    walked = detector.score(
        allocate(detector.lane_dtype, 1), np.zeros(n, np.int64), START_US + INTERVAL_US * np.arange(n), noise,
        np.arange(n),
    )  # fmt: skip
    assert np.isnan(detector.rates(walked).per_point).all()
    table = ThresholdTable((150, 250), (-4.0, -2.0), ((3.0, 1.0), (2.0, 0.0)))
    told = replace(detector, table=table).rates(walked)
    old = walked.points[walked.event_point] >= 250
    assert told.per_point[old] == pytest.approx(10.0 ** -np.clip(walked.event_peak[old] + 2, 2, 4), rel=1e-5)


def test_a_level_shift_has_its_two_levels() -> None:
    """They are the mean of the values before the episode and of those since its last flag."""
    values = np.random.default_rng(7).normal(50, 1, 700)
    values[500:] += 20
    verdicts = _score(make_detector(gain=0), values)
    (at,) = np.flatnonzero(verdicts.event[verdicts.event_point] == CLOSED_AS_LEVEL_SHIFT)
    assert verdicts.event_levels[at] == pytest.approx([50, 70], abs=0.5)
