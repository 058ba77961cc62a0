"""Events that nobody need be told of: marked by what people have said of their time, after they were judged.

Scores, verdicts and state know nothing of feedback; only what is told of episodes does. An episode is suppressed as a
whole while all of its flagged points lie in ranges of maintenance or of false alarms, its end included, wherever that
lies. The first flagged point beyond them is told, as an event `worsened` that says what it has outlasted, unless it is
one anyway: a fault that began in maintenance and goes on behind it is not lost. A silence is told when it has lasted on
for as long as it took to be noticed.

What is held back is remembered from one micro-batch to the next, and where batches end changes nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import msgspec
import numpy as np

from pipeline.engine import Outcome
from pipeline.episodes import Origin, finite_or_none, iso_time
from pipeline.feedback import OPEN_US, Ranges
from pipeline.records import Anomaly, Disposition, Severity, Suppression, VerdictTable
from pipeline.wording import told_apart

Lane: TypeAlias = tuple[str, str]
_WORDS = {"maintenance": "maintenance", "false_alarm": "what was labelled a false alarm"}


class Held(msgspec.Struct):
    """An open episode of which nobody was told.

    Attributes:
        position: of the record that opened it.
        time_us: of its opening.
        since_us: of a silence, when the lane was last heard of.
        points, peak_score: flagged points so far, and the highest score among them.
        by: what it was suppressed by last.
    """

    episode: str
    position: int
    time_us: int
    opened_at: str
    since_us: int
    severity: str
    points: int
    peak_score: float | None
    contributions: dict[str, float]
    by: Suppression


@dataclass(frozen=True, slots=True)
class Marked:
    """What came of a micro-batch, its events marked.

    Attributes:
        outcome: with the events that are to be told, in order.
        suppressed: the events that nobody need be told of, left out of `outcome` or not.
        outlasted: how many episodes are told of behind what they were suppressed by.
    """

    outcome: Outcome
    suppressed: tuple[Anomaly, ...] = ()
    outlasted: int = 0


class _Row(NamedTuple):
    """A flagged point, and where it stands."""

    time_us: int
    table: VerdictTable
    at: int


@dataclass(slots=True)
class Marker:
    """Marks the events of a partition.

    Args:
        ranges: gives the feedback that is known now; asked once for each micro-batch.
        drop: whether suppressed events are left out instead of marked.

    Attributes:
        suppressed: events so far, by kind of feedback.
        outlasted: episodes so far that are told of behind what they were suppressed by.
    """

    ranges: Callable[[], Ranges]
    drop: bool = False
    suppressed: Counter[str] = field(default_factory=Counter)
    outlasted: int = 0
    _points: dict[Lane, Held] = field(default_factory=dict)
    _silences: dict[Lane, Held] = field(default_factory=dict)

    def mark(self, outcome: Outcome, origin: Origin) -> Marked:
        """What came of the next micro-batch of the partition, marked.

        Args:
            origin: of the partition's engine.
        """
        ranges = self.ranges()
        if not (len(ranges) or self._points or self._silences):
            return Marked(outcome)
        times = [_us(one.time) for one in outcome.anomalies]
        found = [ranges.suppressing(one.key, one.field, at) for one, at in zip(outcome.anomalies, times, strict=True)]
        if not (self._points or self._silences or any(found)):
            return Marked(outcome)
        batch = _Batch(ranges, origin, outcome, times, found)
        self._mark_points(batch)
        self._mark_silences(batch)
        suppressed = tuple(one for one in batch.events if one.suppressed is not msgspec.UNSET)
        self.suppressed.update(one.suppressed.kind for one in suppressed if isinstance(one.suppressed, Suppression))
        self.outlasted += batch.outlasted
        told = batch.in_order()
        if self.drop:
            told = [one for one in told if one.suppressed is msgspec.UNSET]
        return Marked(replace(outcome, anomalies=tuple(told)), suppressed, batch.outlasted)

    def begin(self) -> None:
        """Take on another partition, or this one anew: nothing is held back."""
        self._points.clear()
        self._silences.clear()

    def save(self) -> dict[str, Any]:
        """What is remembered, as JSON can hold it; empty where there is nothing."""
        if not (self._points or self._silences or self.suppressed or self.outlasted):
            return {}
        return {
            "points": [[*lane, msgspec.to_builtins(held)] for lane, held in sorted(self._points.items())],
            "silences": [[*lane, msgspec.to_builtins(held)] for lane, held in sorted(self._silences.items())],
            "suppressed": dict(self.suppressed),
            "outlasted": self.outlasted,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from what was saved."""
        for name, kept in (("points", self._points), ("silences", self._silences)):
            kept.clear()
            kept |= {(key, lane): msgspec.convert(held, Held) for key, lane, held in state.get(name, [])}
        self.suppressed = Counter(state.get("suppressed", {}))
        self.outlasted = state.get("outlasted", 0)

    def _mark_points(self, batch: "_Batch") -> None:
        by_lane: dict[Lane, list[int]] = {}
        for at, one in enumerate(batch.events):
            if one.kind != "silence":
                by_lane.setdefault((one.key, one.field), []).append(at)
        suspects = set(self._points) | {lane for lane, of in by_lane.items() if any(batch.found[at] for at in of)}
        rows = batch.flagged(suspects)
        for lane in sorted(suspects):
            # a lane's points come in order of time; of a point that is an event, the event goes first
            steps: list[tuple[int, int | _Row]] = [(batch.times[at], at) for at in by_lane.get(lane, [])]
            steps += [(row.time_us, row) for row in rows.get(lane, [])]
            for _, step in sorted(steps, key=lambda item: (item[0], isinstance(item[1], _Row))):
                if isinstance(step, _Row):
                    self._meet_point(batch, lane, step)
                else:
                    self._meet_event(batch, lane, step)

    def _meet_event(self, batch: "_Batch", lane: Lane, at: int) -> None:
        event, found, held = batch.events[at], batch.found[at], self._points.get(lane)
        if event.event == "opened":
            held = self._points.pop(lane, None)
            if found is not None:
                self._points[lane] = _held(event, batch.position(event), batch.times[at], found)
        elif event.event == "closed":
            found = None if held is None else held.by
            self._points.pop(lane, None)
        elif held is not None and found is None:
            batch.outlast(at, self._points.pop(lane).by)
        elif held is not None and found is not None:
            held.points, held.peak_score, held.by = event.points, event.peak_score, found
            held.time_us = batch.times[at]
        if found is not None:
            batch.suppress(at, found)

    def _meet_point(self, batch: "_Batch", lane: Lane, row: _Row) -> None:
        held = self._points.get(lane)
        # what is no later than the event held was counted with it
        if held is None or row.time_us <= held.time_us or held.position != int(row.table.episode[row.at]):
            return
        score = float(row.table.score[row.at])
        held.points += 1
        held.peak_score = score if held.peak_score is None else max(held.peak_score, score)
        found = batch.ranges.suppressing(*lane, row.time_us)
        if found is None:
            batch.add(row, _reminder(batch.origin, lane, self._points.pop(lane), row))
        else:
            held.by = found

    def _mark_silences(self, batch: "_Batch") -> None:
        for at, event in enumerate(batch.events):
            if event.kind != "silence":
                continue
            lane, found = (event.key, event.field), batch.found[at]
            if event.event == "opened":
                if found is not None:
                    self._silences[lane] = _held(event, batch.position(event), batch.times[at], found)
                    batch.suppress(at, found)
            elif (held := self._silences.pop(lane, None)) is not None and not self._outlast_silence(
                batch, lane, held, before=batch.position(event)
            ):
                batch.suppress(at, held.by)
        for lane, held in sorted(self._silences.items()):
            if self._outlast_silence(batch, lane, held, before=None):
                del self._silences[lane]

    def _outlast_silence(self, batch: "_Batch", lane: Lane, held: Held, before: int | None) -> bool:
        """Whether a silence is told of in this batch, before a position if one is given."""
        until = batch.ranges.suppressed_until(*lane, held.time_us)
        row = None if until == OPEN_US else batch.first_behind(lane, until + held.time_us - held.since_us, before)
        if row is None:
            return False
        batch.add(row, _silence_reminder(batch.origin, lane, held, row))
        return True


