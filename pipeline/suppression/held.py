"""What is remembered of an open episode of which nobody was told."""

from typing import TypeAlias

import msgspec
import numpy as np

from pipeline.records import Anomaly, Suppression

Lane: TypeAlias = tuple[str, str]
"""Key and field."""


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


def hold(event: Anomaly, position: int, time_us: int, by: Suppression) -> Held:
    """The episode that an event has opened, at a position, suppressed."""
    return Held(
        episode=event.episode,
        position=position,
        time_us=time_us,
        opened_at=event.opened_at,
        since_us=us_of(event.opened_at),
        severity=event.severity,
        points=event.points,
        peak_score=event.peak_score,
        contributions=event.contributions,
        by=by,
    )


def us_of(iso: str) -> int:
    """Microseconds since 1970-01-01 UTC of a time as events have it."""
    return int(np.datetime64(iso.removesuffix("Z"), "us").astype(np.int64))
