import socket
import threading
import urllib.request
from collections import Counter

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from pipeline.accounting import Counts
from pipeline.adapters.metrics import EngineMetrics, serve_metrics
from pipeline.catalogue.engine import PROBLEM_REASONS
from pipeline.errors import ConfigError
from pipeline.records import Disposition, Phase, Severity
from pipeline.residuals import measure_residuals

CATALOGUE = {
    "driftline_records_consumed_total": ("counter", ()),
    "driftline_records_total": ("counter", ("disposition",)),
    "driftline_points_total": ("counter", ("disposition",)),
    "driftline_problems_total": ("counter", ("reason",)),
    "driftline_gaps_total": ("counter", ()),
    "driftline_anomalies_total": ("counter", ("severity",)),
    "driftline_episode_events_total": ("counter", ("event",)),
    "driftline_alarms_opened_total": ("counter", ()),
    "driftline_alarms_expected_total": ("counter", ()),
    "driftline_evictions_total": ("counter", ()),
    "driftline_returns_total": ("counter", ()),
    "driftline_lanes": ("gauge", ("phase",)),
    "driftline_episodes_open": ("gauge", ()),
    "driftline_state_bytes": ("gauge", ()),
    "driftline_state_budget_bytes": ("gauge", ()),
    "driftline_watermark_timestamp_seconds": ("gauge", ()),
    "driftline_last_record_timestamp_seconds": ("gauge", ()),
    "driftline_batch_records": ("histogram", ()),
    "driftline_scoring_seconds": ("histogram", ()),
    "driftline_residual_ratio": ("histogram", ()),
    "driftline_build_info": ("info", ("version",)),
    "driftline_bundle_info": ("info", ("bundle", "profile")),
}
"""Name, type and labels of every metric of an engine: a public interface, which the catalogue of the code must keep."""


@pytest.fixture
def registry() -> CollectorRegistry:
    """A registry of its own."""
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> EngineMetrics:
    """Metrics that name a build and a bundle."""
    made = EngineMetrics(registry)
    made.name_build("1.2.3")
    made.name_bundle("b1", "balanced")
    return made


def exported(registry: CollectorRegistry, name: str, label: str) -> dict[str, float]:
    """Value by value of a label."""
    return {
        sample.labels[label]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == name
    }


@pytest.mark.usefixtures("metrics")
def test_catalogue(registry: CollectorRegistry) -> None:
    """Name, type and labels of every metric are those that people depend on."""
    suffix = {"counter": "_total", "info": "_info"}
    found = {}
    for family in registry.collect():
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[family.name + suffix.get(family.type, "")] = (family.type, tuple(sorted(labels)))
    assert found == CATALOGUE


@pytest.mark.usefixtures("metrics")
def test_conventions(registry: CollectorRegistry) -> None:
    """Help for every metric, one prefix, base units last, and no suffix that belongs to another type."""
    for family in registry.collect():
        words = family.name.split("_")
        assert words[0] == "driftline"
        assert family.documentation.endswith(".")
        assert family.type not in {"unknown", "summary"}
        assert not {"ms", "us", "milliseconds", "minutes", "hours", "days", "kilobytes", "percent"} & set(words)
        assert not {"counter", "gauge", "histogram"} & set(words)
        assert words[-1] not in {"count", "sum", "bucket"}
        assert "timestamp" not in words or words[-2:] == ["timestamp", "seconds"]
        assert not {"seconds", "bytes"} & set(words[:-1])
        if family.type == "counter":
            assert {sample.name for sample in family.samples} <= {f"{family.name}_total", f"{family.name}_created"}


@pytest.mark.usefixtures("metrics")
@pytest.mark.parametrize(
    ("name", "label", "values"),
    [
        ("driftline_records_total", "disposition", ["scored", "warming", "late", "duplicate", "dead_lettered"]),
        ("driftline_points_total", "disposition", [value.name.lower() for value in Disposition]),
        ("driftline_problems_total", "reason", list(PROBLEM_REASONS)),
        ("driftline_anomalies_total", "severity", [value.name.lower() for value in Severity if value]),
        ("driftline_episode_events_total", "event", ["opened", "worsened", "closed"]),
        ("driftline_lanes", "phase", [value.name.lower() for value in Phase]),
    ],
)
def test_zero_from_the_start(registry: CollectorRegistry, name: str, label: str, values: list[str]) -> None:
    """All known values of a label are shown as 0 before anything happens."""
    assert exported(registry, name, label) == dict.fromkeys(values, 0.0)


