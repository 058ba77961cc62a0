"""When the first verdicts of a stream are of use; figures are in docs/detection.md."""

import numpy as np
import pytest

from pipeline.cli.opening import open_bundle
from pipeline.cli.wiring import make_detector, make_engine
from pipeline.config import Config
from pipeline.episodes import Origin
from pipeline.records import Phase
from tests.benchmarks.cold_start import measure
from tests.fakes import MemorySpill, one_stream

WARM_UP = 150


def test_the_point_behind_the_warm_up_can_be_flagged() -> None:
    """150 points of a fresh stream are warming, and the 151st is flagged if it is as far off as this."""
    config = Config()
    engine = make_engine(
        config, make_detector(config, open_bundle(config)), Origin("s", "0", "b"), ("value",), MemorySpill()
    )
    values = np.random.default_rng(7).normal(100, 1, WARM_UP + 10)
    values[WARM_UP] += 60
    (table,) = engine.process(one_stream(values)).verdicts
    assert (table.phase[:WARM_UP] == Phase.WARMING).all()
    assert table.phase[WARM_UP] == Phase.PROVISIONAL
    assert table.is_anomaly.nonzero()[0].tolist() == [WARM_UP]


@pytest.mark.parametrize(
    ("age", "spikes", "others"), [(150, 0.7, 0.2), (170, 0.7, 0.2), (200, 0.75, 0.35), (300, 0.95, 0.5)]
)
def test_clear_faults_are_found_soon_behind_the_warm_up(age: int, spikes: float, others: float) -> None:
    """Most spikes are found from the first points on, and more of all faults the more a stream has seen."""
    result = measure(1, 96, age)
    assert result.found["spike"] >= spikes * result.faults["spike"]
    shares = [result.found[kind] / result.faults[kind] for kind in ("level_shift", "drop_to_zero", "burst")]
    assert np.mean(shares) >= others
    assert result.false_per_1000 < 1
    assert result.delay <= 1


def test_with_a_history_the_first_point_is_judged_as_any_later_one() -> None:
    """A fault in the first point of a stream that begins with a past is found at that point."""
    result = measure(1, 96, 0, history=1000)
    assert sum(result.found.values()) >= 0.85 * sum(result.faults.values())
    assert result.delay == 0
    assert result.false_per_1000 < 2
