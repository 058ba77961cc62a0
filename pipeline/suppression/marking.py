"""What marks the events of a partition, and remembers what it holds back from one micro-batch to the next."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from pipeline.engine import Outcome
from pipeline.episodes import Origin
from pipeline.feedback import OPEN_US, Ranges
from pipeline.records import Suppression
from pipeline.suppression.batch import Events, Marked
from pipeline.suppression.held import Held, Lane, hold, us_of
from pipeline.suppression.reminders import Row, reminder, silence_reminder


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
        times = [us_of(one.time) for one in outcome.anomalies]
        found = [ranges.suppressing(one.key, one.field, at) for one, at in zip(outcome.anomalies, times, strict=True)]
        if not (self._points or self._silences or any(found)):
            return Marked(outcome)
        batch = Events(ranges, origin, outcome, times, found)
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

    def _mark_points(self, batch: Events) -> None:
        by_lane: dict[Lane, list[int]] = {}
        for at, one in enumerate(batch.events):
            if one.kind != "silence":
                by_lane.setdefault((one.key, one.field), []).append(at)
        suspects = set(self._points) | {lane for lane, of in by_lane.items() if any(batch.found[at] for at in of)}
        rows = batch.flagged(suspects)
        for lane in sorted(suspects):
            # a lane's points come in order of time; of a point that is an event, the event goes first
            steps: list[tuple[int, int | Row]] = [(batch.times[at], at) for at in by_lane.get(lane, [])]
            steps += [(row.time_us, row) for row in rows.get(lane, [])]
            for _, step in sorted(steps, key=lambda item: (item[0], isinstance(item[1], Row))):
                if isinstance(step, Row):
                    self._meet_point(batch, lane, step)
                else:
                    self._meet_event(batch, lane, step)

    def _meet_event(self, batch: Events, lane: Lane, at: int) -> None:
        event, found, held = batch.events[at], batch.found[at], self._points.get(lane)
        if event.event == "opened":
            held = self._points.pop(lane, None)
            if found is not None:
                self._points[lane] = hold(event, batch.position(event), batch.times[at], found)
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

    def _meet_point(self, batch: Events, lane: Lane, row: Row) -> None:
        held = self._points.get(lane)
        # what is no later than the event held was counted with it
        if held is None or row.time_us <= held.time_us or held.position != int(row.table.episode[row.at]):
            return
        score = float(row.table.score[row.at])
        held.points += 1
        held.peak_score = score if held.peak_score is None else max(held.peak_score, score)
        found = batch.ranges.suppressing(*lane, row.time_us)
        if found is None:
            batch.add(row, reminder(batch.origin, lane, self._points.pop(lane), row))
        else:
            held.by = found

    def _mark_silences(self, batch: Events) -> None:
        for at, event in enumerate(batch.events):
            if event.kind != "silence":
                continue
            lane, found = (event.key, event.field), batch.found[at]
            if event.event == "opened":
                if found is not None:
                    self._silences[lane] = hold(event, batch.position(event), batch.times[at], found)
                    batch.suppress(at, found)
            elif (held := self._silences.pop(lane, None)) is not None and not self._outlast_silence(
                batch, lane, held, before=batch.position(event)
            ):
                batch.suppress(at, held.by)
        for lane, held in sorted(self._silences.items()):
            if self._outlast_silence(batch, lane, held, before=None):
                del self._silences[lane]

    def _outlast_silence(self, batch: Events, lane: Lane, held: Held, before: int | None) -> bool:
        """Whether a silence is told of in this batch, before a position if one is given."""
        until = batch.ranges.suppressed_until(*lane, held.time_us)
        row = None if until == OPEN_US else batch.first_behind(lane, until + held.time_us - held.since_us, before)
        if row is None:
            return False
        batch.add(row, silence_reminder(batch.origin, lane, held, row))
        return True
