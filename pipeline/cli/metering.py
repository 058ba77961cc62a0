"""From the progress of a replay to Prometheus metrics."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from prometheus_client import CollectorRegistry

from pipeline.adapters.metrics import EngineMetrics, serve_metrics
from pipeline.cli.budget import AlarmBudget
from pipeline.engine import EngineConfig, PartitionEngine
from pipeline.lane_detector import LaneDetector
from pipeline.records import Phase
from pipeline.replay import Progress


@contextmanager
def served_metrics(
    port: int, version: str, bundle: str, detector: LaneDetector, budget: AlarmBudget, say: Callable[[str], None]
) -> Iterator[Callable[[Progress], None]]:
    """Metrics at `port` of this host within the block; takes the progress that they tell of."""
    registry = CollectorRegistry()
    metrics = EngineMetrics(registry)
    metrics.name_build(version)
    metrics.name_bundle(bundle, detector.name)
    bound, stop = serve_metrics(registry, port)
    say(f"metrics: http://127.0.0.1:{bound}/metrics")
    try:
        yield _Meter(metrics, detector.warm_up, budget)
    finally:
        stop()


class _Meter:
    """Feeds `metrics` with one progress after another."""

    def __init__(self, metrics: EngineMetrics, warm_up: int, budget: AlarmBudget) -> None:
        self._metrics = metrics
        self._warm_up = warm_up
        self._budget = budget
        self._engine: PartitionEngine | None = None
        self._moved = (0, 0)
        self._watermark_us = 0

    def __call__(self, progress: Progress) -> None:
        lanes = progress.engine.lanes
        if progress.engine is not self._engine:
            self._engine, self._moved, self._watermark_us = progress.engine, (0, 0), 0
        evictions, returns = lanes.evictions - self._moved[0], lanes.returns - self._moved[1]
        self._moved = (lanes.evictions, lanes.returns)
        outcome, watermark_us = progress.outcome, progress.engine.watermark_us
        self._metrics.count_batch(
            outcome.counts, outcome.residuals, outcome.anomalies, scoring_s=progress.seconds, now_s=time.time()
        )
        by_phase = count_lanes(progress.engine, self._warm_up)
        elapsed_us = watermark_us - self._watermark_us if self._watermark_us else 0
        judged = by_phase[Phase.PROVISIONAL] + by_phase[Phase.LIVE]
        self._metrics.expect_alarms(self._budget.of_points(outcome.counts) + self._budget.of_time(judged, elapsed_us))
        self._watermark_us = watermark_us
        self._metrics.count_moves(evictions=evictions, returns=returns)
        self._metrics.set_state(
            lanes=by_phase,
            open_episodes=progress.engine.open_episodes,
            state_bytes=lanes.state_bytes,
            state_budget_bytes=lanes.budget_bytes,
            watermark_us=watermark_us,
        )


def count_lanes(engine: PartitionEngine, warm_up: int) -> dict[Phase, int]:
    """Lanes in memory by phase.

    Args:
        warm_up: points after which a lane is judged.
    """
    used = engine.lanes.used()
    silent = used["silent"].astype(np.bool_)
    starts = np.array([warm_up, EngineConfig().provisional_points])
    points = used["scalars"]["points"][~silent]
    in_phase = np.bincount(np.searchsorted(starts, points, side="right"), minlength=3)
    return {
        Phase.STALE: int(silent.sum()),
        **{phase: int(in_phase[phase]) for phase in (Phase.WARMING, Phase.PROVISIONAL, Phase.LIVE)},
    }
