"""What a dead letter tells of itself: its own headers, then Driftline's."""

from collections.abc import Sequence
from typing import Protocol

from pipeline.records import Place


class _Message(Protocol):
    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def timestamp(self) -> int:
        """Milliseconds since 1970-01-01 UTC; -1 for none."""

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
