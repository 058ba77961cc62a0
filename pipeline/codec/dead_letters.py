"""What a dead letter tells of itself: its own headers, then Driftline's."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from pipeline.codec.formats import RawMessage
from pipeline.records import Place

OVERHEAD = 2**12
"""Bytes that a message takes at most beside its key, value and own headers."""
TRUNCATED = "driftline.truncated"


class _Message(RawMessage, Protocol):
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Its headers."""


def dead_letter_headers(message: _Message, reasons: Sequence[str], place: Place) -> list[tuple[str, bytes]]:
    """Headers of a message that cannot be used; the same message always has the same.

    Args:
        reasons: as 'reason: what was found', the first one first.
    """
    told = {
        "driftline.reason": reasons[0].partition(":")[0],
        "driftline.detail": "; ".join(reasons),
        "driftline.topic": place.topic,
        "driftline.partition": str(place.partition),
        "driftline.offset": str(message.offset),
        "driftline.timestamp": str(message.timestamp),
    }
    return [*message.headers, *((name, text.encode(errors="backslashreplace")) for name, text in told.items())]


class CutLetter(NamedTuple):
    """What is left of a message that is too long to be kept whole."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


def cut_dead_letter(message: _Message, reasons: Sequence[str], place: Place, limit: int) -> CutLetter:
    """The message's beginning, with a header that tells how long it was; the same message always gives the same.

    Args:
        limit: bytes that the topic takes.
    """
    key, value = message.key, message.value or b""
    own = list(message.headers)
    told = dead_letter_headers(message, reasons, place)[len(own) :]
    told.append((TRUNCATED, f"{len(value)} bytes".encode()))
    room = limit - OVERHEAD - len(key or b"") - sum(len(name) + len(content) for name, content in own)
    if room < 0:
        room, key, own = limit - OVERHEAD, None, []
    return CutLetter(key, value[: max(room, 0)], [*own, *told])
