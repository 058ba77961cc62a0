import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.codec.decoding import make_decoder
from pipeline.codec.encoding import Encoding, encode_points
from pipeline.codec.formats import FormatName, MessageFormat, UnitName
from pipeline.records import POINTS_PER_MESSAGE, Batch
from pipeline.windows.points import TIME_END_US

LAYOUT = MessageFormat(value_fields=("value", "heat"), time_field="time")
TIME_MS = 1_700_000_000_123
KINDS: tuple[FormatName, ...] = ("json", "json-array", "json-lines", "arrow")


@dataclass(frozen=True)
class Raw:
    """A message."""

    value: bytes | None
    key: bytes | None = b"pump"
    offset: int = 7
    timestamp: int = 1_700_000_000_000


def decode(content: Any, layout: MessageFormat = LAYOUT, **message: Any) -> Batch:
    """Of one message."""
    value = content if isinstance(content, bytes) or content is None else json.dumps(content).encode()
    return make_decoder(layout).decode([Raw(value, **message)])


def stream(table: Any, rows_at_once: int = 2**30) -> bytes:
    """An Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, rows_at_once)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def write(kind: FormatName, objects: list[dict[str, Any]]) -> bytes:
    """A message with these objects."""
    if kind == "arrow":
        return stream(pa.Table.from_pylist(objects))
    if kind == "json-array":
        return json.dumps(objects).encode()
    return "\n".join(map(json.dumps, objects)).encode()


def told(batch: Batch) -> list[tuple[int, str]]:
    """(field, reason) of each problem."""
    return [(problem.field, problem.reason) for problem in batch.problems]


def rows(batch: Batch) -> list[tuple[Any, ...]]:
    """Everything that is told of each record, by value."""
    problems = {problem.index: [] for problem in batch.problems}  # type: ignore[var-annotated]
    for problem in batch.problems:
        problems[problem.index].append((problem.field, problem.reason, problem.found))
    return [
        (
            batch.key_names[batch.key_codes[n]],
            int(batch.time_us[n]),
            batch.values[n].tobytes(),
            int(batch.position[n]),
            problems.get(n, []),
        )
        for n in range(len(batch))
    ]


def test_an_object_is_a_point() -> None:
    """Key and offset are the message's, time and values those in it."""
    batch = decode({"time": TIME_MS, "value": 1, "heat": -2.5})
    assert (batch.key_names, batch.time_us.tolist(), batch.position.tolist()) == (["pump"], [TIME_MS * 1000], [7])
    assert batch.values.tolist() == [[1.0, -2.5]]
    assert batch.problems == ()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "empty"), (b"", "empty"), (b"\xff\xfe", "malformed"), (b'{"time": 17', "malformed"),
        (b"[" * 100_000, "malformed"), (b'{"a":' * 100_000, "malformed"), (b'{"time": 1, "value": NaN}', "malformed"),
        (b'{"value": 1e999, "time": 1}', "malformed"), (b"17", "malformed"), (b"null", "malformed"),
        (b"[]", "malformed"),
        ({"time": "yesterday", "value": 1}, "bad_time"), ({"value": 1}, "bad_time"), ({"time": True}, "bad_time"),
        ({"time": 12, "value": 1}, "bad_time"), ({"time": [1], "value": 1}, "bad_time"),
        (b'{"time": 1' + b"0" * 400 + b', "value": 1}', "bad_time"),
    ],
)  # fmt: skip
def test_what_is_no_point_is_told(content: Any, reason: str) -> None:
    """A message that nothing can be made of is one record, with the reason and what was found, shortened."""
    batch = decode(content)
    assert told(batch) == [(-1, reason)]
    assert np.isnan(batch.values).all()
    assert len(batch.problems[0].found) <= 80
    assert batch.problems[0].found.isprintable()


@pytest.mark.parametrize("value", ["high", True, [1], {"a": 1}, "12"])
def test_what_is_no_number_is_told(value: Any) -> None:
    """A value of another type is missing, with its reason; the others count."""
    batch = decode({"time": TIME_MS, "value": value, "heat": 3})
    assert told(batch) == [(0, "not_a_number")]
    assert np.array_equal(batch.values, [[np.nan, 3.0]], equal_nan=True)


def test_missing_values_are_no_problem() -> None:
    """Null and absent are missing."""
    batch = decode({"time": TIME_MS, "value": None})
    assert told(batch) == []
    assert np.isnan(batch.values).all()


