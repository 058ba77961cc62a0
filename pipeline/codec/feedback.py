"""Feedback as JSON: the messages of its topic, and the lines of a file."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec

from pipeline.codec.times import END_US, TimeError, time_us
from pipeline.feedback import OPEN_US, Feedback, Kind, Ranges

LARGEST = 2**16
"""Bytes of a message; longer ones are none."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
_Text = Annotated[str, msgspec.Meta(max_length=4000)]


class FeedbackMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """A message of the feedback topic, and a line of a file; times are ISO 8601, without a zone in UTC.

    Attributes:
        schema: version of this layout.
        id: of the feedback, and key of the message; a later one of the same id takes its place.
        kind: false_alarm, maintenance or true_anomaly.
        key: of the streams, exactly; null for what `keys` says.
        keys: pattern of keys; null, beside no key, for all.
        field: name of the value, '*' for all together; null for every one.
        from_, to: range of event time, both within; no end yet where that is null.
        note, by, at: why, by whom, and when.
    """

    schema: Literal[1] = 1
    id: _Name
    kind: Kind
    key: _Name | None = None
    keys: _Name | None = None
    field: _Name | None = None
    from_: str
    to: str | None
    note: _Text = ""
    by: _Text = ""
    at: _Text = ""


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That feedback holds no longer, in a file; in the topic a message without content says so too."""

    id: _Name
    withdrawn: Literal[True]


def encode_feedback(feedback: Feedback) -> bytes:
    """As a message, or as a line without its end."""
    return msgspec.json.encode(
        FeedbackMessage(
            id=feedback.id,
            kind=feedback.kind,
            key=feedback.key,
            keys=feedback.keys,
            field=feedback.field,
            from_=_iso(feedback.from_us),
            to=None if feedback.to_us == OPEN_US else _iso(feedback.to_us),
            note=feedback.note,
            by=feedback.by,
            at=feedback.at,
        )
    )


def encode_withdrawal(feedback_id: str) -> bytes:
    """As a line without its end."""
    return msgspec.json.encode(Withdrawal(id=feedback_id, withdrawn=True))


def decode_feedback(content: bytes) -> Feedback | Withdrawal:
    """What a message or line says.

    Raises:
        ValueError: it is none; the message says what was found and what was expected.
    """
    if len(content) > LARGEST:
        raise ValueError(f"found {len(content)} bytes; expected at most {LARGEST}")
    try:
        plain = msgspec.json.decode(content)
        if isinstance(plain, dict) and "withdrawn" in plain:
            return msgspec.convert(plain, Withdrawal)
        told = msgspec.convert(plain, FeedbackMessage)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise ValueError(f"found no feedback ({exc}); expected what feedback-1.json says") from exc
    if told.key is not None and told.keys is not None:
        raise ValueError("found both key and keys; expected one of them, or neither for all keys")
    from_us = _time("from", told.from_)
    to_us = OPEN_US if told.to is None else _time("to", told.to)
    if to_us < from_us:
        raise ValueError(f"found an end, {told.to}, before the start, {told.from_}; expected start, then end")
    return Feedback(
        id=told.id, kind=told.kind, key=told.key, keys=told.keys, field=told.field, from_us=from_us, to_us=to_us,
        note=told.note, by=told.by, at=told.at,
    )  # fmt: skip


class FeedbackLog:
    """What messages have said so far, the later in the place of the earlier of the same id."""

    def __init__(self) -> None:
        self._said: dict[str, Feedback] = {}

    def take(self, key: bytes | None, content: bytes | None) -> None:
        """Take the next message of a topic.

        Raises:
            ValueError: nothing can be made of it, and nothing is changed; see `decode_feedback`.
        """
        if key is None:
            raise ValueError("found a message without key; expected the id of its feedback: compaction goes by it")
        if content is None:
            self._said.pop(key.decode(errors="replace"), None)
            return
        said = decode_feedback(content)
        if said.id.encode() != key:
            raise ValueError(f"found the key {key.decode(errors='replace')!r}; expected the id, {said.id!r}")
        self._keep(said)

    def take_line(self, line: bytes) -> None:
        """Take the next line of a file.

        Raises:
            ValueError: as `take`.
        """
        self._keep(decode_feedback(line))

    def ranges(self) -> Ranges:
        """All that holds now."""
        return Ranges(self._said.values())

    def _keep(self, said: Feedback | Withdrawal) -> None:
        if isinstance(said, Withdrawal):
            self._said.pop(said.id, None)
        else:
            self._said[said.id] = said


def _time(name: str, text: str) -> int:
    try:
        return time_us(text, "iso", detected=False)
    except (TimeError, OverflowError) as exc:
        raise ValueError(f"found {name} {text!r}; expected a time in ISO 8601 between 1970 and 2261") from exc


def _iso(time: int) -> str:
    return (_EPOCH + timedelta(microseconds=min(time, END_US))).isoformat().replace("+00:00", "Z")
