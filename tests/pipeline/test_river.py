import copy
import itertools
import pickle
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from river import anomaly, checks, compose, evaluate, metrics, preprocessing

from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.cli.wiring import make_detector
from pipeline.config import Config
from pipeline.errors import BundleError
from pipeline.river import Driftline
from tests.fakes import column, make_batch, make_engine, one_stream, process, seasonal

START_S = 1_400_000_000


class Transactions:
    """Labelled records of 30 features, like river's own data of credit cards, which would have to be downloaded.

    The first fraud of those is their 542nd record; here none is among the first 300.
    """

    def __init__(self, records: int) -> None:
        self.records = records

    def __iter__(self) -> Iterator[tuple[dict[str, float], int]]:
        rng = np.random.default_rng(7)
        for at in range(self.records):
            is_fraud = int(at >= 300 and rng.random() < 0.03)
            values = rng.normal(size=28) * (1 + 3 * is_fraud)
            amount = float(rng.lognormal(3, 1))
            yield (
                {f"V{n}": float(value) for n, value in enumerate(values)} | {"Time": at // 2, "Amount": amount},
                is_fraud,
            )


def _checks() -> list[Any]:
    """River's checks of an anomaly detector, as its `check_estimator` runs them."""

    def datasets(_model: Any, scale: int = 1) -> Iterator[Transactions]:
        yield Transactions(500 * scale)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "_yield_datasets", datasets)  # in place of a download of 150 MB
        return [*checks.yield_checks(Driftline())]


@pytest.mark.parametrize("check", [pytest.param(check, id=check.__name__) for check in _checks()])
def test_it_passes_rivers_own_checks(check: Any) -> None:
    """Every check that river makes of an anomaly detector, none left out."""
    assert Driftline()._unit_test_skips() == set()
    check(Driftline())


def test_it_ranks_frauds_above_the_others() -> None:
    """What river's `check_roc_auc` asks for, and more; by river's own evaluation."""
    data: Any = Transactions(1000)
    auc = evaluate.progressive_val_score(data, Driftline(), metrics.RollingROCAUC(window_size=1000))
    assert auc.get() > 0.9


def test_scores_are_those_of_the_engine_to_the_bit() -> None:
    """So are its episodes, of which clear incidents are not learned: behind them too the bits are the same."""
    values = seasonal(np.random.default_rng(3), 1500)
    values[700:704] += 40 * np.std(values)
    values[1100] += 40 * np.std(values)
    bundle = load_bundle(shipped_bundle_path())
    outcomes = process(make_engine(make_detector(Config(), bundle)), [one_stream(values)])
    expected = np.nan_to_num(column(outcomes, "score"))
    assert column(outcomes, "is_anomaly").sum() > 2
    detector = Driftline(time="at")
    scores = []
    for at, value in enumerate(values.tolist()):
        x = {"at": START_S + 300 * at, "value": value}
        scores.append(detector.score_one(x))
        detector.learn_one(x)
    assert np.array(scores, np.float32).tobytes() == expected.tobytes()
    assert scores[149] == 0 < min(scores[160:])  # warming


def test_a_missing_value_is_one_and_features_are_lanes() -> None:
    """The lanes of several features, one of them with holes, are those of a key of the engine."""
    fields = np.array([seasonal(np.random.default_rng(1), 600), seasonal(np.random.default_rng(2), 600)]).T
    fields[300::7, 1] = np.nan
    engine = make_engine(make_detector(Config(), load_bundle(shipped_bundle_path())), fields=("a", "b"))
    times = (START_S + 300 * np.arange(600)) * 1_000_000
    outcomes = process(engine, [make_batch(["k"] * 600, times, fields)])
    scores, field = np.nan_to_num(column(outcomes, "score")).astype(float), column(outcomes, "field")
    position = column(outcomes, "position")
    detector = Driftline(time="at")
    for at, (a, b) in enumerate(fields.tolist()):
        x = {"b": b, "at": datetime.fromtimestamp(START_S + 300 * at, UTC), "a": a}
        mine = position == at + 1
        first, second = scores[mine & (field == 0)][0], scores[mine & (field == 1)][0]
        assert detector.score_one(x) == pytest.approx((first**8 + second**8) ** 0.125, rel=1e-12)
        detector.learn_one(x)


