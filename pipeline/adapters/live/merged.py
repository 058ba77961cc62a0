"""Several workers shown as one: each is asked by its own API, and what they say is put together."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

import msgspec

from pipeline.adapters.live.api import BASE
from pipeline.adapters.live.model import (
    AnomalyBrief,
    AnomalyDetail,
    AnomalyList,
    KeyHistory,
    KeyList,
    LaneHistory,
    Moment,
    Overview,
    Points,
)
from pipeline.adapters.live.source import Wanted

T = TypeVar("T")
_OK = 200


@dataclass(frozen=True, slots=True)
class MergedView:
    """Fulfils `LiveSource` for workers.

    Attributes:
        ask: (worker, (status, body)) of each worker's answer at a path; status 0 for none.
    """

    ask: Callable[[str], Sequence[tuple[int, tuple[int, str]]]]

    def overview(self) -> Overview:
        """See `LiveSource`."""
        asked = self.ask(f"{BASE}/overview")
        told = _decoded(asked, Overview)
        if not told:
            return _nothing(len(asked))
        rates = [one.records_per_s for one in told if one.records_per_s is not None]
        reason = "; ".join(f"worker {number}: {body.strip()}" for number, (status, body) in asked if status != _OK)
        return Overview(
            version=told[0].version,
            bundle=told[0].bundle,
            profile=told[0].profile,
            ready=not reason and all(one.ready for one in told),
            reason=reason or "; ".join(dict.fromkeys(one.reason for one in told if one.reason)),
            now_ms=max(one.now_ms for one in told),
            workers=len(asked),
            workers_up=len(told),
            records_per_s=sum(rates) if rates else None,
            lag_records=sum(one.lag_records for one in told),
            records=_sum(one.records for one in told),
            anomalies=_sum(one.anomalies for one in told),
            events=_sum(one.events for one in told),
            dead_letters=sum(one.dead_letters for one in told),
            lanes=_sum(one.lanes for one in told),
            keys=sum(one.keys for one in told),
            open_episodes=sum(one.open_episodes for one in told),
            state_bytes=sum(one.state_bytes for one in told),
            watermark_ms=_latest(one.watermark_ms for one in told),
            committed_ms=_latest(one.committed_ms for one in told),
            newest_anomaly=" ".join(one.newest_anomaly for one in told).strip(),
            history=_moments(told),
            partitions=sorted(
                (one for each in told for one in each.partitions), key=lambda one: (one.topic, one.partition)
            ),
        )

    def anomalies(self, wanted: Wanted) -> AnomalyList:
        """See `LiveSource`."""
        query = urlencode({"severity": wanted.severity, "event": wanted.event, "key": wanted.key,
                           "field": wanted.field, "limit": wanted.limit})  # fmt: skip
        told = _decoded(self.ask(f"{BASE}/anomalies?{query}"), AnomalyList)
        return AnomalyList(_newest((one for each in told for one in each.anomalies), wanted.limit))

    def anomaly(self, identifier: str) -> AnomalyDetail | None:
        """See `LiveSource`."""
        told = _decoded(self.ask(f"{BASE}/anomaly?{urlencode({'id': identifier})}"), AnomalyDetail)
        return told[0] if told else None

    def keys(self, query: str, limit: int) -> KeyList:
        """See `LiveSource`."""
        told = _decoded(self.ask(f"{BASE}/keys?{urlencode({'query': query, 'limit': limit})}"), KeyList)
        names = dict.fromkeys(key for each in told for key in each.keys)
        wanted = query.casefold()
        ordered = sorted(names, key=lambda name: (not name.casefold().startswith(wanted), name)) if query else [*names]
        return KeyList(ordered[:limit], sum(one.total for one in told))

    def history(self, key: str, field: str, limit: int) -> KeyHistory:
        """See `LiveSource`."""
        query = urlencode({"key": key, "field": field, "limit": limit})
        told = _decoded(self.ask(f"{BASE}/history?{query}"), KeyHistory)
        lanes: dict[tuple[str, int, str], LaneHistory] = {}
        for lane in (lane for each in told for lane in each.lanes):
            place = lane.topic, lane.partition, lane.field
            lanes[place] = lane if place not in lanes else _joined(lanes[place], lane, limit)
        events = _newest((one for each in told for one in each.anomalies), None)
        return KeyHistory(key, bool(lanes), list(lanes.values()), events)


def _decoded(asked: Iterable[tuple[int, tuple[int, str]]], kind: type[T]) -> list[T]:
    """What those say that answer."""
    return [msgspec.json.decode(body, type=kind) for _, (status, body) in asked if status == _OK]


def _nothing(workers: int) -> Overview:
    """What is told while no worker answers."""
    return Overview(
        version="",
        bundle="",
        profile="",
        ready=False,
        reason="no worker answers",
        now_ms=time.time() * 1000.0,
        workers=workers,
        workers_up=0,
        records_per_s=None,
        lag_records=0,
        records={},
        anomalies={},
        events={},
        dead_letters=0,
        lanes={},
        keys=0,
        open_episodes=0,
        state_bytes=0,
        watermark_ms=None,
        committed_ms=None,
        newest_anomaly="",
        history=[],
        partitions=[],
    )


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for one in counts:
        sums.update(one)
    return dict(sums)


def _latest(times: Iterable[float | None]) -> float | None:
    return max((one for one in times if one is not None), default=None)


def _moments(told: Sequence[Overview]) -> list[Moment]:
    """Sums by second; of the newest second or two not all may have told yet, so they are left out."""
    seconds: dict[int, list[Moment]] = {}
    for overview in told:
        for second, moment in {int(one.time_ms // 1000): one for one in overview.history}.items():
            seconds.setdefault(second, []).append(moment)
    full = max((len(moments) for moments in seconds.values()), default=0)
    return [
        Moment(
            second * 1000.0, sum(one.records_per_s or 0.0 for one in moments), sum(one.lag_records for one in moments)
        )
        for second, moments in sorted(seconds.items())
        if len(moments) == full
    ]


def _newest(events: Iterable[AnomalyBrief], limit: int | None) -> list[AnomalyBrief]:
    """Each event once, newest first: a partition that moved may have been told of by two."""
    once = {one.id: one for one in events}
    return sorted(once.values(), key=lambda one: (-one.committed_ms, -one.time_ms, one.id))[:limit]


def _joined(one: LaneHistory, other: LaneHistory, limit: int) -> LaneHistory:
    """A lane of a partition that moved from one worker to another."""
    names = Points.__struct_fields__
    rows = {}
    for points in (one.points, other.points):
        for row in zip(*(getattr(points, name) for name in names), strict=True):
            rows[row[-1]] = row
    kept = [rows[position] for position in sorted(rows)][-limit:]
    columns = [list(column) for column in zip(*kept, strict=True)] if kept else [[] for _ in names]
    newest = max((lane.now for lane in (one, other) if lane.now), key=lambda now: now.newest_ms, default=None)
    return msgspec.structs.replace(one, now=newest, points=Points(**dict(zip(names, columns, strict=True))))
