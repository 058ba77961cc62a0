"""What Prometheus has seen of an installation, and what of it a healthy one would not show."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

_TARGETS = frozenset({"driftline", "driftline-trainer"})
_SERIES = 'count by (job) ({job=~"driftline.*", __name__=~"[^:]+", __name__!~"ALERTS.*|driftline_drift_ratio"})'
"""What is scraped, but for the ratio that each partition shows once it knows what is usual."""
_JOBS = '{job=~"driftline.*"}'


class Asked(Protocol):
    """Prometheus' HTTP API."""

    def get(self, path: str, **given: str) -> Any:
        """Its answer."""

    def query(self, expr: str) -> list[dict[str, Any]]:
        """Series of a query, now."""


class Alert(NamedTuple):
    """A stretch of time in which an alert was in one state.

    Attributes:
        waits_s: its `for`, in seconds.
    """

    name: str
    state: str
    lasted_s: float
    waits_s: float


@dataclass(slots=True)
class Findings:
    """Of the whole run; what is watched is added by `look`, the rest by `close`.

    Attributes:
        begun: time at which all of it was ready, in seconds since 1970.
        unhealthy: rules that could not be evaluated, with their error.
        alerts: as ALERTS tells them, over the run.
        down: instances that did not answer a scrape since `begun`.
        series: of a job: fewest and most in a scrape.
        restarted: instances of which the process was started anew.
        load: of the machine, at most, averaged over a minute.
    """

    begun: float
    started: float
    unhealthy: dict[str, str] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)
    down: list[str] = field(default_factory=list)
    series: dict[str, tuple[float, float]] = field(default_factory=dict)
    restarted: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    load: float = 0.0

    def look(self, prometheus: Asked, load: float) -> list[str]:
        """Names of the alerts that are pending or firing now."""
        self.load = max(self.load, load)
        self.unhealthy |= {rule["name"]: rule["lastError"] for rule in _rules(prometheus) if rule["health"] == "err"}
        return sorted({one["labels"]["alertname"] for one in prometheus.get("alerts")["alerts"]})

    def close(self, prometheus: Asked, step_s: int) -> None:
        """Ask for all that was in between, scraped every `step_s` seconds."""
        waits = {rule["name"]: float(rule["duration"]) for rule in _rules(prometheus) if rule["type"] == "alerting"}
        told = prometheus.get(
            "query_range", query="ALERTS", start=str(self.started), end=str(time.time()), step=str(step_s)
        )
        self.alerts = list(stretches(told["result"], step_s, waits))
        since = f"[{math.ceil(time.time() - self.begun - step_s)}s]"
        over = f"{since[:-1]}:{step_s}s]"

        def one(expr: str) -> float:
            found = prometheus.query(expr)
            return float(found[0]["value"][1]) if found else 0.0

        def of_jobs(expr: str) -> Mapping[str, float]:
            return {one["metric"]["job"]: float(one["value"][1]) for one in prometheus.query(expr)}

        self.down = [told["metric"]["instance"] for told in prometheus.query(f"min_over_time(up{_JOBS}{since}) == 0")]
        self.restarted = [
            told["metric"]["instance"]
            for told in prometheus.query(f"changes(process_start_time_seconds{_JOBS}{since}) > 0")
        ]
        least, most = (of_jobs(f"{end}_over_time(({_SERIES}){over})") for end in ("min", "max"))
        self.series = {job: (least[job], most[job]) for job in most}
        memory = of_jobs(f"max_over_time((sum by (job) (process_resident_memory_bytes{_JOBS})){over})")
        self.figures = {
            "scrapes": one(f"sum(count_over_time(up{_JOBS}{since}))"),
            "records in": one("sum(driftline_records_consumed_total)"),
            "of them unusable": one("sum(driftline_dead_letters_total)"),
            "commits": one("sum(driftline_commits_total)"),
            "records of lag at most": one(f"max_over_time((sum(driftline_lag_records)){over})"),
            "records of lag at the end": one("sum(driftline_lag_records)"),
            "alarms": one("sum(driftline_alarms_opened_total)"),
            "alarms that the risk allows": one("sum(driftline_alarms_expected_total)"),
            "trainings": one("sum(driftline_training_runs_total)"),
            "swaps": one("sum(driftline_swaps_total)"),
            **{f"MiB of {job} at most": value / 2**20 for job, value in memory.items()},
        }  # fmt: skip
        self.figures["99 % committed within, s, of the worst 5 min"] = one(
            f'max_over_time((max(job_since:driftline_score_latency_seconds:p99_rate5m{{since="record"}})){over})'
        )


def _rules(prometheus: Asked) -> list[dict[str, Any]]:
    return [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]


def stretches(series: Iterable[Mapping[str, Any]], step_s: float, waits: Mapping[str, float]) -> Iterable[Alert]:
    """The stretches of the series of ALERTS, each ending where a step has no sample."""
    for one in series:
        times = [float(at) for at, _ in one["values"]]
        starts = [at for before, at in zip([-math.inf, *times], times, strict=False) if at - before > 1.5 * step_s]
        ends = [at for at, after in zip(times, [*times[1:], math.inf], strict=True) if after - at > 1.5 * step_s]
        name, state = one["metric"]["alertname"], one["metric"]["alertstate"]
        for start, end in zip(starts, ends, strict=True):
            yield Alert(name, state, end - start, waits[name])


def faults(findings: Findings, sent: int, step_s: float, status: int) -> Sequence[str]:
    """What a healthy installation would not show.

    Args:
        sent: messages.
        status: with which the service ended.
    """
    told = [f"{name} cannot be evaluated: {error}" for name, error in findings.unhealthy.items()]
    told += [f"{one.name} fired for {one.lasted_s:.0f} s and more" for one in findings.alerts if one.state == "firing"]
    told += [
        f"{one.name} was pending for {one.lasted_s:.0f} s, though it fires after {one.waits_s:.0f} s"
        for one in findings.alerts
        if one.state == "pending" and one.lasted_s > one.waits_s + step_s
    ]
    told += [f"{instance} did not answer Prometheus" for instance in findings.down]
    told += [f"{instance} was started anew" for instance in findings.restarted]
    told += [
        f"{job} had {least:.0f} to {most:.0f} series; expected as many all the time"
        for job, (least, most) in findings.series.items()
        if least != most
    ]
    if len(findings.series) != len(_TARGETS):
        told.append(f"found series of {sorted(findings.series)}; expected {sorted(_TARGETS)}")
    if (consumed := findings.figures.get("records in", 0.0)) != sent:
        told.append(f"{consumed:,.0f} records were consumed of {sent:,} sent")
    if lag := findings.figures.get("records of lag at the end", 0.0):
        told.append(f"{lag:,.0f} records were left unread")
    return [*told, *([] if status == 0 else [f"the service ended with {status}"])]