def _learned(records: int = 300, **params: Any) -> Driftline:
    detector = Driftline(**params)
    for value in seasonal(np.random.default_rng(5), records).tolist():
        detector.learn_one({"value": value})
    return detector


def test_scoring_changes_nothing() -> None:
    """However often other records are scored in between, and whether or not a record is scored before it is learned."""
    asked, quiet = _learned(), _learned()
    before = pickle.dumps(asked)
    values = seasonal(np.random.default_rng(6), 40).tolist()
    for value in values:
        asked.score_one({"value": value})
        asked.score_one({"value": -value, "another": 1.0})
    assert pickle.dumps(asked) == before
    for value in values:
        score = asked.score_one({"value": value})
        assert asked.score_one({"value": value}) == score
        asked.score_one({"value": value + 1e-9})
        asked.learn_one({"value": value})
        quiet.learn_one({"value": value})
    assert pickle.dumps(asked) == pickle.dumps(quiet)


def test_what_was_scored_last_is_not_learned_twice() -> None:
    """The same values again are another record."""
    twice, once = _learned(), _learned()
    x = {"value": 1.0}
    twice.score_one(x)
    twice.learn_one(x)
    twice.learn_one(x)
    once.learn_one(x)
    assert pickle.dumps(twice) != pickle.dumps(once)
    once.learn_one(x)
    assert pickle.dumps(twice) == pickle.dumps(once)


def test_a_pickle_and_a_copy_go_on_alike_and_apart() -> None:
    """A copy has the state of the original, and a clone has none."""
    detector = _learned()
    pickled, copied = pickle.loads(pickle.dumps(detector)), copy.deepcopy(detector)  # noqa: S301  our own
    clone = detector.clone()
    detector.learn_one({"value": 99.0})
    for other in (pickled, copied):
        assert pickle.dumps(other) != pickle.dumps(detector)
        other.learn_one({"value": 99.0})
        assert pickle.dumps(other) == pickle.dumps(detector)
    assert pickle.dumps(clone) == pickle.dumps(Driftline())


def test_a_pickle_of_another_bundle_is_refused() -> None:
    """Lanes of one network mean nothing to another."""
    detector = Driftline()
    detector._bundle_id = "0" * 64
    with pytest.raises(ValueError, match="found 6911901f8c7846d2; expected 0000000000000000"):
        pickle.loads(pickle.dumps(detector))  # noqa: S301  our own


def test_a_risk_per_day_follows_the_distance_of_the_records() -> None:
    """It is a risk per 1,000 points by the interval that was said, or that the event times have."""
    by_points = Driftline(risk=0.3 / 288 * 1000).threshold
    daily = Driftline(risk_per_day=0.3, interval_s=300)
    assert daily.threshold == pytest.approx(by_points, abs=1e-5)
    assert pickle.loads(pickle.dumps(daily)).threshold == daily.threshold  # noqa: S301  our own
    timed = Driftline(risk_per_day=0.3, interval_s=1, time="t")
    for n in range(20):
        timed.learn_one({"t": START_S + 300 * n, "value": float(n % 5)})
    assert timed.threshold == pytest.approx(by_points, abs=1e-5)
    assert Driftline(risk_per_day=0.3, interval_s=1).threshold > by_points + 0.5


