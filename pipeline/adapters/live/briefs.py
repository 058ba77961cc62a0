"""From an anomaly as committed to what the API tells of it."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from pipeline.adapters.live.model import AnomalyBrief, AnomalyDetail, AnomalyList, Spoke
from pipeline.adapters.live.source import SEVERITIES, Wanted
from pipeline.explanations import HORIZONS, MEANINGS, horizon_of, name_streams, tell_rank, unit_of
from pipeline.records import Anomaly, Evidence


class Committed(NamedTuple):
    """An event, and when it was committed."""

    time_ms: float
    anomaly: Anomaly


def brief(committed: Committed) -> AnomalyBrief:
    """The event in short."""
    one = committed.anomaly
    return AnomalyBrief(
        id=one.id,
        committed_ms=committed.time_ms,
        event=one.event,
        episode=one.episode,
        kind=one.kind,
        key=one.key,
        field=one.field,
        time_ms=_milliseconds(one.time),
        opened_ms=_milliseconds(one.opened_at),
        severity=one.severity,
        observed=one.observed,
        expected=one.expected,
        score=one.score,
        reason=one.reason,
        suppressed=one.suppressed or None,
        outlasted=one.outlasted or None,
    )


def detail(committed: Committed) -> AnomalyDetail:
    """All of the event, its streams in words."""
    one = committed.anomaly
    spoke = [_spoke(stream) for stream in one.streams if stream.name in MEANINGS]
    judged = HORIZONS if any(stream.horizon for stream in spoke) else []
    return AnomalyDetail(
        committed.time_ms, _milliseconds(one.time), _milliseconds(one.opened_at), one, spoke, list(judged)
    )


def pick(events: Iterable[Committed], wanted: Wanted) -> AnomalyList:
    """Those of the events that are wanted, in the same order."""
    least = SEVERITIES.index(wanted.severity)
    found: list[AnomalyBrief] = []
    for event in events:
        if len(found) >= wanted.limit:
            break
        one = event.anomaly
        if (
            SEVERITIES.index(one.severity) >= least
            and wanted.key in {"", one.key}
            and wanted.field in {"", one.field}
            and wanted.event in {"", one.event}
        ):
            found.append(brief(event))
    return AnomalyList(found)


def _spoke(stream: Evidence) -> Spoke:
    name = stream.name
    rank = tell_rank(stream.side, stream.seen, stream.among, stream.exact)
    return Spoke(name, name_streams(name), horizon_of(name), unit_of(name), stream.novelty, stream.value, rank)


def _milliseconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp() * 1000.0
