"""From the progress of a replay to Prometheus metrics."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from prometheus_client import CollectorRegistry

from pipeline.adapters.metrics import EngineMetrics, serve_metrics
from pipeline.engine import EngineConfig, PartitionEngine
from pipeline.lane_detector import LaneDetector
from pipeline.records import Phase
from pipeline.replay import Progress


@contextmanager
def served_metrics(
    port: int, version: str, bundle: str, detector: LaneDetector, say: Callable[[str], None]
) -> Iterator[Callable[[Progress], None]]:
    """Metrics at `port` of this host within the block; takes the progress that they tell of."""
    registry = CollectorRegistry()
    metrics = EngineMetrics(registry)
    metrics.name_build(version)
    metrics.name_bundle(bundle, detector.name)
    bound, stop = serve_metrics(registry, port)
    say(f"metrics: http://127.0.0.1:{bound}/metrics")
    try:
        yield _Meter(metrics, detector.warm_up)
    finally:
        stop()


class _Meter:
    """Feeds `metrics` with one progress after another."""

    def __init__(self, metrics: EngineMetrics, warm_up: int) -> None:
        self._metrics = metrics
        self._warm_up = warm_up
        self._engine: PartitionEngine | None = None
        self._moved = (0, 0)

    def __call__(self, progress: Progress) -> None:
        lanes = progress.engine.lanes
        if progress.engine is not self._engine:
            self._engine, self._moved = progress.engine, (0, 0)
        evictions, returns = lanes.evictions - self._moved[0], lanes.returns - self._moved[1]
        self._moved = (lanes.evictions, lanes.returns)
        outcome = progress.outcome
        self._metrics.count_batch(outcome.counts, outcome.residuals, scoring_s=progress.seconds, now_s=time.time())
        self._metrics.count_moves(evictions=evictions, returns=returns)
        self._metrics.set_state(
            lanes=count_lanes(progress.engine, self._warm_up),
            open_episodes=progress.engine.open_episodes,
            state_bytes=lanes.state_bytes,
            watermark_us=progress.engine.watermark_us,
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
