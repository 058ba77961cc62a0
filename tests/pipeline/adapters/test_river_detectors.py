import re
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from river import anomaly, preprocessing, stats

from detectors.layout import allocate
from detectors.tail_rank import TailRank, rank_decision
from pipeline.adapters.river_detectors import RiverDetector, known, make_river_detector
from pipeline.errors import ConfigError, DriftlineError
from tests.fakes import (
    INTERVAL_US,
    START_US,
    column,
    cut,
    every,
    make_batch,
    make_engine,
    one_stream,
    process,
    seasonal,
)

RANKING = TailRank(rank_decision(1.0, warm_up=50))
TREES = "river.anomaly.HalfSpaceTrees"
SMALL: dict[str, Any] = {"n_trees": 4, "height": 4, "window_size": 40}


class Recorded(TailRank):
    """A ranking that keeps the raw scores that it is given."""

    raw: NDArray[np.float64] = np.empty(0)

    def judge(self, *arguments: Any) -> int:
        """As a `TailRank`."""
        type(self).raw = arguments[5]
        return super().judge(*arguments)


def _raw(path: str, values: NDArray[np.float64], **options: Any) -> NDArray[np.float64]:
    """What a detector says of one lane, before it is ranked."""
    detector = make_river_detector(path, options, Recorded(RANKING.decision))
    n = len(values)
    slab = allocate(detector.lane_dtype, 1)
    walk = detector.begin(slab, np.zeros(n, np.int64), START_US + INTERVAL_US * np.arange(n), values, np.arange(n))
    walk.run()
    return Recorded.raw


VALUES = seasonal(np.random.default_rng(7), 300)


def test_it_is_rivers_model_behind_the_scaler_that_river_recommends() -> None:
    """Scores are those of river used as its documentation shows; zeros at the start are warming."""
    model = preprocessing.MinMaxScaler() | anomaly.HalfSpaceTrees(**SMALL, seed=1)
    expected = []
    for value in VALUES.tolist():
        expected.append(model.score_one({"value": value}))
        model.learn_one({"value": value})
    raw = _raw(TREES, VALUES, **SMALL)
    assert np.isnan(raw[:40]).all()
    np.testing.assert_array_equal(raw[40:], expected[40:])


def test_with_limits_of_its_own_there_is_no_scaler() -> None:
    """Whoever knows the range gives it."""
    model = anomaly.HalfSpaceTrees(**SMALL, seed=5, limits={"value": (-2, 2)})
    expected = []
    for value in VALUES.tolist():
        expected.append(model.score_one({"value": value}))
        model.learn_one({"value": value})
    raw = _raw(TREES, VALUES, **SMALL, seed=5, limits={"value": [-2, 2]})
    np.testing.assert_array_equal(raw[40:], expected[40:])


def test_a_supervised_detector_has_the_value_as_its_target() -> None:
    """Hyper-parameters may be objects of river, named by class path, and by a table with their own."""
    model = anomaly.StandardAbsoluteDeviation(sub_stat=stats.EWMean(0.25))
    expected = []
    for value in VALUES.tolist():
        expected.append(model.score_one(None, value))
        model.learn_one(None, value)
    path = "river.anomaly.StandardAbsoluteDeviation"
    raw = _raw(path, VALUES, sub_stat={"class": "river.stats.EWMean", "fading_factor": 0.25})
    np.testing.assert_array_equal(raw[2:], expected[2:])
    by_path = _raw(path, VALUES, sub_stat="river.stats.Mean")
    np.testing.assert_array_equal(by_path, _raw(path, VALUES))


