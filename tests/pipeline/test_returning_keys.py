"""Keys that come back from where rows are kept, in the middle of a micro-batch."""

import numpy as np
import pytest

from pipeline.engine import EngineConfig
from pipeline.records import Batch
from pipeline.silence import SilenceRule
from pipeline.windows import CountWindows, TimeWindows, WindowSpec
from tests.fakes import START_US, column, cut, every, make_batch, make_detector, make_engine, process, tables_of

MINUTE_US = 60_000_000
KEYS = 40
WINDOWS: dict[str, WindowSpec] = {
    "points": CountWindows(),
    "means": TimeWindows(12 * MINUTE_US, 2 * MINUTE_US, aggregate="mean"),
}


def _coming_and_going(rng: np.random.Generator) -> Batch:
    """Keys of one value each that are away for an hour of every three, not all at once."""
    records = []
    for key in range(KEYS):
        for minute in range(400):
            if minute < 60 or (minute // 60 + key) % 3:
                time_us = START_US + minute * MINUTE_US + key * 700_000 + int(rng.integers(0, 20_000_000))
                records.append((time_us, f"key{key}", rng.normal()))
    times, names, values = zip(*sorted(records), strict=True)
    return make_batch(names, np.array(times), np.array(values))


BATCH = _coming_and_going(np.random.default_rng(7))


@pytest.mark.parametrize("windows", list(WINDOWS))
def test_a_key_that_returns_is_met_at_its_own_record(windows: str) -> None:
    """Silences, and the records by which verdicts are released, are the same however a return is cut into batches."""
    said = []
    for size in (1, 7, 1000):
        config = EngineConfig(windows=WINDOWS[windows], silence=SilenceRule(heard_points=30))
        engine = make_engine(make_detector(threshold=1.3, warm_up=60), config, keys_in_memory=28)
        outcomes = process(engine, cut(BATCH, every(BATCH, size)))
        assert engine.lanes.returns > KEYS
        names = [table.key_names[key] for table in tables_of(outcomes) for key in table.key.tolist()]
        anomalies = [anomaly for outcome in outcomes for anomaly in outcome.anomalies]
        said.append((names, column(outcomes, "released_by").tolist(), anomalies))
    assert said[0] == said[1] == said[2]
