"""What a run came to, as the values of `summary.json`; its names are an interface that people depend on."""

from dataclasses import dataclass
from typing import Any

from pipeline.episodes import iso_time
from pipeline.records import Severity
from pipeline.replay import ReplayResult

FORMAT = 1


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run was given.

    Attributes:
        version: of Driftline.
        source: as the user named it.
        partitions: files.
        fields: names of the fields scored.
        detector, options: kind of what scored them, and its hyper-parameters.
        profile, bundle: of the LSTM, the bundle by its id; None for baselines.
        risk, risk_per_day: expected false alarms per 1,000 points of a lane, or per lane and day; the other is None.
        config_hash: of everything that alters verdicts.
        bytes_per_lane: of state.
        warm_from: what the keys could begin with; None for nothing.
        swaps: of bundles, by partition; None for one bundle.
        feedback: by which events were marked, and how many; None for none.
    """

    version: str
    source: str
    partitions: int
    fields: tuple[str, ...]
    detector: str
    options: dict[str, Any]
    profile: str | None
    bundle: str | None
    risk: float | None
    risk_per_day: float | None
    config_hash: str
    bytes_per_lane: int
    warm_from: dict[str, Any] | None = None
    swaps: dict[str, Any] | None = None
    feedback: dict[str, Any] | None = None


def summarise(
    facts: RunFacts,
    result: ReplayResult,
    *,
    evaluation: dict[str, Any] | None = None,
    labels: dict[str, list[tuple[int, int]]] | None = None,
) -> dict[str, Any]:
    """The run in plain values; absent times and rates are None.

    Args:
        facts: what the run was given.
        result: what came of it.
        evaluation: see `pipeline.evaluation`.
        labels: labelled windows by key, in microseconds.
    """
    counts = result.counts.to_dict()
    seconds = max(result.run_time_s, 1e-9)
    summary: dict[str, Any] = {
        "format": FORMAT,
        "driftline": facts.version,
        "completed": result.completed,
        "source": facts.source,
        "partitions": facts.partitions,
        "fields": list(facts.fields),
        "first_time": None if result.first_us is None else iso_time(result.first_us),
        "last_time": None if result.last_us is None else iso_time(result.last_us),
        "records": {"consumed": counts["consumed"], **counts["records"]},
        "points": counts["points"],
        "problems": counts["problems"],
        "gaps": counts["gaps"],
        "lanes": result.lanes,
        "episodes": counts["events"]["opened"],
        "events": counts["events"],
        "flagged_points": counts["flagged"],
        "evictions": result.evictions,
        "returns": result.returns,
        "detector": {"kind": facts.detector, "options": facts.options},
        "profile": facts.profile,
        "bundle": facts.bundle,
        "risk": facts.risk,
        "risk_per_day": facts.risk_per_day,
        "config_hash": facts.config_hash,
        "bytes_per_lane": facts.bytes_per_lane,
        "state_bytes": result.state_bytes,
        "run_time_s": round(result.run_time_s, 3),
        "records_per_s": round(result.records_here / seconds),
        "points_per_s": round(result.records_here * len(facts.fields) / seconds),
        "notices": list(result.notices),
    }
    if facts.swaps is not None:
        summary["swaps"] = facts.swaps
    if facts.feedback is not None:
        summary["feedback"] = facts.feedback
    if facts.warm_from is not None:
        summary["warm_from"] = {**facts.warm_from, "keys_begun": result.with_past}
    if evaluation is not None:
        summary["evaluation"] = evaluation
    if labels is not None:
        summary["labels"] = {
            key: [[iso_time(start), iso_time(end)] for start, end in spans] for key, spans in sorted(labels.items())
        }
    return summary


SEVERITIES = tuple(grade.name.lower() for grade in Severity if grade)
"""Grades of flagged points, mildest first."""
