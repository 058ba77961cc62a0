"""What the live page shows of one process of the service.

The loop hands over what it has done anyway, by reference, and is never waited for by it: a batch costs it an entry in
a list, a commit a few tuples. What is shown is what is committed; what was dropped with a transaction is dropped here.
Whatever takes long, such as looking for a key, happens on the threads that ask.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from prometheus_client import CollectorRegistry

from pipeline.adapters.live.briefs import Committed, brief, detail, pick
from pipeline.adapters.live.figures import Figures
from pipeline.adapters.live.histories import Question, answer, lane_of, search
from pipeline.adapters.live.model import (
    AnomalyDetail,
    AnomalyList,
    KeyHistory,
    KeyList,
    Moment,
    Overview,
    PartitionState,
)
from pipeline.adapters.live.points import RecentPoints
from pipeline.adapters.live.source import MOST_ANOMALIES, Wanted
from pipeline.engine import Outcome, PartitionEngine
from pipeline.records import Place, VerdictTable

_MOMENTS = 300
_RATE_S = 5
_QUESTIONS = 16
_ANSWER_S = 1.0


class Readiness(Protocol):
    """Whether the process is ready."""

    def why_unready(self) -> str:
        """The reason, or ''."""


@dataclass(slots=True)
class _Pending:
    """What came since the newest commit."""

    tables: list[tuple[Place, VerdictTable]] = field(default_factory=list)
    anomalies: deque[Committed] = field(default_factory=lambda: deque(maxlen=MOST_ANOMALIES))


class LiveView:
    """Fulfils `LiveSource` for one process. One thread tells, others ask.

    Args:
        registry: of its metrics.
        warm_up: points after which a lane is judged.
        max_bytes: memory for recent points; see `RecentPoints`.
        clock: seconds since 1970-01-01 UTC.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        readiness: Readiness,
        warm_up: int,
        max_bytes: int,
        *,
        worker: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._registry = registry
        self._readiness = readiness
        self._warm_up = warm_up
        self._worker = worker
        self._clock = clock
        self._points = RecentPoints(max_bytes)
        self._pending = _Pending()
        self._anomalies: tuple[Committed, ...] = ()
        self._engines: dict[Place, PartitionEngine] = {}
        self._status: Mapping[Place, str] = {}
        self._ends: Mapping[Place, tuple[int, int]] = {}
        self._snapshots: dict[Place, int] = {}
        self._consumed = 0
        self._counted = 0
        self._moments: deque[Moment] = deque(maxlen=_MOMENTS)
        self._moment_s = clock()
        self._questions: deque[Question] = deque()
        self._asking = threading.BoundedSemaphore(_QUESTIONS)

    def processed(self, place: Place, engine: PartitionEngine, outcome: Outcome) -> None:
        """A batch was processed, and is not committed yet."""
        if self._engines.get(place) is not engine:
            self._engines = {**self._engines, place: engine}
        self._pending.tables.extend((place, table) for table in outcome.verdicts)
        self._pending.anomalies.extend(Committed(0.0, one) for one in outcome.anomalies)
        self._consumed += outcome.counts.consumed

    def committed(self) -> None:
        """All that was processed is committed."""
        pending, self._pending = self._pending, _Pending()
        self._points.add(pending.tables)
        if pending.anomalies:
            now_ms = self._clock() * 1000.0
            newest = tuple(Committed(now_ms, one.anomaly) for one in reversed(pending.anomalies))
            self._anomalies = (newest + self._anomalies)[:MOST_ANOMALIES]

    def dropped(self) -> None:
        """What was not committed is done again, here or elsewhere."""
        self._pending = _Pending()

    def gone(self, places: Collection[Place]) -> None:
        """These are no longer this process's."""
        self._engines = {place: one for place, one in self._engines.items() if place not in places}
        self._ends = {place: one for place, one in self._ends.items() if place not in places}
        for place in places:
            self._snapshots.pop(place, None)

    def stands(self, ends: Mapping[Place, tuple[int, int]]) -> None:
        """Offsets of the partitions that are live: (of the next record to take, that the next record will have)."""
        self._ends = {**self._ends, **ends}

    def set_status(self, status: Mapping[Place, str]) -> None:
        """What the partitions held are at; told once a round."""
        self._status = status
        now = self._clock()
        if int(now) > int(self._moment_s):  # at every second, so that those of several processes can be added up
            rate = (self._consumed - self._counted) / (now - self._moment_s)
            self._moments.append(Moment(now * 1000.0, rate, self._lag()))
            self._moment_s, self._counted = now, self._consumed

    def snapshot_taken(self, place: Place, offset: int) -> None:
        """A snapshot is complete."""
        self._snapshots[place] = offset

    def at_rest(self) -> None:
        """No engine is being worked in: rows that were asked for can be looked at."""
        while self._questions:
            answer(self._questions.popleft(), self._engines, self._warm_up)

    def overview(self) -> Overview:
        """See `LiveSource`."""
        figures, moments, anomalies = Figures(self._registry), list(self._moments), self._anomalies
        reason = self._readiness.why_unready()
        bundle = figures.labels("bundle_info")
        return Overview(
            version=figures.labels("build_info").get("version", ""),
            bundle=bundle.get("bundle", ""),
            profile=bundle.get("profile", ""),
            ready=not reason,
            reason=reason,
            now_ms=self._clock() * 1000.0,
            records_per_s=self._rate(moments),
            lag_records=self._lag(),
            records=figures.by("records_total", "disposition"),
            anomalies=figures.by("anomalies_total", "severity"),
            events=figures.by("episode_events_total", "event"),
            dead_letters=int(figures.total("dead_letters_total")),
            lanes=figures.by("lanes", "phase"),
            keys=sum(len(engine.lanes) for engine in self._engines.values()),
            open_episodes=int(figures.total("episodes_open")),
            state_bytes=int(figures.total("state_bytes")),
            watermark_ms=figures.time_ms("watermark_timestamp_seconds"),
            committed_ms=figures.time_ms("last_commit_timestamp_seconds"),
            newest_anomaly=anomalies[0].anomaly.id if anomalies else "",
            history=moments,
            partitions=self._partitions(),
        )

    def anomalies(self, wanted: Wanted) -> AnomalyList:
        """See `LiveSource`."""
        return pick(self._anomalies, wanted)

    def anomaly(self, identifier: str) -> AnomalyDetail | None:
        """See `LiveSource`."""
        found = next((one for one in self._anomalies if one.anomaly.id == identifier), None)
        return None if found is None else detail(found)

    def keys(self, query: str, limit: int) -> KeyList:
        """See `LiveSource`."""
        return search(self._engines, self._points, query, limit)

    def history(self, key: str, field: str, limit: int) -> KeyHistory:
        """See `LiveSource`."""
        question = self._ask(key)
        places = dict.fromkeys([*self._engines, *self._points.places()])
        lanes = [
            lane
            for place in places
            if (lane := lane_of(place, self._engines.get(place), self._points, question, field, limit)) is not None
        ]
        shown = lanes[0].field if lanes else field
        mine = (one for one in self._anomalies if one.anomaly.key == key and one.anomaly.field == shown)
        return KeyHistory(key, bool(lanes), lanes, [brief(one) for one in mine])

    def _ask(self, key: str) -> Question:
        """What the rows of a key say, if the loop comes to look in time."""
        question = Question(key)
        if self._asking.acquire(blocking=False):
            try:
                self._questions.append(question)
                question.done.wait(_ANSWER_S)
            finally:
                self._asking.release()
        return question

    def _rate(self, moments: Sequence[Moment]) -> float | None:
        """Records a second of late; None before the first second."""
        now = self._clock()
        if now - self._moment_s > _RATE_S:  # the loop is held up: what it did before is no longer so
            return (self._consumed - self._counted) / (now - self._moment_s)
        since_ms = (
            now - _RATE_S - 1
        ) * 1000.0  # behind a loop that was held up, what it did before is still the newest
        told = (one.records_per_s for one in moments[-_RATE_S:] if one.time_ms > since_ms)
        recent = [rate for rate in told if rate is not None]
        return float(np.mean(recent)) if recent else None

    def _lag(self) -> int:
        return sum(max(end - offset, 0) for offset, end in self._ends.values())

    def _partitions(self) -> list[PartitionState]:
        return list(self._states(sorted(dict(self._status).items()), self._engines, self._ends))

    def _states(
        self,
        status: Iterable[tuple[Place, str]],
        engines: Mapping[Place, PartitionEngine],
        ends: Mapping[Place, tuple[int, int]],
    ) -> Iterable[PartitionState]:
        for place, what in status:
            engine, (offset, end) = engines.get(place), ends.get(place, (None, None))
            watermark_us = 0 if engine is None else engine.watermark_us
            yield PartitionState(
                topic=place.topic,
                partition=place.partition,
                status=what,
                offset=offset,
                end=end,
                lag_records=None if offset is None or end is None else max(end - offset, 0),
                keys=0 if engine is None else len(engine.lanes),
                watermark_ms=watermark_us / 1000.0 if watermark_us else None,
                snapshot_offset=self._snapshots.get(place),
                worker=self._worker,
            )
