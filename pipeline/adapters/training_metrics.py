"""What a trainer shows to Prometheus."""

import math

from prometheus_client import CollectorRegistry

from pipeline.catalogue import learning as shown
from pipeline.learning.records import Run


class TrainingMetrics:
    """The metrics of a trainer on a registry.

    Args:
        registry: not yet holding metrics of these names.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._runs = shown.TRAINING_RUNS.counter(registry)
        self._stage = shown.TRAINING_STAGE.gauge(registry)
        self._step = shown.TRAINING_STEP.gauge(registry)
        self._step_loss = shown.TRAINING_STEP_LOSS.gauge(registry)
        self._done = shown.TRAINING_DONE.gauge(registry)
        self._left = shown.TRAINING_LEFT.gauge(registry)
        self._seconds = shown.TRAINING_LAST_SECONDS.gauge(registry)
        self._loss = shown.TRAINING_LAST_LOSS.gauge(registry)
        self._success = shown.TRAINING_LAST_SUCCESS.gauge(registry)
        self._memory = shown.TRAINING_LAST_MEMORY.gauge(registry)
        self._device = shown.TRAINING_DEVICE.info(registry)
        self.set_stage("")
        self._pending = shown.TRAINING_SIGNALS_PENDING.gauge(registry)

    def set_stage(
        self,
        stage: str,
        step: int = 0,
        loss: float | None = None,
        *,
        done: float | None = None,
        left_s: float | None = None,
    ) -> None:
        """Show what is being done; '' for nothing.

        Args:
            done: share of it that is done; None unless known.
            left_s: seconds that the rest of it takes; None unless known.
        """
        for one in shown.STAGES:
            self._stage.labels(one).set(one == stage)
        self._done.set(math.nan if done is None else done)
        self._left.set(math.nan if left_s is None else left_s)
        if step:
            self._step.set(step)
        if loss is not None:
            self._step_loss.set(loss)

    def set_pending(self, signals: int) -> None:
        """Show how many signals wait."""
        self._pending.set(signals)

    def count(self, run: Run, ended_s: float) -> None:
        """Take what became of a training.

        Args:
            ended_s: time of its end.
        """
        self._runs.labels(run.outcome).inc()
        for stage, seconds in run.seconds.items():
            self._seconds.labels(stage).set(seconds)
        for kind, amount in run.peak_bytes.items():
            self._memory.labels(kind).set(amount)
        for bundle, loss in (("champion", run.champion_loss), ("challenger", run.challenger_loss)):
            if loss is not None:
                self._loss.labels(bundle).set(loss)
        if run.device:
            self._device.info({"device": run.device})
        if run.outcome not in {"failed", "overtaken", "not_enough_history"}:
            self._success.set(ended_s)
