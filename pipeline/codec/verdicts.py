"""Verdicts as JSON lines: for every input message that brought some, contents that a topic takes."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.records import Disposition, Phase, Place, Severity, VerdictTable

LONGEST_CONTENT = 2**19
"""Bytes; a topic takes a mebibyte in a message unless it is told otherwise."""

_ENCODER = msgspec.json.Encoder()
_SEVERITIES = [severity.name.lower() for severity in Severity]
_PHASES = [*(phase.name.lower() for phase in Phase), None]
_DISPOSITIONS = [disposition.name.lower() for disposition in Disposition]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of one point.

    Attributes:
        schema: version of this layout.
        time: event time in microseconds since 1970-01-01 UTC.
        source, partition: topic and partition of the input.
        offset: of the message that the point came in; None for an empty window, which came in none.
        index: of the point within that message.
        value: as observed; None for a missing one.
        expected, lower, upper: forecast and its band; None for none.
        score, threshold, surprise, segment_score: None for points that were not scored.
        phase: of the lane; None for points that reached no lane.
        episode: offset of the message that opened the point's episode; None for none.
    """

    schema: int = 1
    key: str
    field: str
    time: int
    source: str
    partition: str
    offset: int | None
    index: int
    value: float | None
    expected: float | None
    lower: float | None
    upper: float | None
    score: float | None
    threshold: float | None
    surprise: float | None
    segment_score: float | None
    is_anomaly: bool
    severity: str
    phase: str | None
    disposition: str
    episode: int | None


def encode_verdicts(table: VerdictTable, place: Place, points_per_message: int) -> list[tuple[int, bytes]]:
    """(offset, JSON lines) for every message that brought verdicts, in order; each content ends with a newline."""
    if not len(table):
        return []
    released = (table.released_by // points_per_message).tolist()
    columns = zip(
        released,
        table.key.tolist(),
        table.field.tolist(),
        table.time_us.tolist(),
        table.position.tolist(),
        *(
            _plain(column)
            for column in (
                table.value, table.expected, table.lower, table.upper, table.score, table.threshold, table.surprise,
                table.segment_score,
            )
        ),
        table.is_anomaly.tolist(),
        table.severity.tolist(),
        table.phase.tolist(),
        table.disposition.tolist(),
        table.episode.tolist(),
        strict=True,
    )  # fmt: skip
    return [
        (offset, _ENCODER.encode_lines([_verdict(table, place, points_per_message, *row[1:]) for row in rows]))
        for offset, rows in groupby(columns, key=lambda row: row[0])
    ]


def cut_content(content: bytes, longest: int = LONGEST_CONTENT) -> Iterator[bytes]:
    """The content in parts of whole lines, each at most so long unless a single line is longer."""
    start = 0
    while len(content) - start > longest:
        end = content.rfind(b"\n", start, start + longest) + 1 or content.find(b"\n", start) + 1
        yield content[start:end]
        start = end
    if start < len(content):
        yield content[start:]


def _verdict(
    table: VerdictTable, place: Place, per_message: int, key: int, field: int, time: int, position: int, *rest: Any
) -> Verdict:
    value, expected, lower, upper, score, threshold, surprise, segment_score, *judged = rest
    is_anomaly, severity, phase, disposition, episode = judged
    offset, index = divmod(position, per_message) if position >= 0 else (None, 0)
    return Verdict(
        key=table.key_names[key],
        field=table.field_names[field],
        time=time,
        source=place.topic,
        partition=str(place.partition),
        offset=offset,
        index=index,
        value=value,
        expected=expected,
        lower=lower,
        upper=upper,
        score=score,
        threshold=threshold,
        surprise=surprise,
        segment_score=segment_score,
        is_anomaly=is_anomaly,
        severity=_SEVERITIES[severity],
        phase=_PHASES[phase],
        disposition=_DISPOSITIONS[disposition],
        episode=episode // per_message if episode >= 0 else None,
    )


def _plain(column: NDArray[Any]) -> list[float | None]:
    """Floats, None for those that JSON cannot write; single precision in as few digits as tell it."""
    plain: list[Any] = column.tolist()
    if column.dtype == np.float32:
        plain = [float(text) for text in column.astype(str)] if len(column) else []
    if not np.isfinite(column).all():
        plain = [one if good else None for one, good in zip(plain, np.isfinite(column).tolist(), strict=True)]
    return plain
