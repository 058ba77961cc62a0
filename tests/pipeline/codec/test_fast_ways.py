"""The fast ways beside the thorough one: the same batch for the same bytes."""

from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.codec.columns import Columns
from pipeline.codec.decoding import ArrowDecoder, JsonDecoder
from pipeline.codec.formats import FormatName, MessageFormat, UnitName
from pipeline.codec.thorough import Thorough
from pipeline.codec.times import END_US, TimeError, iso_us, time_us
from pipeline.records import Batch
from pipeline.windows.points import TIME_END_US
from tests.pipeline.codec.test_decoding import KINDS, TIME_MS, Raw, rows, stream, write

FLAT = ("value", "heat"), "time", "host"
NESTED = ("motor.current", "heat"), "at.time", "at.host"
ISO = "2023-11-14T22:13:20"


def make(layout: MessageFormat, unit: str | None) -> JsonDecoder | ArrowDecoder:
    """A decoder of which the thorough way can be seen."""
    return ArrowDecoder(layout, unit) if layout.kind == "arrow" else JsonDecoder(layout, unit)


def decode_thoroughly(thorough: Thorough, messages: Sequence[Raw]) -> Batch:
    """The batch of messages that all go the thorough way."""
    columns = Columns(len(thorough.layout.value_fields))
    for message in messages:
        columns.add_all(message.offset * thorough.layout.points_per_message, thorough.records(message))
    return columns.batch()


def seldom(usual: st.SearchStrategy[Any], *others: Any) -> st.SearchStrategy[Any]:
    """Nine times in ten something usual."""
    return _nearly_always(usual, st.sampled_from(others))


def _nearly_always(usual: st.SearchStrategy[Any], other: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 9).flatmap(lambda n: usual if n else other)


