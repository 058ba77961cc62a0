"""The end of a training: what was made is kept and promoted, as far as the gate and people allow it."""

import sys
from datetime import UTC, datetime
from resource import RUSAGE_SELF, getrusage

from pipeline.adapters.bundles import Bundle
from pipeline.adapters.bundles.history import Act
from pipeline.adapters.bundles.registry import Registry
from pipeline.adapters.bundles.training_log import TrainingLog
from pipeline.adapters.report.gate import render_gate
from pipeline.cli.evaluate.running import to_json
from pipeline.cli.gate.keeping import keep_and_promote
from pipeline.cli.gate.running import Judged
from pipeline.cli.learning.job import ACTOR, Job, Result
from pipeline.config import Config
from pipeline.errors import ConflictError
from pipeline.learning.records import Outcome
from pipeline.training.fit import Fitted

_MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in what the system calls one of its largest resident sizes."""


def conclude(
    job: Job,
    config: Config,
    bundle: Bundle,
    fitted: Fitted,
    judged: Judged,
    cut_us: int,
    seconds: dict[str, float],
) -> Result:
    """Publish and promote what passed, as far as that is wanted and allowed, and keep the reports in any case.

    Args:
        bundle: the challenger.
        cut_us: event time from which on it was judged.
        seconds: that each part of the training takes; filled in while it goes on.

    Raises:
        RegistryError: the registry cannot be reached, or is damaged.
    """
    described = judged.described
    reports = {"gate.json": to_json(described), "gate.html": render_gate(described).encode()}
    kept = TrainingLog(config.models.registry).attach(job.name, reports.items())
    outcome, reason = _outcome(job, config, judged, reports)
    losses = fitted.metrics["validation_loss"]
    return Result(
        outcome,
        reason,
        cut_us,
        bundle.manifest.id,
        described["champion"]["figures"]["loss"],
        described["challenger"]["figures"]["loss"],
        sum(losses.values()) / len(losses),
        int(fitted.metrics["points"]),
        seconds,
        str(fitted.metrics["device"]),
        kept,
        {"process": getrusage(RUSAGE_SELF).ru_maxrss * _MAXRSS_UNIT, "device": fitted.device_bytes},
    )


def _outcome(job: Job, config: Config, judged: Judged, reports: dict[str, bytes]) -> tuple[Outcome, str]:
    told = str(judged.described["told"])
    if not judged.described["passed"]:
        short = [one for one in judged.described["criteria"] if one["name"] == "enough points" and not one["passed"]]
        return ("not_enough_history", short[0]["told"]) if short else ("refused", told)
    promotes = config.retrain.promote == "gate"
    held = promotes and Registry(config.models.registry).standing().hold is not None
    act = Act(ACTOR, datetime.now(UTC).replace(microsecond=0), job.reason)
    try:
        for _ in keep_and_promote(judged, reports, config, act, promote=promotes and not held):
            pass
    except ConflictError as exc:
        return "overtaken", str(exc)
    return ("promoted" if not held and promotes else "held" if held else "passed"), told
