"""The fast way for messages that are flat JSON objects: decoded into structs, and a whole call turned into columns."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.codec.columns import Record, Unusable
from pipeline.codec.formats import LONGEST_KEY, MessageFormat, RawMessage
from pipeline.codec.times import LATEST_MS, TimeError, range_of, time_us
from pipeline.records import Batch, Problem

_LARGEST = 2**63 - 1
_NO_CODE = -1
_MICROSECONDS = {"s": 10**6, "ms": 10**3, "us": 1}
_BAD = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError)


def is_flat(layout: MessageFormat) -> bool:
    """Whether no field is named by a path, and none twice."""
    given = [name for name in (*layout.value_fields, layout.time_field, layout.key_field) if name]
    return not any("." in name for name in given) and len(set(given)) == len(given)


class FastObjects:
    """Decodes objects in which every field is there and of the right type; declines all others.

    Args:
        layout: flat.
        unit: of times.
        detected: whether the unit was found out from a record.
        thorough: what becomes of a message that is declined.
    """

    def __init__(
        self,
        layout: MessageFormat,
        unit: str,
        *,
        detected: bool,
        thorough: Callable[[RawMessage], Record | Unusable],
    ) -> None:
        self._width = len(layout.value_fields)
        self._longest = layout.max_message_bytes
        self._with_time, self._with_key = layout.time_field is not None, layout.key_field is not None
        self._unit = unit
        self._detected = detected
        self._thorough = thorough
        fields: list[tuple[str, Any]] = [(f"v{index}", float) for index in range(self._width)]
        names = {f"v{index}": name for index, name in enumerate(layout.value_fields)}
        blank: dict[str, Any] = dict.fromkeys(names, np.nan)
        if layout.time_field is not None:
            fields.append(("t", self._type_of_times()))
            names["t"], blank["t"] = layout.time_field, "" if unit == "iso" else 0
        if layout.key_field is not None:
            fields.append(("k", str))
            names["k"], blank["k"] = layout.key_field, ""
        row = msgspec.defstruct("Row", fields, rename=names, gc=False)
        self._decode = msgspec.json.Decoder(row).decode
        self._blank = row(**blank)

    def _type_of_times(self) -> Any:
        """Numbers outside of the unit's range are declined; so are all below 0, which are rare."""
        if self._unit == "iso":
            return str
        least, limit = range_of(self._unit, detected=self._detected)
        return Annotated[int, msgspec.Meta(ge=max(least, 0), le=min(limit - 1, _LARGEST))]

    def decode(self, messages: Sequence[RawMessage]) -> Batch:
        """See `pipeline.codec.formats.Decoder.decode`."""
        rows, declined = self._rows(messages)
        names, codes = self._keys(messages, rows)
        times = self._times(messages, rows, declined)
        values = np.empty((len(rows), self._width))
        for field in range(self._width):
            name = f"v{field}"
            values[:, field] = [getattr(row, name) for row in rows]
        declined.update(np.flatnonzero(codes == _NO_CODE).tolist())
        problems: list[Problem] = []
        for index in sorted(declined):
            record = self._thorough(messages[index])
            if isinstance(record, Unusable):
                problems.append(Problem(index, -1, record.reason, record.found))
                record = Record("", 0, [np.nan] * self._width, ())
            problems += [Problem(index, *problem) for problem in record.problems]
            names.append(record.key)
            codes[index], times[index], values[index] = len(names) - 1, record.time_us, record.values
        position = np.fromiter((message.offset for message in messages), np.int64, len(rows))
        key_names, key_codes = _distinct(names, codes)
        return Batch(key_names, key_codes, times, values, position, tuple(problems))

    def _rows(self, messages: Sequence[RawMessage]) -> tuple[list[Any], set[int]]:
        """(a struct for each message, indices of those that are declined)."""
        rows: list[Any] = []
        declined = set()
        decode, longest, add = self._decode, self._longest, rows.append
        for message in messages:
            content: Any = message.value
            try:
                row = decode(content) if len(content) <= longest else None
            except _BAD:
                row = None
            if row is None:
                declined.add(len(rows))
                row = self._blank
            add(row)
        return rows, declined

    def _keys(self, messages: Sequence[RawMessage], rows: list[Any]) -> tuple[list[str], NDArray[np.int32]]:
        """(names, code of each; -1 for one that is no key)."""
        names: list[str] = []
        known: dict[Any, int] = {}

        def admit(key: Any) -> int:
            name = _as_text(key)
            if name:
                names.append(name)
            known[key] = code = len(names) - 1 if name else _NO_CODE
            return code

        keys = [row.k for row in rows] if self._with_key else [message.key for message in messages]
        codes = [admit(key) if (code := known.get(key)) is None else code for key in keys]
        return names, np.array(codes, np.int32)

    def _times(self, messages: Sequence[RawMessage], rows: list[Any], declined: set[int]) -> NDArray[np.int64]:
        """Event times; those that are none are declined."""
        if not self._with_time:
            own = np.fromiter((message.timestamp for message in messages), np.int64, len(rows))
            declined.update(np.flatnonzero((own < 0) | (own >= LATEST_MS)).tolist())
            return own * 1000
        if self._unit == "iso":
            return np.fromiter((self._iso(row.t, n, declined) for n, row in enumerate(rows)), np.int64, len(rows))
        times = np.array([row.t for row in rows], np.int64)
        return times // 1000 if self._unit == "ns" else times * _MICROSECONDS[self._unit]

    def _iso(self, text: str, index: int, declined: set[int]) -> int:
        try:
            return time_us(text, "iso", detected=self._detected)
        except (TimeError, OverflowError):
            declined.add(index)
            return 0


def _as_text(key: Any) -> str:
    """A key's text; '' for one that is none."""
    if not key:
        return ""
    try:
        text: str = key if isinstance(key, str) else key.decode()
    except UnicodeDecodeError:
        return ""
    return text if len(text) <= LONGEST_KEY else ""


def _distinct(names: list[str], codes: NDArray[np.int32]) -> tuple[list[str], NDArray[np.int32]]:
    """Each name once, with the codes of it."""
    place = {name: at for at, name in enumerate(dict.fromkeys(names))}
    if len(place) == len(names):
        return names, codes
    return list(place), np.array([place[name] for name in names], np.int32)[codes]