@pytest.mark.parametrize(
    ("key", "layout", "found"),
    [
        (b"\xff", LAYOUT, None), (None, LAYOUT, None), (b"", LAYOUT, None),
        (b"x", MessageFormat(time_field="time", key_field="host"), "h1"),
        (None, MessageFormat(time_field="time", key_field="id"), "12"),
        (None, MessageFormat(time_field="time", key_field="flag"), None),
        (None, MessageFormat(time_field="time", key_field="none"), None),
    ],
)  # fmt: skip
def test_keys(key: bytes | None, layout: MessageFormat, found: str | None) -> None:
    """A key is the message's own text, or text or a whole number in it; anything else is told."""
    batch = decode({"time": TIME_MS, "value": 1, "host": "h1", "id": 12, "flag": True}, layout, key=key)
    assert told(batch) == ([] if found else [(-1, "bad_key")])
    if found:
        assert batch.key_names == [found]


def test_too_long_messages_are_not_decoded() -> None:
    """A message longer than it may be is told with its length."""
    layout = MessageFormat(time_field="time", max_message_bytes=20)
    batch = decode({"time": TIME_MS, "value": 1}, layout)
    assert told(batch) == [(-1, "too_large")]


def test_dotted_names_lead_into_objects_unless_a_field_bears_them() -> None:
    """'a.b' is the field of that very name, or b within a."""
    layout = MessageFormat(value_fields=("a.b",), time_field="at.ms")
    assert decode({"at": {"ms": TIME_MS}, "a": {"b": 5}}, layout).values.tolist() == [[5.0]]
    assert decode({"at.ms": TIME_MS, "a.b": 6, "a": {"b": 5}}, layout).values.tolist() == [[6.0]]
    assert np.isnan(decode({"at": {"ms": TIME_MS}, "a": 3}, layout).values).all()


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (TIME_MS // 1000, "s"), (TIME_MS, "ms"), (TIME_MS * 1000, "us"), (TIME_MS * 10**6, "ns"),
        (str(TIME_MS), "ms"), ("2023-11-14T22:13:20.123Z", "iso"), ("2023-11-14 22:13:20.123", "iso"),
        ("2023-11-15T00:13:20.123000999+02:00", "iso"), ("2023-11-14 22:13:20.123 UTC", "iso"),
    ],
)  # fmt: skip
def test_units_of_time_are_found_out_once_and_then_checked(value: Any, unit: str) -> None:
    """The first usable record tells the unit; a later time of another size or kind is told as none."""
    decoder = make_decoder(LAYOUT)
    first = decoder.decode([Raw(json.dumps({"time": value, "value": 1}).encode())])
    expected = TIME_MS * 1000 if unit != "s" else TIME_MS // 1000 * 10**6
    assert first.time_us.tolist() == [expected]
    assert decoder.unit == unit
    other: Any = "2023-11-14T22:13:20Z" if unit != "iso" else TIME_MS
    assert told(decoder.decode([Raw(json.dumps({"time": other, "value": 1}).encode())])) == [(-1, "bad_time")]
    again = make_decoder(LAYOUT, decoder.unit)
    assert again.decode([Raw(json.dumps({"time": value, "value": 1}).encode())]).time_us.tolist() == [expected]


def test_unusable_records_do_not_tell_the_unit() -> None:
    """A record without a number in it may have any time; the next one tells."""
    decoder = make_decoder(LAYOUT)
    decoder.decode([Raw(json.dumps({"time": TIME_MS * 1000, "value": "x"}).encode())])
    assert decoder.unit is None


