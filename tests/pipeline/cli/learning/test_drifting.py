"""Drift, from residuals to signals in the registry."""

import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from pipeline.adapters.bundles.training_log import TrainingLog
from pipeline.cli.learning.drifting import DriftWatch, Signals
from pipeline.learning.drift import DriftRule
from pipeline.learning.records import Signal
from pipeline.records import Place
from pipeline.residuals import Residuals, measure_residuals
from tests.pipeline.adapters.bundles.bench import NOON
from tests.pipeline.cli.samples import until
from tests.pipeline.service.fakes import Notes

FIRST, SECOND = Place("in", 0), Place("in", 1)
RULE = DriftRule()


def _signal(name: str) -> Signal:
    return Signal(name=name, kind="drift", at=NOON, by="test", reason=name)


def _residuals(scale: float) -> Residuals:
    rng = np.random.default_rng(7)
    return measure_residuals(scale * rng.normal(size=500), np.zeros(500), np.ones(500))


def test_a_drift_is_told_with_where_when_and_under_which_bundle() -> None:
    """Once for each partition that drifts, under the bundle that it was scored with."""
    told: list[Signal] = []
    watch = DriftWatch(RULE, "first", told.append, Notes(), lambda: NOON)
    watch.swapped(SECOND, "second")
    moments = 0
    for n in range(120):
        for place in (FIRST, SECOND):
            scale = 0.5 if place == SECOND and n > 60 else 0.2
            moments += watch.scored(place, _residuals(scale), 1_700_000_000_000_000 + n * RULE.block_us)
        assert n < RULE.usual_blocks or n > 60 or set(watch.rises) == {FIRST, SECOND}
    assert moments == len(told) == 1
    (signal,) = told
    assert (signal.topic, signal.partition, signal.bundle) == ("in", 1, "second")
    assert signal.behind is not None
    assert signal.before is not None
    assert signal.behind / signal.before == pytest.approx(2.5, rel=0.1)
    assert signal.event_time is not None
    assert NOON.replace(year=2023, month=11, day=14) < signal.event_time < NOON.replace(year=2023, month=11, day=19)


def test_a_partition_that_is_gone_is_watched_no_more() -> None:
    """And one that comes back begins anew, as does one under another bundle."""
    watch = DriftWatch(RULE, "first", lambda _signal: None, Notes())
    for n in range(50):
        watch.scored(FIRST, _residuals(0.2), n * RULE.block_us)
        watch.scored(SECOND, _residuals(0.2), n * RULE.block_us)
    watch.dropped([FIRST])
    assert watch.rises.keys() == {SECOND}
    watch.swapped(SECOND, "second")
    assert not watch.rises


def test_a_signal_is_kept_once_the_registry_is_back(tmp_path: Path) -> None:
    """Meanwhile it is told once, and whoever tells drift goes on at once."""
    notes, folder = Notes(), tmp_path / "models"
    folder.write_text("no folder")
    signals = Signals(TrainingLog(str(folder)), notes, interval_s=0.01)
    signals.start()
    began = time.monotonic()
    signals.tell(_signal("a"))
    signals.tell(_signal("b"))
    assert time.monotonic() - began < 10
    until(lambda: "registry_trouble" in notes.names())
    time.sleep(0.1)
    assert notes.names().count("registry_trouble") == 1
    folder.unlink()
    until(lambda: len(TrainingLog(str(folder)).signals()) == 2)
    signals.close()
    assert "drift_untold" not in notes.names()


def test_what_cannot_be_kept_at_the_end_is_told(tmp_path: Path) -> None:
    """The end does not wait for the registry."""
    notes, folder = Notes(), tmp_path / "models"
    folder.write_text("no folder")
    signals = Signals(TrainingLog(str(folder)), notes, interval_s=120.0)
    signals.start()
    signals.tell(_signal("a"))
    until(lambda: "registry_trouble" in notes.names())
    began = time.monotonic()
    signals.close()
    assert time.monotonic() - began < 60
    until(lambda: "drift_untold" in notes.names())


def test_a_block_is_a_part_of_the_least_interval() -> None:
    """With the default of a day, half an hour."""
    assert timedelta(days=1) // 48 == timedelta(microseconds=RULE.block_us)
