"""Feedback as messages and lines."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.codec.feedback import (
    LARGEST,
    FeedbackLog,
    FeedbackMessage,
    Withdrawal,
    decode_feedback,
    encode_feedback,
    encode_withdrawal,
)
from pipeline.codec.times import END_US
from pipeline.feedback import KINDS, OPEN_US, Feedback

SCHEMA = Path(__file__).parents[3] / "docs" / "schemas" / "feedback-1.json"
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
PLAIN = {"id": "a", "kind": "maintenance", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}


@st.composite
def said(draw: st.DrawFn) -> Feedback:
    """Any that can be said."""
    start = draw(st.integers(0, END_US - 1))
    about = draw(st.sampled_from(["key", "keys", "all"]))
    return Feedback(
        id=draw(NAMES),
        kind=draw(st.sampled_from(KINDS)),
        key=draw(NAMES) if about == "key" else None,
        keys=draw(NAMES) if about == "keys" else None,
        field=draw(st.none() | NAMES),
        from_us=start,
        to_us=draw(st.integers(start, END_US - 1) | st.just(OPEN_US)),
        note=draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=50)),
        by=draw(st.just("") | NAMES),
        at=draw(st.just("") | NAMES),
    )


@given(said())
def test_what_is_written_is_read(one: Feedback) -> None:
    """Whatever is said comes back as it was, by way of a topic and by way of a file."""
    assert decode_feedback(encode_feedback(one)) == one
    log = FeedbackLog()
    log.take(one.id.encode(), encode_feedback(one))
    assert list(log.ranges()) == [one]
    log.take(one.id.encode(), None)
    assert not list(log.ranges())
    log.take_line(encode_feedback(one))
    assert list(log.ranges()) == [one]
    log.take_line(encode_withdrawal(one.id))
    assert not list(log.ranges())


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "kind", "key", "keys", "from", "to", "withdrawn", "more"]), inner, max_size=6
    ),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_rubbish_is_refused_and_changes_nothing(content: bytes) -> None:
    """Of any bytes it is told what was found and expected; what was said before still holds."""
    log = FeedbackLog()
    log.take(b"a", json.dumps(PLAIN).encode())
    before = list(log.ranges())
    with pytest.raises(ValueError, match=r"(?s)^found .*; expected "):
        log.take(b"never", content)
    assert list(log.ranges()) == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "nuisance"}, "Invalid enum value 'nuisance'"),
        ({"feild": "flow"}, "unknown field `feild`"),
        ({"to": "2025-12-31T00:00:00Z"}, "an end, 2025-12-31T00:00:00Z, before the start"),
        ({"from": "yesterday"}, "found from 'yesterday'; expected a time in ISO 8601"),
        ({"key": "a", "keys": "b*"}, "found both key and keys"),
        ({"id": ""}, "length >= 1"),
        ({"schema": 2}, "schema"),
        ({"note": "x" * LARGEST}, f"expected at most {LARGEST}"),
        ({"withdrawn": True}, "unknown field `kind`"),
    ],
)
def test_what_is_wrong_is_told(change: dict[str, object], told: str) -> None:
    """A key that is misspelt, a range that is none, and the like, are refused with what is wrong."""
    with pytest.raises(ValueError, match="expected") as raised:
        decode_feedback(json.dumps(PLAIN | change).encode())
    assert told in str(raised.value)


def test_an_end_must_be_said() -> None:
    """A range without an end is said by null, not by leaving it out."""
    with pytest.raises(ValueError, match="missing required field `to`"):
        decode_feedback(json.dumps({key: value for key, value in PLAIN.items() if key != "to"}).encode())
    found = decode_feedback(json.dumps(PLAIN | {"to": None}).encode())
    assert isinstance(found, Feedback)
    assert found.to_us == OPEN_US


def test_the_key_of_a_message_is_the_id() -> None:
    """Compaction goes by the key, so a message with another one, or with none, is refused."""
    log = FeedbackLog()
    with pytest.raises(ValueError, match="found the key 'b'; expected the id, 'a'"):
        log.take(b"b", json.dumps(PLAIN).encode())
    with pytest.raises(ValueError, match="found a message without key"):
        log.take(None, json.dumps(PLAIN).encode())
    log.take(b"a", json.dumps(PLAIN | {"note": "first"}).encode())
    log.take(b"a", json.dumps(PLAIN | {"note": "second"}).encode())
    assert [one.note for one in log.ranges()] == ["second"]
    assert decode_feedback(b'{"id": "a", "withdrawn": true}') == Withdrawal(id="a", withdrawn=True)


def test_the_published_schema_is_that_of_the_code() -> None:
    """docs/schemas/feedback-1.json tells every field of a message, with its type and limits, and no other."""
    schema = json.loads(SCHEMA.read_text())
    told = msgspec.json.schema(FeedbackMessage)["$defs"]["FeedbackMessage"]
    assert schema["required"] == told["required"]
    assert schema["additionalProperties"] is False
    assert schema["properties"].keys() == told["properties"].keys()
    for name, kind in told["properties"].items():
        kind.pop("default", None)
        assert schema["properties"][name].pop("description")
        assert schema["properties"][name] == kind
