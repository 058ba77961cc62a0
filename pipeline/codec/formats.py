"""Formats of messages: what is in them, and the seam for more formats.

Avro and Protobuf need a schema registry, and come later: a decoder for them goes into `make_decoder` of
`pipeline.codec.decoding` and a name for it into `FormatName`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pipeline.records import POINTS_PER_MESSAGE, Batch

FormatName = Literal["json", "json-array", "json-lines", "arrow"]
UnitName = Literal["auto", "iso", "s", "ms", "us", "ns"]
LONGEST_KEY = 1000
"""Characters of a key; longer ones are refused, since ids of anomalies and keys of messages hold them."""


class RawMessage(Protocol):
    """What a decoder needs of a message."""

    @property
    def offset(self) -> int:
        """Its place in the partition; rising, with holes."""

    @property
    def timestamp(self) -> int:
        """Milliseconds since 1970-01-01 UTC, by the producer or the broker; -1 for none."""

    @property
    def key(self) -> bytes | None:
        """Its key."""

    @property
    def value(self) -> bytes | None:
        """Its content; None for a tombstone."""


@dataclass(frozen=True, slots=True)
class MessageFormat:
    """How points lie in messages.

    Attributes:
        kind: 'json', an object that is a point in time; or many of them: 'json-array', 'json-lines', 'arrow'.
        value_fields: names of the values; one with dots leads into nested objects, unless a field bears that very name.
        time_field: name of the event time; None for the message's own time.
        key_field: name of the key; None for the message's own key.
        time_unit: how times are written; 'auto' for as the first usable record has it.
        max_message_bytes: longer messages are not decoded.
    """

    kind: FormatName = "json"
    value_fields: tuple[str, ...] = ("value",)
    time_field: str | None = None
    key_field: str | None = None
    time_unit: UnitName = "auto"
    max_message_bytes: int = 2**24

    @property
    def points_per_message(self) -> int:
        """Positions are offset * this + index of the point within its message."""
        return 1 if self.kind == "json" else POINTS_PER_MESSAGE

    @property
    def told(self) -> str:
        """Everything that alters what is made of messages, in words."""
        return (
            f"{self.kind}, fields {', '.join(self.value_fields)}, time {self.time_field or 'of the record'} in "
            f"{self.time_unit}, key {self.key_field or 'of the record'}"
        )


class Decoder(Protocol):
    """Makes batches of the messages of one partition.

    What becomes of a message depends on its own bytes and on `unit` alone, never on how messages are cut into calls.
    """

    def decode(self, messages: Sequence[RawMessage]) -> Batch:
        """The points in them, at least one for each message; what cannot be used is told as a problem."""

    @property
    def unit(self) -> str | None:
        """How event times are written: given, or found out from the first usable record; None before that."""