def test_without_a_time_field_the_message_tells_the_time() -> None:
    """The message's own time counts, and one without is told."""
    assert decode({"value": 1}, MessageFormat()).time_us.tolist() == [1_700_000_000_000_000]
    assert told(decode({"value": 1}, MessageFormat(), timestamp=-1)) == [(-1, "bad_time")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", ["iso", "s", "ms", "us", "ns"])
def test_what_is_encoded_comes_back(kind: FormatName, unit: UnitName) -> None:
    """Every format and unit gives keys, times and values as they were, missing ones too."""
    rng = np.random.default_rng(7)
    keys = [f"k{n // 5 % 3}" for n in range(60)]
    time_us = 1_700_000_000_000_000 + np.arange(60) * 1_000_000
    values = rng.normal(size=(60, 2))
    values[7, 1] = np.nan
    encoding = Encoding(kind, ("value", "heat"), key_field="key", time_unit=unit, points=4)
    messages = [
        Raw(content, None, offset)
        for offset, (_, content, _) in enumerate(encode_points(encoding, keys, time_us, values))
    ]
    batch = make_decoder(MessageFormat(kind, ("value", "heat"), "time", "key", unit)).decode(messages)
    assert [batch.key_names[code] for code in batch.key_codes] == keys
    assert batch.time_us.tolist() == time_us.tolist()
    assert np.array_equal(batch.values, values, equal_nan=True)
    assert (np.diff(batch.position) > 0).all()
    if kind != "json":
        assert batch.position[5] == 2 * POINTS_PER_MESSAGE  # the second key begins a message of its own


@pytest.mark.parametrize("kind", ["json-array", "json-lines"])
def test_a_bad_point_spoils_only_itself(kind: FormatName) -> None:
    """Points beside an unusable one in the same message count."""
    good = json.dumps({"time": TIME_MS, "value": 1})
    parts = [good, '"text"', good]
    content = ("\n".join(parts) if kind == "json-lines" else f"[{','.join(parts)}]").encode()
    batch = decode(content, MessageFormat(kind, time_field="time"))
    assert told(batch) == [(-1, "malformed")]
    assert (batch.problems[0].index, len(batch)) == (1, 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("told_unit", [True, False])
@pytest.mark.parametrize(
    ("time", "unit"),
    [
        (-1, "s"), (-TIME_MS, "ms"), (-1, "us"), (-1, "ns"), (-0.0001, "ms"), (str(-TIME_MS), "ms"),
        ("1969-12-31T23:59:59.999999Z", "iso"), ("1970-01-01T00:00:00+00:01", "iso"),
        (TIME_END_US // 10**6, "s"), (TIME_END_US // 1000, "ms"), (TIME_END_US, "us"), (TIME_END_US * 1000, "ns"),
        ("2262-01-01T00:00:00Z", "iso"), ("2262-01-01", "iso"),
    ],
)  # fmt: skip
def test_times_that_the_engine_does_not_take_are_none(
    kind: FormatName, time: Any, unit: UnitName, *, told_unit: bool
) -> None:
    """Before 1970 and from 2262 on is a bad time, whether the unit is given or to be found out."""
    layout = MessageFormat(kind, time_field="time", time_unit=unit if told_unit else "auto")
    decoder = make_decoder(layout)
    assert told(decoder.decode([Raw(write(kind, [{"time": time, "value": 1}]))])) == [(-1, "bad_time")]
    assert decoder.unit == (unit if told_unit else None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("time", "unit", "time_us"),
    [
        (0, "s", 0), (0, "ms", 0), (999, "ns", 0), ("1970-01-01T00:00:00Z", "iso", 0),
        (TIME_END_US // 1000 - 1, "ms", TIME_END_US - 1000), (TIME_END_US * 1000 - 1, "ns", TIME_END_US - 1),
        ("2261-12-31T23:59:59.999999Z", "iso", TIME_END_US - 1),
    ],
)  # fmt: skip
def test_the_first_and_the_last_time(kind: FormatName, time: Any, unit: UnitName, time_us: int) -> None:
    """The whole range that the engine takes is told as it is."""
    batch = decode(write(kind, [{"time": time, "value": 1}]), MessageFormat(kind, time_field="time", time_unit=unit))
    assert (batch.problems, batch.time_us.tolist()) == ((), [time_us])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_asked_for_twice_or_in_parts_is_given(kind: FormatName) -> None:
    """A field may be value and key at once, or hold another that is asked for; each is told as it would be alone."""
    layout = MessageFormat(kind, ("a.b", "id", "a"), None, "id")
    batch = decode(write(kind, [{"a": {"b": 2}, "id": 5}]), layout)
    assert batch.key_names == ["5"]
    assert np.array_equal(batch.values, [[2.0, 5.0, np.nan]], equal_nan=True)
    assert told(batch) == [(2, "not_a_number")]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("json", b'{"x": 1e999, "y": "\xff", "time": %d, "value": 1}'),
        ("json-array", b'[{"x": 1e999, "y": "\xff", "time": %d, "value": 1}]'),
        ("json-lines", b'{"x": 1e999, "y": "\xff", "time": %d, "value": 1}\n'),
    ],
)
def test_what_is_not_asked_for_is_ignored(kind: FormatName, content: bytes) -> None:
    """A field of any content beside those asked for spoils nothing, before the unit is known and after."""
    decoder = make_decoder(MessageFormat(kind, time_field="time"))
    batch = decoder.decode([Raw(content % TIME_MS)])
    assert (batch.problems, batch.values.tolist()) == ((), [[1.0]])
    assert decoder.unit == "ms"
    assert rows(decoder.decode([Raw(content % TIME_MS)])) == rows(batch)


@pytest.mark.parametrize("kind", ["json-array", "json-lines", "arrow"])
@pytest.mark.parametrize("unit", [None, "ms"])
def test_too_many_points_are_told(kind: FormatName, unit: str | None) -> None:
    """A message with more points than it may have is told as one record."""
    count = POINTS_PER_MESSAGE + 1
    contents = {"json-array": b"[" + b",".join([b"{}"] * count) + b"]", "json-lines": b"{}\n" * count}
    content = contents.get(kind) or stream(pa.table({"value": np.zeros(count, np.int8)}))
    decoder = make_decoder(MessageFormat(kind), unit)
    assert told(decoder.decode([Raw(content)])) == [(-1, "too_many_points")]


@pytest.mark.parametrize(
    "times",
    [
        pa.array([1], pa.time64("us")), pa.array([None], pa.timestamp("us")), pa.array([-1], pa.timestamp("s")),
        pa.array([True]), pa.array([1.5]), pa.array([b"x"]),
    ],
)  # fmt: skip
def test_columns_that_hold_no_times_are_told(times: Any) -> None:
    """A column of another type, or without a time in a row, is a bad time and nothing worse."""
    content = stream(pa.table({"time": times, "value": [1.5]}))
    assert told(decode(content, MessageFormat("arrow", time_field="time"))) == [(-1, "bad_time")]


def test_typed_times_of_arrow_are_times() -> None:
    """A column of timestamps needs no unit."""
    content = stream(pa.table({"time": pa.array([datetime(2023, 11, 14, tzinfo=UTC)]), "value": [1.5]}))
    batch = decode(content, MessageFormat("arrow", time_field="time"))
    assert batch.time_us.tolist() == [1_699_920_000_000_000]


_values = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.lists(st.integers(), max_size=2)
)
_objects = st.dictionaries(st.sampled_from(["time", "value", "heat", "x"]), _values, max_size=4)
_usable = st.fixed_dictionaries(
    {"time": st.integers(TIME_MS, TIME_MS + 10**6), "value": st.floats(allow_nan=False, allow_infinity=False)}
)
_contents = (
    st.binary(max_size=40)
    | _objects.map(lambda one: json.dumps(one).encode())
    | _usable.map(lambda one: json.dumps(one).encode())
    | st.lists(_usable, max_size=4).map(lambda one: json.dumps(one).encode())
)


@pytest.mark.parametrize("kind", KINDS)
@given(contents=st.lists(_contents, max_size=12), cut=st.integers(0, 12))
def test_any_bytes_give_the_same_however_they_are_cut(kind: FormatName, contents: list[bytes], cut: int) -> None:
    """Nothing raises; every message gives a record at least; and calls may be cut anywhere."""
    messages = [Raw(content, offset=offset) for offset, content in enumerate(contents)]
    layout = MessageFormat(kind, ("value", "heat"), "time")
    whole = make_decoder(layout).decode(messages)
    decoder = make_decoder(layout)
    parts = [decoder.decode(messages[:cut]), decoder.decode(messages[cut:])]
    assert [row for part in parts for row in rows(part)] == rows(whole)
    assert set((whole.position // layout.points_per_message).tolist()) == set(range(len(messages)))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Raw(b'{"time": "' + b"1" * 5000 + b'", "value": 1, "host": "a"}'), "bad_time"),
        (Raw(b'{"time": 1700000000123, "value": ' + b"9" * 5000 + b"}"), "malformed"),
        (Raw(b'{"time": 1700000000123, "value": 1, "host": ' + b"9" * 5000 + b"}"), "malformed"),
        (Raw(b'{"time": 1700000000123, "value": 1, "host": "\\ud800"}'), "malformed"),
        (Raw(b'{"time": "9999-12-31T23:59:59-14:00", "value": 1, "host": "a"}'), "bad_time"),
        (Raw(b'{"time": "0001-01-01T00:00:00+14:00", "value": 1, "host": "a"}'), "bad_time"),
    ],
)
@pytest.mark.parametrize("kind", ["json", "json-lines"])
def test_monstrous_fields_are_told(message: Raw, reason: str | None, kind: FormatName) -> None:
    """What is too large for Python's own conversions is told like any other garbage."""
    batch = make_decoder(MessageFormat(kind, ("value",), "time", "host")).decode([message])
    assert [why for _, why in told(batch)] == ([reason] if reason else [])


@pytest.mark.parametrize("timestamp", [TIME_END_US // 1000, 10**14, 2**62, 2**63 - 1])
@pytest.mark.parametrize("unit", [None, "ms"])
def test_a_time_of_a_message_that_is_far_off_is_told(timestamp: int, unit: str | None) -> None:
    """A producer may set any time; what is beyond the year 2261 is none."""
    decoder = make_decoder(MessageFormat(), unit)
    assert told(decoder.decode([Raw(b'{"value": 1}', timestamp=timestamp)])) == [(-1, "bad_time")]