@pytest.mark.parametrize("path", known())
def test_every_detector_of_river_runs_in_the_engine(path: str) -> None:
    """Whatever river has, each lane by a model of its own: two keys say together what each says alone."""
    detector = make_river_detector(path, {}, RANKING)
    values = seasonal(np.random.default_rng(7), 160)
    values[120] += 30
    alone = process(make_engine(detector), [one_stream(values)])
    time_us = np.repeat(START_US + INTERVAL_US * np.arange(160), 2)
    both = make_batch(["a", "b"] * 160, time_us, np.stack([values, -values * 3], axis=1).ravel())
    outcomes = process(make_engine(detector), cut(both, every(both, 7)))
    mine = column(outcomes, "key") == 0
    assert column(outcomes, "score")[mine].tobytes() == column(alone, "score").tobytes()
    assert np.isfinite(column(alone, "score")[50:]).all()
    assert detector._lanes == []  # models go with the engine that made them


def test_a_key_keeps_its_model_while_it_is_evicted() -> None:
    """With room for one key, two that take turns say what they say with room for both."""
    detector = make_river_detector(TREES, SMALL, RANKING)
    keys = ["a"] * 70 + ["b"] * 70 + ["a"] * 60 + ["b"] * 60
    values = seasonal(np.random.default_rng(7), len(keys))
    batch = make_batch(keys, START_US + INTERVAL_US * np.arange(len(keys)), values)
    small = make_engine(detector, keys_in_memory=1)
    scores = [column(process(engine, [batch]), "score").tobytes() for engine in (make_engine(detector), small)]
    assert scores[0] == scores[1]
    assert small.lanes.evictions >= 2


def test_its_saved_state_is_refused() -> None:
    """A row names a model that is not there any more."""
    engine = make_engine(make_river_detector(TREES, SMALL, RANKING))
    process(engine, [one_stream(VALUES)])
    other = make_engine(make_river_detector(TREES, SMALL, RANKING))
    with pytest.raises(ValueError, match=f"found the detector {TREES}; expected one that keeps all state in rows"):
        other.load(engine.save(), engine.counts.to_dict())


@pytest.mark.parametrize(
    ("path", "options", "told"),
    [
        ("river.anomaly.HalfSpaceTree", {}, "did you mean 'river.anomaly.HalfSpaceTrees'?"),
        ("river.anomalies.HalfSpaceTrees", {}, "found 'river.anomalies.HalfSpaceTrees', which river"),
        ("river.", {}, "found 'river.', which river"),
        ("river.anomaly.QuantileFilter", {}, "found 'river.anomaly.QuantileFilter', which is no anomaly detector"),
        ("river.anomaly", {}, "found 'river.anomaly', which is no anomaly detector"),
        ("river.base.AnomalyDetector", {}, "which is no anomaly detector"),
        (TREES, {"n_tree": 5}, "found 'n_tree' for river.anomaly.HalfSpaceTrees; expected n_trees or height or"),
        (TREES, {"n_tree": 5}, "did you mean 'n_trees'?"),
        (TREES, {"n_trees": "many"}, "found {'n_trees': 'many'} for river.anomaly.HalfSpaceTrees; expected what it"),
        ("river.anomaly.LODA", {"seed": [1]}, "expected what it takes: river raised TypeError"),
        (TREES, {"limits": {"class": "os.system"}}, "found the class 'os.system'; expected a class path below river"),
        ("river.anomaly.OneClassSVM", {"optimizer": "river.optim.SDG"}, "found 'river.optim.SDG', which river"),
    ],
)
def test_what_cannot_be_made_is_told(path: str, options: dict[str, Any], told: str) -> None:
    """With what was found, what there is, and the nearest of it."""
    with pytest.raises(ConfigError, match=re.escape(told)):
        make_river_detector(path, options, RANKING)


def test_what_river_raises_on_the_way_is_told() -> None:
    """With the class and the value, as an error of ours."""

    class Brittle(anomaly.HalfSpaceTrees):
        def score_one(self, x: dict[Any, Any]) -> float:
            if x["value"] > 5:
                raise OverflowError("too much")
            return 0.0

    detector = RiverDetector("river.anomaly.Brittle", Brittle(), RANKING)
    with pytest.raises(
        DriftlineError, match=re.escape("river.anomaly.Brittle: river raised OverflowError('too much')")
    ):
        process(make_engine(detector), [one_stream(np.array([1.0, 9.0]))])
