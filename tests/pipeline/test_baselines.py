"""The baselines in the engine: what holds for the LSTM there holds for them."""

import numpy as np
import pytest

from detectors.baselines import Persistence, WindowedGaussian
from detectors.tail_rank import TailRank, rank_decision
from pipeline.engine import EngineConfig
from pipeline.lane_detector import LaneDetector
from pipeline.records import Batch
from pipeline.windows import TimeWindows
from tests.fakes import (
    INTERVAL_US,
    START_US,
    column,
    cut,
    every,
    make_batch,
    make_engine,
    process,
    rows_by_lane,
    seasonal,
)

RANKING = TailRank(rank_decision(5.0, warm_up=60, rest=20, quiet=10))
KINDS: dict[str, LaneDetector] = {"gaussian": WindowedGaussian(RANKING, 90), "persistence": Persistence(RANKING)}
EACH = pytest.mark.parametrize("detector", KINDS.values(), ids=KINDS)
FIELDS = ("a", "b")


def _records(count: int = 1500, keys: int = 5) -> Batch:
    rng = np.random.default_rng(7)
    values = np.stack([seasonal(rng, count), seasonal(rng, count)], axis=1)
    values[400:420] += 6
    values[rng.random(values.shape) < 0.02] = np.nan
    values[900:905] = np.inf
    names = [f"k{number}" for number in rng.integers(0, keys, count)]
    time_us = START_US + INTERVAL_US * np.arange(count)
    time_us[700:710] -= 500 * INTERVAL_US  # late
    return make_batch(names, time_us, values)


RECORDS = _records()


@EACH
@pytest.mark.parametrize("size", [1, 64])
def test_neither_micro_batches_nor_evictions_show(detector: LaneDetector, size: int) -> None:
    """Verdicts and anomalies are those of one batch with room for all, and every record has a disposition."""
    whole, small = make_engine(detector, fields=FIELDS), make_engine(detector, fields=FIELDS, keys_in_memory=3)
    expected = process(whole, [RECORDS])
    outcomes = process(small, cut(RECORDS, every(RECORDS, size)))
    assert rows_by_lane(outcomes) == rows_by_lane(expected)
    assert [one for outcome in outcomes for one in outcome.anomalies] == list(expected[0].anomalies)
    assert small.lanes.evictions > 0 < len(expected[0].anomalies)
    assert whole.counts == small.counts
    counts = whole.counts.to_dict()
    assert counts["consumed"] == len(RECORDS) == sum(counts["records"].values())
    assert counts["records"]["late"] > 0 < counts["records"]["dead_lettered"]


@EACH
@pytest.mark.parametrize("windows", [None, TimeWindows(10 * INTERVAL_US, 2 * INTERVAL_US, 0, "mean")])
def test_a_saved_engine_is_gone_on_with_to_the_bit(detector: LaneDetector, windows: TimeWindows | None) -> None:
    """All that a baseline remembers is in the saved arrays."""
    config = EngineConfig() if windows is None else EngineConfig(windows=windows)
    uninterrupted, first, second = (make_engine(detector, config, fields=FIELDS) for _ in range(3))
    head, tail = RECORDS.slice(0, 777), RECORDS.slice(777, len(RECORDS))
    expected = process(uninterrupted, [head, tail])[1]
    process(first, [head])
    second.load(first.save(), first.counts.to_dict())
    outcome = second.process(tail)
    assert rows_by_lane([outcome]) == rows_by_lane([expected])
    assert outcome.anomalies == expected.anomalies
    saved, other = uninterrupted.save(), second.save()
    assert {name: array.tobytes() for name, array in saved.arrays.items()} == {
        name: array.tobytes() for name, array in other.arrays.items()
    }
    assert np.isfinite(column([outcome], "expected")).any()
