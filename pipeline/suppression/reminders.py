"""The events that say what an episode has outlasted."""

from typing import Any, NamedTuple

from pipeline.episodes import Origin, finite_or_none, iso_time
from pipeline.records import Anomaly, Severity, VerdictTable
from pipeline.suppression.held import Held, Lane
from pipeline.wording import told_apart

_WORDS = {"maintenance": "maintenance", "false_alarm": "what was labelled a false alarm"}


class Row(NamedTuple):
    """A flagged point, and where it stands."""

    time_us: int
    table: VerdictTable
    at: int


def reminder(origin: Origin, lane: Lane, held: Held, row: Row) -> Anomaly:
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


def silence_reminder(origin: Origin, lane: Lane, held: Held, row: Row) -> Anomaly:
    """The same of a silence, at a point of another lane."""
    return _event(
        origin, lane, held, row,
        kind="silence", observed=None, expected=None, lower=None, upper=None, score=None, threshold=None,
        segment_score=None, severity=held.severity,
        reason=f"still no value behind {_WORDS[held.by.kind]}, in which the silence was noticed",
    )  # fmt: skip


def _event(origin: Origin, lane: Lane, held: Held, row: Row, **of_point: Any) -> Anomaly:
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
