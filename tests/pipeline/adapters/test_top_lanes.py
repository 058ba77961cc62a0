"""Lanes shown by name."""

import pytest
from prometheus_client import CollectorRegistry

from pipeline.adapters.top_lanes import TopLanes
from tests.pipeline.adapters.outputs.samples import an_anomaly

SHOWN, TRUNCATED = "driftline_top_lane_alarms", "driftline_top_lanes_truncated_alarms_total"


def _shown(registry: CollectorRegistry) -> dict[str, float]:
    return {
        sample.labels["key"]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == SHOWN
    }


def test_the_lanes_with_the_most_alarms_are_shown_and_others_counted() -> None:
    """Of three lanes the two with the most are named; alarms of the third are counted as left out."""
    registry = CollectorRegistry()
    lanes = TopLanes(registry, 2)
    for key, alarms in (("a", 3), ("b", 2), ("c", 1)):
        lanes.add([an_anomaly(key=key)] * alarms)
    lanes.add([an_anomaly(key="c", event="closed"), an_anomaly(key="c", kind="silence")])
    assert _shown(registry) == {"a": 3, "b": 2}
    assert registry.get_sample_value(TRUNCATED) == 1


def test_none_are_shown_unless_asked_for() -> None:
    """By default no name of a stream reaches Prometheus."""
    registry = CollectorRegistry()
    TopLanes(registry, 0).add([an_anomaly()])
    assert _shown(registry) == {}
    assert registry.get_sample_value(TRUNCATED) == 0


def test_memory_and_series_are_bounded_whatever_comes() -> None:
    """Ten thousand lanes with one alarm each do not push out one with many; long keys are cut."""
    registry = CollectorRegistry()
    lanes = TopLanes(registry, 3)
    for n in range(10_000):
        lanes.add([an_anomaly(key=f"rare-{n}")] + [an_anomaly(key="x" * 1_000)] * (n % 3 == 0))
    shown = _shown(registry)
    assert len(shown) == 3
    assert max(shown, key=shown.__getitem__) == "x" * 200
    assert shown["x" * 200] == pytest.approx(3_334, abs=500)
    assert len(lanes._alarms) == 24