def test_it_works_in_pipelines_and_filters() -> None:
    """Behind a scaler, in both filters of river, and in its evaluation; a spike of a calm stream is an alarm."""
    values = seasonal(np.random.default_rng(8), 600)
    values[500] += 30 * np.std(values)
    plain = Driftline()
    filters = {
        "threshold": anomaly.ThresholdFilter(Driftline(), plain.threshold),
        "quantile": anomaly.QuantileFilter(Driftline(), q=0.999, protect_anomaly_detector=False),
    }
    for name, judged in filters.items():
        model = compose.Pipeline(preprocessing.StandardScaler(), judged)
        alarms = []
        for at, value in enumerate(values.tolist()):
            if judged.classify(model.score_one({"value": value})) and at >= 150:
                alarms.append(at)
            model.learn_one({"value": value})
        assert 500 in alarms, name
        assert len(alarms) < 30, name
    assert "Driftline" in repr(model)


def test_late_records_are_neither_scored_nor_learned() -> None:
    """Those of one lane; another lane of the record may take them."""
    detector = Driftline(time="at", warm_up=1)
    start = datetime(2026, 1, 1)  # noqa: DTZ001  without a zone it is UTC
    for at in range(60):
        detector.learn_one({"at": start + timedelta(minutes=at), "a": float(at % 7)})
    state = pickle.dumps(detector)
    assert detector.score_one({"at": start + timedelta(minutes=59), "a": 1e6}) == 0
    detector.learn_one({"at": start + timedelta(minutes=3), "a": 1e6})
    late = pickle.loads(state)  # noqa: S301  our own
    late._learned += 1
    assert pickle.dumps(detector) == pickle.dumps(late)
    detector.learn_one({"at": start + timedelta(minutes=3), "a": 1e6, "b": 1.0})
    assert detector._slab["scalars"]["points"].tolist() == [60, 1]


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"profile": "balansed"}, "found profile='balansed'; expected one of accurate, balanced, dense; did you mean"),
        ({"risk": 0}, "found a risk of 0; expected a positive number"),
        ({"risk_per_day": -1}, "found a risk of -1 per day; expected a positive number"),
        ({"interval_s": 0}, "found interval_s=0; expected a positive number of seconds"),
        ({"warm_up": 0}, "found warm_up=0; expected one point or more"),
    ],
)
def test_parameters_out_of_range(params: dict[str, Any], told: str) -> None:
    """Each is told as found and expected."""
    with pytest.raises(ValueError, match=re.escape(told)):
        Driftline(**params)


def test_no_such_bundle(tmp_path: Path) -> None:
    """It is told as everywhere."""
    with pytest.raises(BundleError, match="found no readable file"):
        Driftline(bundle=str(tmp_path))


@pytest.mark.parametrize(
    ("x", "told"),
    [
        ({"at": 1, "a": "7"}, "found 'a'='7'; expected a number"),
        ({"at": 1, "a": [7]}, "found 'a'=[7]; expected a number"),
        ({"a": 7}, "found a record without 'at'; expected the event time in it"),
        ({"at": float("nan"), "a": 7}, "found 'at'=nan; expected seconds since 1970, or a datetime"),
    ],
)
def test_records_that_cannot_be_used(x: dict[str, Any], told: str) -> None:
    """They raise, and leave no trace."""
    detector = Driftline(time="at")
    before = pickle.dumps(detector)
    for use in (detector.score_one, detector.learn_one):
        with pytest.raises(ValueError, match=re.escape(told)):
            use(x)
    assert pickle.dumps(detector) == before


def test_records_without_anything_in_them() -> None:
    """They score 0, and only take their time."""
    detector = Driftline()
    for x in ({}, {"a": None}, {"a": float("nan")}, {"a": float("inf")}):
        assert detector.score_one(x) == 0
        detector.learn_one(x)
    assert (detector._lanes, detector._learned) == ({}, 4)


def test_many_features_at_once() -> None:
    """More than there was room for, and each a lane of its own."""
    detector = Driftline(warm_up=1)
    for count, value in itertools.product((1, 3, 40), (0.0, 1.0)):
        x = dict.fromkeys(range(count), value)
        assert detector.score_one(x) >= 0
        detector.learn_one(x)
    assert detector._slab["scalars"]["points"][:40].tolist() == [6] + [4] * 2 + [2] * 37
