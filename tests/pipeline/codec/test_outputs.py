import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.codec.dead_letters import OVERHEAD, cut_dead_letter, dead_letter_headers
from pipeline.codec.verdicts import Verdict, cut_content, encode_verdicts
from pipeline.records import Anomaly, Place
from tests.pipeline.adapters.outputs.samples import make_stream, part

PLACE = Place("in", 3)
LEFT_OUT = {"suppressed", "outlasted"}
"""Fields of an anomaly that are there only where they say something."""
SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"


@pytest.mark.parametrize(("name", "struct"), [("anomaly-1", Anomaly), ("verdict-1", Verdict)])
def test_the_published_schema_is_that_of_the_code(name: str, struct: type[msgspec.Struct]) -> None:
    """docs/schemas tells every field of what is written, with its type, and no other."""
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    assert schema["$schema"].endswith("2020-12/schema")
    parts = msgspec.json.schema(struct)["$defs"]
    assert schema.get("$defs", {}).keys() == parts.keys() - {struct.__name__}
    for kind_of, told in parts.items():
        published = schema if kind_of == struct.__name__ else schema["$defs"][kind_of]
        assert published["properties"].keys() == told["properties"].keys()
        assert published["required"] == [name for name in told["properties"] if name not in LEFT_OUT]
        assert published["additionalProperties"] is False
        for field, kind in told["properties"].items():
            kind.pop("default", None)
            narrowed = {"description", "enum", "const"} - kind.keys()
            found = {key: value for key, value in published["properties"][field].items() if key not in narrowed}
            assert found == kind, field
            assert published["properties"][field]["description"]


def test_verdicts_are_cut_by_message_and_not_by_batch() -> None:
    """A content for every message that brought verdicts, the same however the table was cut; every row once."""
    stream = make_stream(60)
    whole = encode_verdicts(stream, PLACE, 4)
    lines = [json.loads(line) for _, content in whole for line in content.splitlines()]
    assert len(lines) == 60
    assert [offset for offset, _ in whole] == sorted({int(one) // 4 for one in stream.released_by})
    parts = [
        one for start in range(0, 60, 7) for one in encode_verdicts(part(stream, start, min(start + 7, 60)), PLACE, 4)
    ]
    assert b"".join(content for _, content in parts) == b"".join(content for _, content in whole)
    for n, line in enumerate(lines):
        assert (line["source"], line["partition"]) == ("in", "3")
        assert (line["offset"], line["index"]) == divmod(int(stream.position[n]), 4)
        assert line["value"] == (None if np.isnan(stream.value[n]) else stream.value[n])
        score = stream.score[n]
        assert (line["score"] is None) == bool(np.isnan(score))
        if line["score"] is not None:
            assert np.float32(line["score"]) == score


@given(
    lines=st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b".") + b"\n")),
    longest=st.integers(1, 30),
)
def test_contents_are_cut_at_ends_of_lines(lines: list[bytes], longest: int) -> None:
    """Parts hold whole lines, are as long as they may be, and only a single line may be longer."""
    content = b"".join(lines)
    parts = list(cut_content(content, longest))
    assert b"".join(parts) == content
    assert all(part.endswith(b"\n") for part in parts)
    assert all(len(part) <= longest or part.count(b"\n") == 1 for part in parts)
    for one, after in pairwise(parts):
        assert len(one) + after.index(b"\n") + 1 > longest


@pytest.mark.parametrize(("limit", "kept"), [(OVERHEAD + 100, 100 - 7 - 4), (OVERHEAD + 5, 5), (10, 0)])
def test_a_dead_letter_that_is_too_long_is_cut(limit: int, kept: int) -> None:
    """Its beginning is kept, and told how long it was; key and headers go only where there is no room for them."""
    message: Any = type(
        "M", (), {"offset": 5, "timestamp": 17, "headers": [("mine", b"123")], "key": b"keys", "value": b"x" * 5000}
    )()
    cut = cut_dead_letter(message, ["too_large: 5000 bytes"], Place("in", 3), limit)
    assert cut.value == b"x" * kept
    assert cut.key == (b"keys" if kept > 5 else None)
    assert (("mine", b"123") in cut.headers) == (kept > 5)
    assert dict(cut.headers)["driftline.truncated"] == b"5000 bytes"
    assert dict(cut.headers)["driftline.reason"] == b"too_large"


def test_a_dead_letter_tells_where_it_is_from_and_why() -> None:
    """The message's own headers come first, then reason, detail and place."""
    message: Any = type("M", (), {"offset": 5, "timestamp": 17, "headers": [("mine", b"1")]})()
    headers = dead_letter_headers(message, ["malformed: {", "bad_key: é"], Place("in", 3))
    assert headers[0] == ("mine", b"1")
    assert dict(headers)["driftline.reason"] == b"malformed"
    assert dict(headers)["driftline.detail"].decode() == "malformed: {; bad_key: é"
    assert (dict(headers)["driftline.topic"], dict(headers)["driftline.partition"]) == (b"in", b"3")
    assert dict(headers)["driftline.offset"] == b"5"