@dataclass(slots=True)
class _Batch:
    """The events of a micro-batch on their way to be marked.

    Attributes:
        times, found: of each event, its time and what it is suppressed by.
    """

    ranges: Ranges
    origin: Origin
    outcome: Outcome
    times: Sequence[int]
    found: Sequence[Suppression | None]
    outlasted: int = 0
    events: list[Anomaly] = field(init=False)
    _added: list[tuple[int, Anomaly]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.events = list(self.outcome.anomalies)

    def position(self, event: Anomaly) -> int:
        """Of the record that an event is of, as tables have it."""
        many = self.origin.points_per_message
        return event.position * many + event.index if event.position >= 0 else event.position

    def suppress(self, at: int, by: Suppression) -> None:
        self.events[at] = msgspec.structs.replace(self.events[at], suppressed=by)

    def outlast(self, at: int, by: Suppression) -> None:
        self.events[at] = msgspec.structs.replace(self.events[at], outlasted=by)
        self.outlasted += 1

    def add(self, row: _Row, event: Anomaly) -> None:
        """Tell an event more, with the record by which a row was decided."""
        self._added.append((int(row.table.released_by[row.at]), event))
        self.outlasted += 1

    def flagged(self, lanes: set[Lane]) -> dict[Lane, list[_Row]]:
        """The flagged points of some lanes."""
        rows: dict[Lane, list[_Row]] = {}
        for table in self.outcome.verdicts if lanes else ():
            for at in np.flatnonzero(table.is_anomaly).tolist():
                lane = table.key_names[table.key[at]], table.field_names[table.field[at]]
                if lane in lanes:
                    rows.setdefault(lane, []).append(_Row(int(table.time_us[at]), table, at))
        return rows

    def first_behind(self, lane: Lane, due_us: int, before: int | None) -> _Row | None:
        """The first point accepted behind a time at which a lane is not suppressed, of any lane of the partition."""
        for table in self.outcome.verdicts:
            usable = (table.disposition <= Disposition.WARMING) & (table.time_us > due_us)
            for at in np.flatnonzero(usable).tolist():
                if before is not None and table.released_by[at] >= before:
                    return None
                if self.ranges.suppressing(*lane, int(table.time_us[at])) is None:
                    return _Row(int(table.time_us[at]), table, at)
        return None

    def in_order(self) -> list[Anomaly]:
        """All events, by the record with which each is told; those added behind the others of their record."""
        if not self._added:
            return self.events
        released = self._released()
        places = [(released.get(self._name(one), self.position(one)), 0, "", "", "") for one in self.events]
        places += [(at, 1, one.kind, one.key, one.field) for at, one in self._added]
        told = self.events + [one for _, one in self._added]
        return [told[at] for at in sorted(range(len(told)), key=places.__getitem__)]

    def _released(self) -> dict[tuple[int, str, str], int]:
        """Position of the record with which each point that is an event was decided."""
        wanted = np.array([self.position(one) for one in self.events if one.kind != "silence"], np.int64)
        found = {}
        for table in self.outcome.verdicts:
            for at in np.flatnonzero(np.isin(table.position, wanted)).tolist():
                name = int(table.position[at]), table.key_names[table.key[at]], table.field_names[table.field[at]]
                found[name] = int(table.released_by[at])
        return found

    def _name(self, event: Anomaly) -> tuple[int, str, str]:
        # a silence is told with the record that it is noticed by, which is no point of its lane
        return (self.position(event), event.key, event.field) if event.kind != "silence" else (-1, "", "")


def _held(event: Anomaly, position: int, time_us: int, by: Suppression) -> Held:
    return Held(
        episode=event.episode,
        position=position,
        time_us=time_us,
        opened_at=event.opened_at,
        since_us=_us(event.opened_at),
        severity=event.severity,
        points=event.points,
        peak_score=event.peak_score,
        contributions=event.contributions,
        by=by,
    )


def _reminder(origin: Origin, lane: Lane, held: Held, row: _Row) -> Anomaly:
    """That an episode goes on behind what it was suppressed by, at a point of it."""
    table, at = row.table, row.at
    observed, expected = float(table.value[at]), finite_or_none(float(table.expected[at]))
    return _event(
        origin, lane, held, row,
        kind="point",
        observed=finite_or_none(observed),
        expected=expected,
        lower=finite_or_none(float(table.lower[at])),
        upper=finite_or_none(float(table.upper[at])),
        score=finite_or_none(float(table.score[at])),
        threshold=finite_or_none(float(table.threshold[at])),
        segment_score=finite_or_none(float(table.segment_score[at])),
        severity=Severity(int(table.severity[at])).name.lower(),
        reason=_tell(held, observed, expected),
    )  # fmt: skip


def _silence_reminder(origin: Origin, lane: Lane, held: Held, row: _Row) -> Anomaly:
    """The same of a silence, at a point of another lane."""
    return _event(
        origin, lane, held, row,
        kind="silence", observed=None, expected=None, lower=None, upper=None, score=None, threshold=None,
        segment_score=None, severity=held.severity,
        reason=f"still no value behind {_WORDS[held.by.kind]}, in which the silence was noticed",
    )  # fmt: skip


def _event(origin: Origin, lane: Lane, held: Held, row: _Row, **of_point: Any) -> Anomaly:
    key, name = lane
    by_record = of_point["kind"] == "silence"
    position = int((row.table.released_by if by_record else row.table.position)[row.at])
    offset, index = origin.place(position)
    return Anomaly(
        id=f"{held.episode.removesuffix('/opened')}/outlasted",
        event="worsened",
        episode=held.episode,
        key=key,
        field=name,
        time=iso_time(row.time_us),
        peak_score=held.peak_score,
        points=held.points,
        opened_at=held.opened_at,
        contributions=held.contributions,
        streams=[],
        context=[],
        bundle=origin.bundle,
        source=origin.source,
        partition=origin.partition,
        position=offset,
        index=index,
        outlasted=held.by,
        **of_point,
    )


def _tell(held: Held, observed: float, expected: float | None) -> str:
    told = f"goes on behind {_WORDS[held.by.kind]}, in which it was suppressed"
    if expected is None:
        return told
    came, was = told_apart(observed, expected)
    return f"{told}: {came} where {was} was forecast"


def _us(iso: str) -> int:
    return int(np.datetime64(iso.removesuffix("Z"), "us").astype(np.int64))


def suppressions(events: Iterable[Anomaly]) -> Iterator[tuple[Anomaly, Suppression]]:
    """The events that are suppressed, each with why."""
    for one in events:
        if isinstance(one.suppressed, Suppression):
            yield one, one.suppressed
