"""The fast way for JSON: objects decoded into structs, and the rows of a whole call turned into columns."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline.codec.columns import Record, Unusable, put
from pipeline.codec.formats import LONGEST_KEY, MessageFormat, RawMessage
from pipeline.codec.nesting import is_too_deep, may_be_too_deep
from pipeline.codec.rows import Rows
from pipeline.codec.times import END_MS, iso_us, whole_us
from pipeline.records import POINTS_PER_MESSAGE, Batch

_NO_CODE = _NO_TIME = -1
_BAD = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError)


class _Taken(NamedTuple):
    """What the messages of a call hold.

    Attributes:
        rows: those of the messages that were not declined.
        counts: points of each message.
        records: what became of the other points, by place in the batch.
    """

    rows: list[Any]
    counts: NDArray[np.int64]
    records: dict[int, Record | Unusable]


class FastJson:
    """Decodes messages in which all that is asked for is of its type, or a value and missing; declines all others.

    Args:
        rows: how objects become rows.
        unit: of times; None only where they are not in the content.
        thorough: what becomes of a message that is declined.
    """

    def __init__(
        self,
        layout: MessageFormat,
        rows: Rows,
        unit: str | None,
        thorough: Callable[[RawMessage], list[Record | Unusable]],
    ) -> None:
        self._rows = rows
        self._unit = unit
        self._thorough = thorough
        self._longest = layout.max_message_bytes
        self._per_message = layout.points_per_message
        self._decode = _DECODERS[layout.kind](rows.row)
        self._take = self._take_objects if layout.kind == "json" else self._take_many

    def decode(self, messages: Sequence[RawMessage]) -> Batch:
        """See `pipeline.codec.formats.Decoder.decode`."""
        rows, counts, records = self._take(messages)
        owner = np.repeat(np.arange(len(messages)), counts)  # message of each point
        index = np.arange(len(owner)) - (np.cumsum(counts) - counts)[owner]  # place within it
        at = np.delete(np.arange(len(owner)), list(records))  # place of each row
        names, codes = self._keys(messages, rows, owner[at])
        times = self._times(messages, rows, owner[at])
        bad = at[(codes == _NO_CODE) | (times == _NO_TIME)]
        records |= self._told_thoroughly(messages, owner[bad], index[bad], bad)
        offsets = np.fromiter((message.offset for message in messages), np.int64, len(messages))
        batch = Batch(
            key_names=names,
            key_codes=np.zeros(len(owner), np.int32),
            time_us=np.zeros(len(owner), np.int64),
            values=np.empty((len(owner), len(self._rows.values))),
            position=offsets[owner] * self._per_message + index,
        )
        batch.key_codes[at], batch.time_us[at] = codes, times
        for field, value in enumerate(self._rows.values):
            batch.values[at, field] = list(map(value, rows))
        return put(batch, records)

    def _take_objects(self, messages: Sequence[RawMessage]) -> _Taken:
        rows: list[Any] = []
        records = {}
        decode, longest, add = self._decode, self._longest, rows.append
        for place, message in enumerate(messages):
            content: Any = message.value
            try:
                if len(content) <= longest and not is_too_deep(content):
                    add(decode(content))
                    continue
            except _BAD:
                pass
            records[place] = self._thorough(message)[0]
        return _Taken(rows, np.ones(len(messages), np.int64), records)

    def _take_many(self, messages: Sequence[RawMessage]) -> _Taken:
        rows: list[Any] = []
        counts: list[int] = []
        records: dict[int, Record | Unusable] = {}
        place = 0
        for message in messages:
            found = self._points(message.value)
            if found is None:
                told = self._thorough(message)
                records.update(enumerate(told, place))
                counts.append(len(told))
            else:
                rows += found
                counts.append(len(found))
            place += counts[-1]
        return _Taken(rows, np.array(counts, np.int64), records)

    def _points(self, content: Any) -> list[Any] | None:
        """The rows of a message; None where it is declined."""
        try:
            found: list[Any] | None = self._decode(content) if len(content) <= self._longest else None
        except _BAD:
            return None
        if not found or len(found) > POINTS_PER_MESSAGE:
            return None
        return None if may_be_too_deep(content, len(found)) and is_too_deep(content) else found

    def _told_thoroughly(
        self,
        messages: Sequence[RawMessage],
        owner: NDArray[np.int64],
        index: NDArray[np.int64],
        places: NDArray[np.int64],
    ) -> dict[int, Record | Unusable]:
        """What becomes of single points of messages that were not declined."""
        told = {message: self._thorough(messages[message]) for message in dict.fromkeys(owner.tolist())}
        return {
            place: told[message][at]
            for place, message, at in zip(places.tolist(), owner.tolist(), index.tolist(), strict=True)
        }

    def _keys(
        self, messages: Sequence[RawMessage], rows: list[Any], owner: NDArray[np.int64]
    ) -> tuple[list[str], NDArray[np.int32]]:
        """(names, code of each row; -1 for one that is no key)."""
        names: list[str] = []
        known: dict[Any, int] = {}

        def admit(key: Any) -> int:
            name = key_text(key)
            if name:
                names.append(name)
            known[key] = code = len(names) - 1 if name else _NO_CODE
            return code

        told = self._rows.key
        keys = [message.key for message in messages] if told is None else list(map(told, rows))
        codes = np.array([admit(key) if (code := known.get(key)) is None else code for key in keys], np.int32)
        return names, codes[owner] if told is None else codes

    def _times(self, messages: Sequence[RawMessage], rows: list[Any], owner: NDArray[np.int64]) -> NDArray[np.int64]:
        """Event time of each row; -1 for none."""
        told = self._rows.time
        if told is None:
            own = np.fromiter((message.timestamp for message in messages), np.int64, len(messages))[owner]
            return np.where((own >= 0) & (own < END_MS), own * 1000, _NO_TIME)
        if self._unit != "iso":
            return whole_us(np.array(list(map(told, rows)), np.int64), str(self._unit))
        return iso_us(list(map(told, rows)))


def key_text(key: Any) -> str:
    """The text of a key; '' for one that is none."""
    if isinstance(key, int):
        return str(key)
    if not key:
        return ""
    try:
        text: str = key if isinstance(key, str) else key.decode()
    except UnicodeDecodeError:
        return ""
    return text if len(text) <= LONGEST_KEY else ""


def _lines(row: type[msgspec.Struct]) -> Callable[[bytes], list[Any] | None]:
    """Decodes an object in every line.

    msgspec takes objects that go over several lines or share one, too; so it is told from where the ends of lines are.
    Between `}` and `{` an end of a line can only be between two objects. If all ends of lines are such, and one less
    than there are objects, then each object has its line.
    """
    decode = msgspec.json.Decoder(row).decode_lines

    def points(content: bytes) -> list[Any] | None:
        found = decode(content)
        ends = content.count(b"\n") - content.endswith(b"\n")
        is_one_each = content.count(b"}\n{") == ends == len(found) - 1 and b"\r" not in content
        return found if is_one_each else None

    return points


_DECODERS: dict[str, Callable[[type[msgspec.Struct]], Callable[[bytes], Any]]] = {
    "json": lambda row: msgspec.json.Decoder(row).decode,
    "json-array": lambda row: msgspec.json.Decoder(list[row]).decode,  # type: ignore[valid-type]
    "json-lines": _lines,
}
