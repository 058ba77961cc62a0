import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from pipeline.codec.dead_letters import dead_letter_headers
from pipeline.codec.verdicts import Verdict, encode_verdicts
from pipeline.records import Anomaly, Place
from tests.pipeline.adapters.outputs.samples import make_stream, part

SCHEMAS = Path(__file__).parents[3] / "docs" / "schemas"


@pytest.mark.parametrize(("name", "struct"), [("anomaly-1", Anomaly), ("verdict-1", Verdict)])
def test_the_published_schema_is_that_of_the_code(name: str, struct: type[msgspec.Struct]) -> None:
    """docs/schemas tells every field of what is written, with its type, and no other."""
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    assert schema["$schema"].endswith("2020-12/schema")
    told = msgspec.json.schema(struct)["$defs"][struct.__name__]
    assert schema["properties"].keys() == told["properties"].keys()
    assert schema["required"] == list(told["properties"])
    for field, kind in told["properties"].items():
        kind.pop("default", None)
        found = {
            key: value
            for key, value in schema["properties"][field].items()
            if key not in {"description", "enum", "const"}
        }
        assert found == kind, field
        assert schema["properties"][field]["description"]


def test_verdicts_are_cut_by_message_and_not_by_batch() -> None:
    """A content for every message that brought verdicts, the same however the table was cut; every row once."""
    stream = make_stream(60)
    whole = encode_verdicts(stream, 4)
    lines = [json.loads(line) for _, content in whole for line in content.splitlines()]
    assert len(lines) == 60
    assert [offset for offset, _ in whole] == sorted({int(one) // 4 for one in stream.released_by})
    parts = [one for start in range(0, 60, 7) for one in encode_verdicts(part(stream, start, min(start + 7, 60)), 4)]
    assert b"".join(content for _, content in parts) == b"".join(content for _, content in whole)
    for n, line in enumerate(lines):
        assert (line["offset"], line["index"]) == divmod(int(stream.position[n]), 4)
        assert line["value"] == (None if np.isnan(stream.value[n]) else stream.value[n])
        score = stream.score[n]
        assert (line["score"] is None) == bool(np.isnan(score))
        if line["score"] is not None:
            assert np.float32(line["score"]) == score


def test_a_dead_letter_tells_where_it_is_from_and_why() -> None:
    """The message's own headers come first, then reason, detail and place."""
    message: Any = type("M", (), {"offset": 5, "timestamp": 17, "headers": [("mine", b"1")]})()
    headers = dead_letter_headers(message, ["malformed: {", "bad_key: é"], Place("in", 3))
    assert headers[0] == ("mine", b"1")
    assert dict(headers)["driftline.reason"] == b"malformed"
    assert dict(headers)["driftline.detail"].decode() == "malformed: {; bad_key: é"
    assert (dict(headers)["driftline.topic"], dict(headers)["driftline.partition"]) == (b"in", b"3")
    assert dict(headers)["driftline.offset"] == b"5"
