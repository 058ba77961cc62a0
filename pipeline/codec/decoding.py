"""Decoders: messages to batches, by a fast way for what is as it should be and a thorough one for all else.

Both give the same for the same message; the fast one declines whatever it is not sure of.
"""

from collections.abc import Sequence

from pipeline.codec.arrow import ThoroughArrow
from pipeline.codec.columns import Columns, join
from pipeline.codec.fast import FastJson
from pipeline.codec.fast_arrow import FastArrow
from pipeline.codec.formats import Decoder, MessageFormat, RawMessage
from pipeline.codec.rows import has_rows, make_rows
from pipeline.codec.thorough import Thorough, ThoroughArrays, ThoroughLines, ThoroughObjects
from pipeline.records import Batch


def make_decoder(layout: MessageFormat, unit: str | None = None) -> Decoder:
    """A decoder for one partition.

    Args:
        unit: as an earlier decoder of the partition had it; None for a partition that begins.
    """
    if layout.kind == "arrow":
        return ArrowDecoder(layout, unit)
    return JsonDecoder(layout, unit)


class JsonDecoder:
    """Goes the fast way as soon as the unit of times is known, if the fields allow it."""

    def __init__(self, layout: MessageFormat, unit: str | None) -> None:
        self.layout = layout
        self.thorough = _THOROUGH[layout.kind](layout, unit)
        self._has_fast = has_rows(layout)
        self._fast: FastJson | None = None

    @property
    def unit(self) -> str | None:
        """See `pipeline.codec.formats.Decoder`."""
        return self.thorough.unit

    def decode(self, messages: Sequence[RawMessage]) -> Batch:
        """See `pipeline.codec.formats.Decoder`."""
        if self._fast is None:
            self._fast = self._make_fast()
        if self._fast is not None:
            return self._fast.decode(messages)
        columns = Columns(len(self.layout.value_fields))
        for count, message in enumerate(messages):
            if self._has_fast and self.unit is not None:
                return join([columns.batch(), self.decode(messages[count:])])
            columns.add_all(message.offset * self.layout.points_per_message, self.thorough.records(message))
        return columns.batch()

    def _make_fast(self) -> FastJson | None:
        if not self._has_fast or (self.layout.time_field is not None and self.unit is None):
            return None
        rows = make_rows(self.layout, self.unit, detected=self.thorough.detects)
        return FastJson(self.layout, rows, self.unit, self.thorough.records)


class ArrowDecoder:
    """Goes the fast way with each message that allows it."""

    def __init__(self, layout: MessageFormat, unit: str | None) -> None:
        self.thorough = ThoroughArrow(layout, unit)
        self.decode = FastArrow(layout, self.thorough).decode

    @property
    def unit(self) -> str | None:
        """See `pipeline.codec.formats.Decoder`."""
        return self.thorough.unit


_THOROUGH: dict[str, type[Thorough]] = {
    "json": ThoroughObjects,
    "json-array": ThoroughArrays,
    "json-lines": ThoroughLines,
}
