"""Alarms in what was held back of a history: whether thresholds carry over to other weights."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from detectors.series import first_held_back
from pipeline.feedback import MAINTENANCE, NOTHING_SAID, Ranges
from pipeline.records import Anomaly, Checkpoint, Disposition, VerdictTable
from pipeline.training.history import History, kinds_of, of_fields

KeyName = tuple[str, str, str]


@dataclass(slots=True)
class Alarms:
    """Episodes that opened among points.

    Attributes:
        since_us: event time from which each key counts, by source, partition and key; others do not.
        points: judged.
        opened: episodes.
    """

    since_us: Mapping[KeyName, int] = field(default_factory=dict)
    points: int = 0
    opened: int = 0

    @property
    def rate(self) -> float:
        """Alarms per 1,000 points; 0 without points."""
        return 1000 * self.opened / self.points if self.points else 0.0


def count_alarms(history: History) -> Alarms:
    """Those of the newest fifth of what is kept of each key."""
    since: dict[KeyName, int] = {}
    points = opened = 0
    for name, of_key in history:
        if not len(of_key):
            continue
        times = np.sort(of_key["time_us"])
        since[name] = int(times[min(first_held_back(len(times)), len(times) - 1)])
        counts = of_key["time_us"] >= since[name]
        points += int(counts.sum())
        opened += int(of_key["opens"][counts].sum())
    return Alarms(since, points, opened)


class AlarmCounter:
    """Counts the alarms of a replay; fulfils `pipeline.interfaces.Outputs`.

    Args:
        since_us: see `Alarms`.
        feedback: alarms in maintenance do not count.

    Attributes:
        source, partition: of the records to come; part of a key's name here.
    """

    def __init__(self, since_us: Mapping[KeyName, int], feedback: Ranges = NOTHING_SAID) -> None:
        self._feedback = feedback
        self.source = ""
        self.partition = ""
        self.counted = Alarms(since_us)

    def add(self, tables: Iterable[VerdictTable], anomalies: Iterable[Anomaly]) -> None:  # noqa: ARG002
        """Take what came of a micro-batch."""
        for table in tables:
            never = np.iinfo(np.int64).max
            names = [(self.source, self.partition, name) for name in table.key_names]
            since = np.array([self.counted.since_us.get(name, never) for name in names], np.int64)
            counts = (table.disposition <= Disposition.WARMING) & (table.time_us >= since[table.key]) & of_fields(table)
            self.counted.points += int(counts.sum())
            opens = counts & table.is_anomaly & (table.episode == table.position)
            self.counted.opened += int((opens & (kinds_of(table, self._feedback) != MAINTENANCE)).sum())

    def checkpoint(self, state: Checkpoint) -> None:
        """Nothing: a count is not gone on with."""

    def suspend(self, state: Checkpoint) -> None:
        """As above."""

    def publish(self) -> None:
        """As above."""
