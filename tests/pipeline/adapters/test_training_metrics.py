from pathlib import Path

from prometheus_client import CollectorRegistry

from pipeline.adapters.training_metrics import TrainingMetrics
from pipeline.catalogue.everything import GROUPS
from pipeline.catalogue.learning import OUTCOMES as CATALOGUED
from pipeline.catalogue.learning import STAGES
from pipeline.learning.records import OUTCOMES, Run
from tests.pipeline.adapters.bundles.bench import NOON

RUN = Run(
    name="a", at=NOON, by="t", trigger="drift", outcome="promoted", since=NOON, until=NOON, champion_loss=0.5,
    challenger_loss=0.25, seconds={"training": 3.0}, device="cpu",
    peak_bytes={"process": 2**29, "device": 0},
)  # fmt: skip


def test_what_becomes_of_trainings_is_shown() -> None:
    """Counted by outcome; of the newest its losses, times, memory and device, and of a failure no success."""
    registry = CollectorRegistry()
    metrics = TrainingMetrics(registry)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"driftline_training_{name}", labels)

    assert [value("runs_total", outcome=outcome) for outcome in OUTCOMES] == [0.0] * len(OUTCOMES)
    metrics.set_stage("training", 7, 0.75)
    assert [value("stage", stage=stage) for stage in STAGES] == [0, 0, 1, 0, 0]
    assert (value("step"), value("step_loss")) == (7, 0.75)
    metrics.set_stage("")
    assert [value("stage", stage=stage) for stage in STAGES] == [0] * len(STAGES)
    metrics.count(RUN, 100.0)
    metrics.count(Run(name="b", at=NOON, by="t", trigger="drift", outcome="failed", since=NOON, until=NOON), 200.0)
    assert value("runs_total", outcome="promoted") == value("runs_total", outcome="failed") == 1
    assert value("last_loss", bundle="champion") == 0.5
    assert value("last_loss", bundle="challenger") == 0.25
    assert value("last_seconds", stage="training") == 3
    assert (value("last_memory_bytes", kind="process"), value("last_memory_bytes", kind="device")) == (2**29, 0)
    assert value("device_info", device="cpu") == 1
    assert value("last_success_timestamp_seconds") == 100
    metrics.set_pending(3)
    assert value("signals_pending") == 3


def test_all_of_it_is_in_the_catalogue() -> None:
    """Names, types and labels of what is shown, every outcome, and docs/learning.md tells what outcomes are."""
    registry = CollectorRegistry()
    metrics = TrainingMetrics(registry)
    metrics.count(RUN, 100.0)
    found = {
        family.name: {label for sample in family.samples for label in sample.labels} for family in registry.collect()
    }
    assert found == {metric.family: set(metric.label_names) for metric in GROUPS["trainer"]}
    assert OUTCOMES == CATALOGUED
    text = (Path(__file__).parents[3] / "docs" / "learning.md").read_text()
    for outcome in OUTCOMES:
        assert f"`{outcome}`" in text
