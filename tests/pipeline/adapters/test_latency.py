"""Latencies by the chunk."""

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from pipeline.adapters.latency import LatencyHistogram, arrivals_of
from tests.pipeline.service.fakes import Stored

NAME = "driftline_score_latency_seconds"


def _messages(times_ms: list[int]) -> list[Stored]:
    return [Stored(n, None, b"", time_ms) for n, time_ms in enumerate(times_ms)]


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 127, 128, 5_000, 5_001])
def test_weights_are_of_all_messages(count: int) -> None:
    """However many messages are looked at, all of them count, and at most 64 are looked at."""
    arrivals = arrivals_of(_messages([1_000] * count), 0.0)
    assert arrivals.weight.sum() == count
    assert len(arrivals.borne_s) <= 64
    assert (arrivals.weight > 0).all()


def test_a_few_are_measured_exactly() -> None:
    """Of a chunk of up to 64 each message has its own bucket; a clock that is ahead counts as no time."""
    registry = CollectorRegistry()
    LatencyHistogram(registry).add(arrivals_of(_messages([9_000, 9_800, 12_000, -1]), 4.0), wall_s=10.0, clock_s=4.2)

    def count(since: str, bound: str) -> float | None:
        return registry.get_sample_value(f"{NAME}_bucket", {"since": since, "le": bound})

    assert [count("record", bound) for bound in ("0.05", "0.25", "1.0", "+Inf")] == [1, 2, 3, 3]
    assert [count("fetch", bound) for bound in ("0.1", "0.25", "+Inf")] == [0, 4, 4]
    assert registry.get_sample_value(f"{NAME}_sum", {"since": "record"}) == pytest.approx(1.2)


def test_many_are_measured_well_by_a_few() -> None:
    """The share of slow messages of a large chunk is told to within a few per cent."""
    registry = CollectorRegistry()
    dice = np.random.default_rng(7)
    times = np.sort(dice.integers(0, 10_000, 5_000)).tolist()
    LatencyHistogram(registry).add(arrivals_of(_messages(times), 0.0), wall_s=10.0, clock_s=0.0)
    for bound in (1.0, 2.0, 5.0):
        told = registry.get_sample_value(f"{NAME}_bucket", {"since": "record", "le": str(bound)})
        exact = sum(10.0 - time_ms / 1000 <= bound for time_ms in times)
        assert told == pytest.approx(exact, abs=5_000 / 64)