_whole_times = {"s": TIME_MS // 1000, "ms": TIME_MS, "us": TIME_MS * 1000, "ns": TIME_MS * 10**6}
_iso_times = st.sampled_from([f'"{ISO}Z"', f'"{ISO}.25+01:00"', f'"{ISO}"', f'"{ISO}.1234567Z"', '"2023-11-14"'])
_odd_times = (
    "null", "true", "0", "-5", "12", "1700000000123.0", "1.7e18", f'"{TIME_MS}"', "1" + "0" * 400, '"1969-12-31"',
    str(10**11), str(10**14), str(TIME_END_US), str(TIME_END_US * 1000), '"9999-12-31T23:59:59-14:00"', "[1]", '"\xff"',
    '"' + "1" * 5000 + '"',
)  # fmt: skip
_numbers = st.floats(allow_nan=False, allow_infinity=False).map(repr) | st.integers(-(2**70), 2**70).map(str)
_values = seldom(
    _numbers | st.just("null"), "true", '"12"', "NaN", "1e999", "1e-999", "-0", "9" * 400, "9" * 5000, "[]", "{}", "01"
)
_hosts = seldom(
    st.sampled_from(['"a"', '"b"', "7", "-7", str(2**63)]),
    '"7"', '""', "null", "1.0", "true", '"\xff"', '"\\ud800"', '"\\u00e4"', f'"{"x" * 1001}"', "0", "9" * 5000,
)  # fmt: skip
_ignored = seldom(st.sampled_from(["1", '"}"', "[{}]", '{"value": 2}']), "1e999", '"\xff"', '"}\n{"', "[" * 2000, "{")


def _members(nested: bool) -> st.SearchStrategy[list[tuple[str, str]]]:
    """Names and values of an object's members, as JSON but for what is odd in it; of bytes as Latin-1 tells them."""
    times = st.sampled_from([str(time) for time in _whole_times.values()]) | _iso_times
    fields = {
        "time": seldom(st.just(str(TIME_MS)) | times, *_odd_times), "value": _values, "heat": _values, "host": _hosts
    }  # fmt: skip
    if nested:
        inside = _object({"time": fields["time"], "host": fields["host"]}, {})
        motor = _object({}, {"current": _values, "x": _ignored})
        fields = {"at": seldom(inside, "null", "3", "{}")}
        extra = {"motor": seldom(motor, "null", "3", "{}"), "heat": _values}
        odd = {"motor.current": _values, "at.time": st.just(str(TIME_MS)), "at.host": _hosts}
        return _nearly_always(_pairs(fields, extra), _pairs(fields, extra | odd))
    extra = {name: fields.pop(name) for name in ("value", "heat")}
    return _nearly_always(_pairs(fields, extra | {"x": _ignored}), _pairs({}, fields | extra))


def _pairs(always: dict[str, Any], sometimes: dict[str, Any]) -> st.SearchStrategy[list[tuple[str, str]]]:
    named = {name: st.tuples(st.just(name), value) for name, value in (always | sometimes).items()}
    return st.tuples(
        st.tuples(*(named[name] for name in always)),
        st.lists(st.one_of([named[name] for name in sometimes]), max_size=4) if sometimes else st.just([]),
    ).map(lambda both: [*both[0], *both[1]])


def _object(always: dict[str, Any], sometimes: dict[str, Any]) -> st.SearchStrategy[str]:
    return _pairs(always, sometimes).map(lambda pairs: _as_object(pairs, ", "))


def _as_object(pairs: list[tuple[str, str]], between: str) -> str:
    return "{" + between.join(f'"{name}": {value}' for name, value in pairs) + "}"


@cache  # a strategy is checked once, before its first example
def _contents(kind: FormatName, nested: bool) -> st.SearchStrategy[bytes]:
    objects = st.builds(_as_object, _members(nested), seldom(st.just(", "), ",\n", ",", " ,\r\n"))
    if kind == "json":
        return objects.map(lambda text: text.encode("latin-1"))
    points = st.lists(seldom(objects, "null", '"text"', "", "[]", "{}", "{"), max_size=5)
    if kind == "json-array":
        return points.map(lambda parts: f"[{','.join(parts)}]".encode("latin-1"))
    breaks = seldom(st.just("\n"), "\r\n", "\n\n", " ", "", "\n ", "\r", ",", "\n\x0c\n")
    ends = st.sampled_from(["", "\n", "\n", " \n", "\n\n", "\r\n"])
    return st.builds(lambda parts, at, end: (at.join(parts) + end).encode("latin-1"), points, breaks, ends)


def _column(*types: tuple[Any, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """A type, and four values of it or null."""
    return st.sampled_from(types).flatmap(
        lambda one: st.lists(one[1], min_size=4, max_size=4).map(lambda values: pa.array(values, one[0]))
    )


def _or_null(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return _nearly_always(values, st.none())


_time_columns = _column(
    *((pa.int64(), _or_null(st.just(time))) for time in _whole_times.values()),
    (pa.int64(), seldom(st.just(TIME_MS), 0, -1, 10**14, TIME_END_US, TIME_END_US * 1000, 2**63 - 1)),
    (pa.uint64(), seldom(st.just(TIME_MS), 0, 2**64 - 1)),
    (pa.int8(), st.just(5)),
    (pa.string(), seldom(st.just(f"{ISO}Z"), None, ISO, f"{ISO}.1234567Z", "1969-12-31", "", str(TIME_MS))),
    (pa.large_string(), st.just(ISO)),
    (pa.timestamp("s"), seldom(st.just(TIME_MS // 1000), None, -1, END_US // 10**6, 2**62)),
    (pa.timestamp("ms", "UTC"), seldom(st.just(TIME_MS), None, -1, 0, 2**62)),
    (pa.timestamp("us", "Europe/Berlin"), seldom(st.just(TIME_MS * 1000), END_US, END_US - 1, 0)),
    (pa.timestamp("us", "Nowhere/None"), st.just(TIME_MS * 1000)),
    (pa.timestamp("ns", "+02:30"), seldom(st.just(TIME_MS * 10**6), TIME_MS * 10**6 + 1, -1)),
    (pa.date32(), st.just(19_000)),
    (pa.time64("us"), st.just(1)),
    (pa.float64(), st.just(float(TIME_MS))),
    (pa.null(), st.none()),
)  # fmt: skip
_value_columns = _column(
    (pa.float64(), _or_null(st.floats(allow_nan=False, allow_infinity=False))),
    (pa.float64(), _or_null(st.floats())),
    (pa.float32(), _or_null(st.floats(width=32, allow_nan=False, allow_infinity=False))),
    (pa.int64(), _or_null(st.integers(-(2**63), 2**63 - 1))),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.int8(), _or_null(st.integers(-128, 127))),
    (pa.null(), st.none()),
    (pa.float16(), st.just(np.float16(1.5))),
    (pa.bool_(), st.booleans()),
    (pa.string(), st.just("12")),
    (pa.decimal128(5, 2), st.just(Decimal("1.5"))),
)  # fmt: skip
_host_columns = _column(
    (pa.string(), seldom(st.sampled_from("ab"), None, "", "x" * 1001)),
    (pa.large_string(), st.sampled_from("ab")),
    (pa.dictionary(pa.int8(), pa.string()), seldom(st.sampled_from("ab"), None, "")),
    (pa.int32(), _or_null(st.integers(-2, 2))),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.dictionary(pa.int32(), pa.int64()), st.integers(0, 1)),
    (pa.bool_(), st.booleans()),
    (pa.binary(), st.just(b"a")),
)
_odd_columns = _column(
    (pa.timestamp("ns"), st.just(1)), (pa.bool_(), st.booleans()), (pa.list_(pa.int8()), st.just([1]))
)


@st.composite
def _streams(draw: Any, nested: bool) -> bytes:
    columns = {"time": draw(_time_columns), "value": draw(_value_columns), "host": draw(_host_columns)}
    columns |= {"heat": draw(_value_columns)} if draw(st.booleans()) else {}
    odd = draw(_odd_columns) if draw(st.integers(0, 4)) == 0 else None
    names, arrays = list(columns), list(columns.values())
    if nested:
        motor = [columns["value"]] if odd is None else [columns["value"], odd]
        mask = pa.array([False, False, False, draw(st.integers(0, 9)) == 0])
        names = ["at", "motor", *(["heat"] if "heat" in columns else [])]
        arrays = [
            pa.StructArray.from_arrays([columns["time"], columns["host"]], ["time", "host"]),
            pa.StructArray.from_arrays(motor, ["current", "x"][: len(motor)], mask=mask),
            *([columns["heat"]] if "heat" in columns else []),
        ]
    if odd is not None:
        names.append(draw(st.sampled_from(["x", "heat", "value", "motor", "motor.current", "at.time", "host"])))
        arrays.append(odd)
    table = pa.Table.from_arrays(arrays, names=names).slice(0, draw(st.integers(0, 4)))
    content = stream(table, draw(st.integers(1, 4)))
    return content if draw(st.integers(0, 9)) else content[: draw(st.integers(0, len(content)))]


@st.composite
def _runs(draw: Any, kind: FormatName, nested: bool) -> list[Raw]:
    some: Any = _streams(nested) if kind == "arrow" else _contents(kind, nested)
    pool = draw(st.lists(some, min_size=1, max_size=3))  # messages of one schema one after the other, too
    contents = draw(st.lists(st.sampled_from([*pool, *pool, *pool, b"", None, b"{}", b"\xff", b"17"]), max_size=10))
    keys = seldom(st.sampled_from([b"pump", b"fan"]), b"", None, b"\xff", b"k" * 1000, b"k" * 1001)
    stamps = seldom(st.just(TIME_MS), 0, -1, TIME_END_US // 1000 - 1, TIME_END_US // 1000, 10**14, 2**62)
    return [Raw(content, draw(keys), offset, draw(stamps)) for offset, content in enumerate(contents)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nested", [False, True])
@settings(max_examples=150)
@given(data=st.data())
def test_the_fast_way_gives_what_the_thorough_one_gives(kind: FormatName, nested: bool, data: st.DataObject) -> None:
    """Whatever bytes come, wherever calls are cut, and whether the unit of times is told, known or to be found out."""
    messages = data.draw(_runs(kind, nested))
    fields, time_field, key_field = NESTED if nested else FLAT
    layout = MessageFormat(
        kind,
        fields,
        data.draw(st.sampled_from([time_field, time_field, None])),
        data.draw(st.sampled_from([key_field, None])),
        data.draw(st.sampled_from(["auto", "auto", "s", "ms", "us", "ns", "iso"])),
        max_message_bytes=data.draw(st.sampled_from([2**24, 1500])),
    )
    unit = data.draw(st.sampled_from([None, "ms", "iso", "s", "us", "ns"]))
    cut = data.draw(st.integers(0, 10))
    decoder, reference = make(layout, unit), make(layout, unit).thorough
    expected = rows(decode_thoroughly(reference, messages))
    found = [decoder.decode(part) for part in (messages[:cut], messages[cut:])]
    assert [row for batch in found for row in rows(batch)] == expected
    assert all(len(set(batch.key_names)) == len(batch.key_names) for batch in found)
    assert decoder.unit == reference.unit


def _at(count: int = 1) -> pa.Array:
    return pa.array([{"time": TIME_MS, "host": "a"}] * count)


def _nested(**columns: Any) -> bytes:
    return stream(pa.table({name.replace("_", "."): column for name, column in ({"at": _at()} | columns).items()}))


def _flat(time: Any = None, value: Any = None, host: Any = None) -> bytes:
    columns = {"time": time or pa.array([TIME_MS]), "value": value or pa.array([1.5]), "host": host or pa.array(["a"])}
    return stream(pa.table(columns))


_current = pa.array([{"current": 1.5}])
_beside_an_odd_one = pa.array(
    [{"current": 1.5, "x": 1}], pa.struct([("current", pa.float64()), ("x", pa.timestamp("ns"))])
)
_GOOD = f'{{"time": {TIME_MS}, "value": 1, "host": "a"}}'
_BAD_KEY = _GOOD.replace('"a"', '""')
_LONG_KEY = _GOOD.replace('"a"', f'"{"x" * 1001}"')
_BAD_VALUE = _GOOD.replace("1,", "true,")
_TWICE = stream(
    pa.Table.from_arrays(
        [pa.array([1]), pa.array([2]), pa.array(["a"]), pa.array([TIME_MS])], ["value", "value", "host", "time"]
    )
)


@pytest.mark.parametrize(
    ("kind", "content", "points"),
    [
        ("json", f'{{"at": {{"time": {TIME_MS}, "host": "a"}}, "motor": {{"current": 1}}, "motor.current": 5}}', 1),
        ("json", f'{{"at": {{"time": {TIME_MS}, "host": "a"}}, "motor": {{"current": 1}}, "motor.current": null}}', 1),
        ("json", f'{{"at": {{"time": {TIME_MS}, "host": "a"}}, "motor": 3, "heat": 1}}', 1),
        ("json-lines", _GOOD + "\n" + _GOOD.replace(",", ",\r"), 4),
        ("json-lines", _GOOD + "\n" + _GOOD.replace(",", ",\n"), 4),
        ("json-lines", _GOOD + " " + _GOOD + "\n" + _GOOD, 2),
        ("json-lines", _GOOD.replace(",", ",\n") + " " + _GOOD + _GOOD, 3),
        ("json-lines", _GOOD + "\r" + _GOOD + "\r\n" + _GOOD, 3),
        ("json-array", f"[{_GOOD}, {_BAD_KEY}, {_GOOD}]", 3),
        ("json-array", f"[{_GOOD}, {_LONG_KEY}, {_GOOD}]", 3),
        ("json-array", f"[{_GOOD}, {_BAD_VALUE}, {_GOOD}]", 3),
        ("arrow", _flat(value=pa.array([float("nan")])), 1),
        ("arrow", _flat(value=pa.array([float("inf")])), 1),
        ("arrow", _flat(value=pa.array([2**63 + 1025], pa.uint64())), 1),
        ("arrow", _flat(value=pa.array([2**53 + 1])), 1),
        ("arrow", _flat(time=pa.array([TIME_MS * 10**6 + 1], pa.timestamp("ns"))), 1),
        ("arrow", _flat(time=pa.array([TIME_MS], pa.timestamp("ms", "Nowhere/None"))), 1),
        ("arrow", _flat(time=pa.array([TIME_MS], pa.timestamp("ms", "Europe/Berlin"))), 1),
        ("arrow", _flat(time=pa.array([2**62], pa.timestamp("s"))), 1),
        ("arrow", _flat(time=pa.array([None], pa.int64())), 1),
        ("arrow", _flat(host=pa.array([None], pa.string())), 1),
        ("arrow", _flat(host=pa.DictionaryArray.from_arrays(pa.array([0]), pa.array(["a", "x" * 1001]))), 1),
        ("arrow", _flat(host=pa.DictionaryArray.from_arrays(pa.array([1]), pa.array(["a", "a"]))), 1),
        ("arrow", _TWICE, 1),
        ("arrow", _flat(host=pa.array([""])), 1),
        ("arrow", _flat(host=pa.array(["x" * 1001])), 1),
        ("arrow", _nested(motor=_current, motor_current=pa.array([5])), 1),
        ("arrow", _nested(motor=_current, motor_current=pa.array([None], pa.int8())), 1),
        ("arrow", _nested(motor=pa.array([None], _current.type)), 1),
        ("arrow", _nested(motor=pa.array([3])), 1),
        ("arrow", _nested(motor=_beside_an_odd_one), 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("nested", [False, True])
def test_the_fast_way_declines_what_it_cannot_tell(
    kind: FormatName, content: bytes | str, points: int, *, nested: bool
) -> None:
    """Things that look almost as they should become what the thorough way makes of them."""
    fields, time_field, key_field = NESTED if nested else FLAT
    layout = MessageFormat(kind, fields, time_field, key_field)
    message = Raw(content if isinstance(content, bytes) else content.encode())
    decoder = make(layout, "ms")
    expected = rows(decode_thoroughly(decoder.thorough, [message]))
    found = decoder.decode([message])
    assert rows(found) == expected
    assert (len(found), len(set(found.key_names))) == (points, len(found.key_names))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key_field", ["host", "id", None])
@pytest.mark.parametrize("time_unit", ["s", "ms", "us", "ns", "iso"])
def test_the_fast_way_takes_what_is_as_it_should_be(
    kind: FormatName, key_field: str | None, time_unit: UnitName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole objects, and those with values that are null or absent, never go the thorough way, flat or nested."""
    time: Any = f"{ISO}Z" if time_unit == "iso" else _whole_times[time_unit]
    objects = [{"time": time, "host": "a", "id": 5, "value": 1, "motor": {"current": n}, "x": "y"} for n in (2.5, None)]
    objects += [{"time": time, "host": "b", "id": 6, "motor": {"current": None}}]
    content = write(kind, objects) if kind != "json" else write(kind, objects[:1])
    fields = ("value", "motor.current", "none")
    decoder = make(MessageFormat(kind, fields, "time", key_field, time_unit), None)
    monkeypatch.setattr(type(decoder.thorough), "records", None)
    batch = decoder.decode([Raw(content), Raw(content, offset=8)])
    expected = [[1.0, 2.5, np.nan], [1.0, np.nan, np.nan], [np.nan, np.nan, np.nan]][: len(batch) // 2]
    assert np.array_equal(batch.values, expected * 2, equal_nan=True)
    assert len(batch) == (2 if kind == "json" else 6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_fast_way_begins_where_the_unit_is_told(kind: FormatName, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one call the first usable record goes the thorough way and all behind it the fast one."""
    content = write(kind, [{"time": TIME_MS, "value": 1}])
    decoder = make(MessageFormat(kind, time_field="time"), None)
    told = []
    records = decoder.thorough.records

    def watch(_: Thorough, message: Raw) -> Any:
        told.append(message.offset)
        return records(message)

    monkeypatch.setattr(type(decoder.thorough), "records", watch)
    batch = decoder.decode([Raw(content, offset=offset) for offset in range(9)])
    assert (told, len(batch), decoder.unit) == ([0], 9, "ms")


@pytest.mark.parametrize("kind", KINDS)
def test_the_fast_way_needs_no_unit_where_messages_tell_the_time(
    kind: FormatName, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the time of the message itself there is no unit to be found out."""
    decoder = make(MessageFormat(kind), None)
    monkeypatch.setattr(type(decoder.thorough), "records", None)
    batch = decoder.decode([Raw(write(kind, [{"value": 1}]), timestamp=TIME_MS)])
    assert (batch.time_us.tolist(), decoder.unit) == ([TIME_MS * 1000], None)


_stamps = st.datetimes().map(lambda at: at.isoformat(sep="T")) | st.from_regex(
    r"[0-9]{4}-(0[0-9]|1[0-3])-[0-3][0-9]([T ][0-2][0-9](:?[0-6][0-9](:?[0-6][0-9]([.,][0-9]{0,9})?)?)?)?",
    fullmatch=True,
)
_zones = st.just("Z") | st.from_regex(r"([+-][0-2][0-9](:?[0-6][0-9])?| ?UTC|Z| Z|z)?", fullmatch=True)


@settings(max_examples=1000)
@given(texts=st.lists(st.builds(str.__add__, _stamps, _zones) | st.text(max_size=5), min_size=1, max_size=3))
def test_times_as_text_are_the_same_one_by_one_and_many_at_once(texts: list[str]) -> None:
    """Arrow understands what Python does, or leaves it to it."""

    def one(text: str) -> int:
        try:
            return time_us(text, "iso", detected=False)
        except (TimeError, OverflowError):
            return -1

    assert iso_us(texts).tolist() == [one(text) for text in texts]


def test_times_end_where_those_of_the_engine_do() -> None:
    """What the decoders let through the engine takes."""
    assert END_US == TIME_END_US
