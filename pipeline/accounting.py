"""What became of every record and point: the accounting of a partition, at any moment.

consumed = scored + warming + late + duplicate + dead-lettered, for records. A record is scored when at least one of its
fields was taken by a lane that is past its warm-up.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.records import Batch, Disposition, Severity

RECORD_DISPOSITIONS = (
    Disposition.SCORED,
    Disposition.WARMING,
    Disposition.LATE,
    Disposition.DUPLICATE,
    Disposition.DEAD_LETTERED,
)


@dataclass(slots=True)
class Counts:
    """Running counts of a partition; all rise only.

    Attributes:
        consumed: records taken from the source.
        records: records by disposition.
        points: points (record times fields) by disposition.
        problems: unusable values and records by reason.
        gaps: points that came after a gap in their lane.
        flagged: flagged points by severity.
        events: episode events by kind of event.
    """

    consumed: int = 0
    records: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    gaps: int = 0
    flagged: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)

    def add_dispositions(self, points: NDArray[np.int8]) -> None:
        """Count records from the dispositions of their points (records, fields)."""
        records = np.minimum(points.min(axis=1), Disposition.DEAD_LETTERED)
        self.consumed += len(records)
        for name, found in ((self.records, records), (self.points, points.ravel())):
            for value, count in enumerate(np.bincount(found, minlength=len(Disposition))):
                if count:
                    name[Disposition(value).name.lower()] += int(count)

    def add_severities(self, severity: NDArray[np.int8]) -> None:
        """Count flagged points by their grade."""
        for value, count in enumerate(np.bincount(severity, minlength=len(Severity))):
            if count and value != Severity.NONE:
                self.flagged[Severity(value).name.lower()] += int(count)

    def balance(self) -> int:
        """Records consumed that no disposition accounts for; always 0."""
        return self.consumed - sum(self.records.values())

    def __iadd__(self, other: "Counts") -> Self:
        """Add the counts of another partition or batch."""
        self.consumed += other.consumed
        self.gaps += other.gaps
        for name in ("records", "points", "problems", "flagged", "events"):
            getattr(self, name).update(getattr(other, name))
        return self

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "consumed": self.consumed,
            "records": {name.name.lower(): self.records[name.name.lower()] for name in RECORD_DISPOSITIONS},
            "points": {name.name.lower(): self.points[name.name.lower()] for name in Disposition},
            "problems": dict(sorted(self.problems.items())),
            "gaps": self.gaps,
            "flagged": {grade.name.lower(): self.flagged[grade.name.lower()] for grade in Severity if grade},
            "events": {event: self.events[event] for event in ("opened", "worsened", "closed")},
        }

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Counts":
        """What `to_dict` gave."""
        counters = {
            name: Counter({key: count for key, count in plain[name].items() if count})
            for name in ("records", "points", "problems", "flagged", "events")
        }
        return cls(consumed=plain["consumed"], gaps=plain["gaps"], **counters)


def count_batch(batch: Batch, by_record: NDArray[np.int8], severity: NDArray[np.int8]) -> Counts:
    """Records, points, unusable values and flagged points of a micro-batch.

    Args:
        batch: as consumed.
        by_record: (records, fields) disposition of each point.
        severity: of each verdict.
    """
    counts = Counts()
    counts.add_dispositions(by_record)
    counts.add_severities(severity)
    explained = np.zeros(by_record.shape, np.bool_)
    for problem in batch.problems:
        counts.problems[problem.reason] += 1
        explained[problem.index, problem.field if problem.field >= 0 else slice(None)] = True
    unexplained = ~explained
    missing = int((unexplained & np.isnan(batch.values)).sum())
    non_finite = int((unexplained & np.isinf(batch.values)).sum())
    for reason, count in (("missing", missing), ("non_finite", non_finite)):
        if count:
            counts.problems[reason] += count
    return counts