def test_batches_add_up(registry: CollectorRegistry, metrics: EngineMetrics) -> None:
    """What came of each micro-batch is added to what came before, and records consumed are all accounted for."""
    counts = Counts(
        consumed=10,
        records=Counter(scored=7, warming=2, late=1),
        points=Counter(scored=14, warming=4, late=1, missing=1),
        problems=Counter(missing=1, unheard_of=2),
        gaps=3,
        flagged=Counter(high=2),
        events=Counter(opened=1, closed=1),
    )
    residuals = measure_residuals(np.array([1.0, 3.0, 9.0, 50.0]), np.array([1.5, 3.0, np.nan, 0.0]), np.full(4, 4.0))
    metrics.count_batch(counts, residuals, scoring_s=0.02, now_s=1_000.0)
    metrics.count_batch(counts, residuals, scoring_s=0.04, now_s=1_001.5)
    value = registry.get_sample_value
    assert value("driftline_records_consumed_total") == 20
    records = exported(registry, "driftline_records_total", "disposition")
    assert records == {"scored": 14, "warming": 4, "late": 2, "duplicate": 0, "dead_lettered": 0}
    assert sum(records.values()) == value("driftline_records_consumed_total")
    assert exported(registry, "driftline_points_total", "disposition")["scored"] == 28
    assert exported(registry, "driftline_problems_total", "reason")["missing"] == 2
    assert exported(registry, "driftline_problems_total", "reason")["unheard_of"] == 4
    assert value("driftline_gaps_total") == 6
    assert exported(registry, "driftline_anomalies_total", "severity")["high"] == 4
    assert exported(registry, "driftline_episode_events_total", "event") == {"opened": 2, "worsened": 0, "closed": 2}
    assert value("driftline_batch_records_count") == 2
    assert value("driftline_batch_records_sum") == 20
    assert value("driftline_scoring_seconds_sum") == pytest.approx(0.06)
    assert value("driftline_last_record_timestamp_seconds") == 1_001.5
    residual = exported(registry, "driftline_residual_ratio_bucket", "le")
    assert [residual[bound] for bound in ("0.01", "0.2", "0.5", "5.0", "+Inf")] == [2, 2, 4, 4, 6]
    assert value("driftline_residual_ratio_sum") == pytest.approx(2 * (0.25 + 0 + 10))
    assert value("driftline_residual_ratio_count") == 6


def test_state(registry: CollectorRegistry, metrics: EngineMetrics) -> None:
    """State is as last set, and a phase that is left out has no lanes; moves of keys add up."""
    metrics.set_state(
        lanes={Phase.LIVE: 5, Phase.STALE: 1},
        open_episodes=2,
        state_bytes=4096,
        state_budget_bytes=9999,
        watermark_us=1_500_000,
    )
    metrics.set_state(
        lanes={Phase.LIVE: 6}, open_episodes=1, state_bytes=8192, state_budget_bytes=9999, watermark_us=2_500_000
    )
    for _ in range(2):
        metrics.count_moves(evictions=3, returns=1)
    value = registry.get_sample_value
    assert exported(registry, "driftline_lanes", "phase") == {"warming": 0, "provisional": 0, "live": 6, "stale": 0}
    assert value("driftline_episodes_open") == 1
    assert value("driftline_state_bytes") == 8192
    assert value("driftline_watermark_timestamp_seconds") == 2.5
    assert value("driftline_evictions_total") == 6
    assert value("driftline_returns_total") == 2


def test_new_bundle(registry: CollectorRegistry, metrics: EngineMetrics) -> None:
    """One bundle is shown at a time."""
    metrics.name_bundle("b2", "dense")
    assert exported(registry, "driftline_bundle_info", "bundle") == {"b2": 1.0}
    assert registry.get_sample_value("driftline_bundle_info", {"bundle": "b2", "profile": "dense"}) == 1.0


@pytest.mark.usefixtures("metrics")
def test_served(registry: CollectorRegistry) -> None:
    """Metrics are served at the port given back until they are stopped, which ends the server's thread."""
    threads = threading.active_count()
    port, stop = serve_metrics(registry, 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert b"driftline_records_consumed_total 0.0" in answer.read()
    stop()
    assert threading.active_count() == threads
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=10):
        pass


def test_port_in_use(registry: CollectorRegistry) -> None:
    """A port that is taken, or is none, is told in one line that says what to do."""
    port, stop = serve_metrics(registry, 0)
    for unusable in (port, 70_000):
        with pytest.raises(
            ConfigError, match=rf"metrics port {unusable} on 127.0.0.1: .* choose another, or 0 for any"
        ):
            serve_metrics(registry, unusable)
    stop()
