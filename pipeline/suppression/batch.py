"""The events of a micro-batch on their way to be marked, and in order again with those that are told besides."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from pipeline.engine import Outcome
from pipeline.episodes import Origin
from pipeline.feedback import Ranges
from pipeline.records import Anomaly, Disposition, Suppression
from pipeline.suppression.held import Lane
from pipeline.suppression.reminders import Row


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


@dataclass(slots=True)
class Events:
    """All events of a micro-batch, marked one by one.

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
        """Nobody need be told of this event."""
        self.events[at] = msgspec.structs.replace(self.events[at], suppressed=by)

    def outlast(self, at: int, by: Suppression) -> None:
        """This event tells of an episode behind what it was suppressed by."""
        self.events[at] = msgspec.structs.replace(self.events[at], outlasted=by)
        self.outlasted += 1

    def add(self, row: Row, event: Anomaly) -> None:
        """Tell an event more, with the record by which a row was decided."""
        self._added.append((int(row.table.released_by[row.at]), event))
        self.outlasted += 1

    def flagged(self, lanes: set[Lane]) -> dict[Lane, list[Row]]:
        """The flagged points of some lanes."""
        rows: dict[Lane, list[Row]] = {}
        for table in self.outcome.verdicts if lanes else ():
            for at in np.flatnonzero(table.is_anomaly).tolist():
                lane = table.key_names[table.key[at]], table.field_names[table.field[at]]
                if lane in lanes:
                    rows.setdefault(lane, []).append(Row(int(table.time_us[at]), table, at))
        return rows

    def first_behind(self, lane: Lane, due_us: int, before: int | None) -> Row | None:
        """The first point accepted behind a time at which a lane is not suppressed, of any lane of the partition."""
        for table in self.outcome.verdicts:
            usable = (table.disposition <= Disposition.WARMING) & (table.time_us > due_us)
            for at in np.flatnonzero(usable).tolist():
                if before is not None and table.released_by[at] >= before:
                    return None
                if self.ranges.suppressing(*lane, int(table.time_us[at])) is None:
                    return Row(int(table.time_us[at]), table, at)
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


def suppressions(events: Iterable[Anomaly]) -> Iterator[tuple[Anomaly, Suppression]]:
    """The events that are suppressed, each with why."""
    for one in events:
        if isinstance(one.suppressed, Suppression):
            yield one, one.suppressed
