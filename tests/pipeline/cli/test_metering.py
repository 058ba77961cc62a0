from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest

from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.cli.budget import AlarmBudget
from pipeline.cli.metering import served_metrics
from pipeline.cli.wiring import engine_maker, make_detector
from pipeline.config import Config, Given, load_config
from pipeline.records import Batch
from pipeline.replay import Progress

BUDGET = AlarmBudget(0.001, 0.0)


def of_key(name: str, first: int, last: int) -> Batch:
    """Records `first` to before `last` of a key, a minute apart."""
    at = np.arange(first, last)
    keys = np.zeros(len(at), np.int32)
    return Batch([name], keys, at * 60_000_000, np.sin(at / 9.0)[:, None], at + 1)


def test_lanes_are_counted_by_phase_and_moves_as_they_happen(tmp_path: Path) -> None:
    """A lane is warming up to its last point of warm-up; keys that give room to others are counted once each."""
    config = load_config(None, {"state.budget": Given("", 6000)}, environ={}).config
    detector = make_detector(config, load_bundle(shipped_bundle_path()))
    told: list[str] = []
    with (
        engine_maker(config, detector, "b", "s", ("value",), tmp_path) as make,
        served_metrics(0, "1.0", "b", detector, BUDGET, told.append) as meter,
    ):

        def served() -> dict[str, float]:
            with urlopen(told[0].split()[1], timeout=10) as answer:  # noqa: S310  our own address
                lines = answer.read().decode().splitlines()
            return {name: float(value) for name, value in (x.rsplit(" ", 1) for x in lines if not x.startswith("#"))}

        engine = make("p")
        records = 0
        phases = []
        for batch in (of_key("a", 0, 149), of_key("a", 149, 150), of_key("b", 150, 151), of_key("a", 151, 152)):
            records += len(batch)
            meter(Progress("p", records, engine, engine.process(batch), 0.25))
            metrics = served()
            phases.append(tuple(metrics[f'driftline_lanes{{phase="{name}"}}'] for name in ("warming", "provisional")))
    assert phases == [(1, 0), (0, 1), (1, 0), (0, 1)]
    assert (metrics["driftline_evictions_total"], metrics["driftline_returns_total"]) == (
        151,
        150,
    )  # with room for one key, it gives way at every record
    assert metrics["driftline_records_consumed_total"] == 152
    assert metrics["driftline_scoring_seconds_sum"] == 1.0
    assert metrics["driftline_watermark_timestamp_seconds"] == 151 * 60
    assert metrics['driftline_bundle_info{bundle="b",profile="balanced"}'] == 1


def test_the_port_is_free_again_behind_the_block() -> None:
    """Metrics are served within the block only."""
    told: list[str] = []
    detector = make_detector(Config(), load_bundle(shipped_bundle_path()))
    with served_metrics(0, "1.0", "b", detector, BUDGET, told.append):
        pass
    with pytest.raises(OSError, match="refused"), urlopen(told[0].split()[1], timeout=10):  # noqa: S310  our own
        pass
