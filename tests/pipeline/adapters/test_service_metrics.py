"""What the service shows, against what it does."""

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence

import pyarrow as pa
from prometheus_client import CollectorRegistry

from pipeline.adapters.service_metrics import Held, ServiceMetrics
from pipeline.catalogue.service import DEAD_LETTER_REASONS, OTHER
from pipeline.codec.decoding import make_decoder
from pipeline.codec.formats import FormatName, MessageFormat
from pipeline.engine import EngineConfig, PartitionEngine
from pipeline.episodes import Origin
from pipeline.records import POINTS_PER_MESSAGE, Place
from pipeline.service.outputs import send_outputs
from pipeline.service.plan import Topics
from tests.fakes import MemorySpill, make_detector
from tests.pipeline.service.fakes import MemoryLog, MemoryOutbox, Stored, Trap

PLACE = Place("in", 0)
TIME_MS = 1_700_000_000_000
_POINT = {"time": TIME_MS, "value": 1.0, "host": "a"}
_OBJECTS: Mapping[str, object] = {
    "fine": _POINT,
    "no time": {"value": 1.0, "host": "a"},
    "no time at all": _POINT | {"time": "yesterday"},
    "a time of another unit": _POINT | {"time": 17},
    "a time too large": _POINT | {"time": 10**30},
    "a time long ago": _POINT | {"time": -TIME_MS},
    "no key": {"time": TIME_MS, "value": 1.0},
    "no key at all": _POINT | {"host": None},
    "a key that is none": _POINT | {"host": [1]},
    "no value": {"time": TIME_MS, "host": "a"},
    "null": _POINT | {"value": None},
    "text": _POINT | {"value": "high"},
    "true": _POINT | {"value": True},
    "a number too large": _POINT | {"value": 10**400},
    "no object": [1, 2],
    "nothing": None,
}
_BYTES: Sequence[bytes | None] = (
    None, b"", b"   ", b"\xff\xfe", b'{"time": 17', b"[" * 5000, b"NaN", b'{"value": NaN}', b"[]", b"{}", b"x" * 20_000,
    b"[" + b"1," * POINTS_PER_MESSAGE + b"1]", b"1\n" * (POINTS_PER_MESSAGE + 1),
)  # fmt: skip


def _arrow(rows: int) -> bytes:
    table = pa.table({"time": [TIME_MS] * rows, "value": [float("nan")] * rows, "host": ["a"] * rows})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _contents(kind: FormatName) -> list[bytes | None]:
    objects = [json.dumps(one).encode() for one in _OBJECTS.values()]
    if kind == "json-array":
        objects = [b"[" + one + b"]" for one in objects]
    return [*_BYTES, *objects, _arrow(1), _arrow(POINTS_PER_MESSAGE + 1), b'{"value": 1e999, "time": 1, "host": "a"}']


def _reasons(kind: FormatName, key_field: str | None) -> Counter[str]:
    """Of what the service sends to the dead letters when it is given everything of the above."""
    longest = 2**23 if kind == "arrow" else 15_000
    layout = MessageFormat(kind, ("value",), "time", key_field, "ms", max_message_bytes=longest)
    limits = [layout, MessageFormat(kind, ("value",), "time", key_field, "ms", max_message_bytes=2**23)]
    found: Counter[str] = Counter()
    for one in limits:
        engine = PartitionEngine(
            make_detector(), EngineConfig(), ("value",), Origin("in", "0", "b", one.points_per_message), MemorySpill()
        )
        keys = (None, b"", b"\xff", b"a")
        messages = [
            Stored(number, key, content, TIME_MS)
            for number, (key, content) in enumerate((key, content) for content in _contents(kind) for key in keys)
        ]
        batch = make_decoder(one).decode(messages)
        outbox = MemoryOutbox(MemoryLog(), Trap())
        found += send_outputs(
            outbox, Topics("a", "d"), PLACE, messages, batch, engine.process(batch), one.points_per_message
        )
    return found


def test_every_reason_of_dead_letters_is_shown_from_the_start() -> None:
    """What decoders and engine can find wrong with a message are the values of the label, no fewer and no more."""
    found: Counter[str] = Counter()
    kinds: tuple[FormatName, ...] = ("json", "json-array", "json-lines", "arrow")
    for kind in kinds:
        for key_field in (None, "host"):
            found += _reasons(kind, key_field)
    assert set(found) == set(DEAD_LETTER_REASONS) - {OTHER}
    registry = CollectorRegistry()
    ServiceMetrics(registry)
    shown = {
        sample.labels["reason"]: sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "driftline_dead_letters_total"
    }
    assert shown == dict.fromkeys(DEAD_LETTER_REASONS, 0.0)


def test_a_position_beyond_the_end_is_no_lag() -> None:
    """An end that was seen a while ago may lie behind what is committed by now."""
    registry = CollectorRegistry()
    ServiceMetrics(registry).set_held({PLACE: Held(10, 7, 0, {}, -1, 0.0)})
    labels = {"topic": "in", "partition": "0"}
    assert registry.get_sample_value("driftline_lag_records", labels) == 0


def test_conventions() -> None:
    """Help for every metric, one prefix, base units last, and no suffix that belongs to another type."""
    registry = CollectorRegistry()
    ServiceMetrics(registry).set_held({PLACE: Held(10, 7, 0, {"scored": 1}, -1, 0.0)})
    for family in registry.collect():
        words = family.name.split("_")
        assert words[0] == "driftline"
        assert family.documentation.endswith(".") or "; " in family.documentation
        assert family.type in {"counter", "gauge", "histogram"}
        assert not {"ms", "us", "milliseconds", "percent", "counter", "gauge", "histogram"} & set(words)
        assert not {"seconds", "bytes"} & set(words[:-1])
