"""How deep messages may be nested."""

import json
import time
from collections.abc import Callable

import numpy as np
import pytest

from pipeline.codec.decoding import make_decoder
from pipeline.codec.formats import FormatName
from pipeline.codec.nesting import DEEPEST, is_too_deep
from pipeline.records import Batch
from tests.pipeline.codec.test_decoding import LAYOUT, TIME_MS, Raw, told, write

KINDS: tuple[FormatName, ...] = ("json", "json-array", "json-lines")


def _nested(depth: int) -> object:
    """Arrays and objects within one another, so that with the point around them there are `depth`."""
    inner: object = "[" * 500  # in a string they are no arrays
    for level in range(depth - 1):
        beside: object = [] if level else 0
        inner = [beside, inner] if level % 2 else {"a": beside, "b": inner}
    return inner


def _point(depth: int) -> dict[str, object]:
    return {"time": TIME_MS, "value": 1.0, "heat": 2.0, "more": _nested(depth)}


def _below(frames: int, call: Callable[[], Batch]) -> Batch:
    """What a call gives so many calls further down."""
    return call() if frames == 0 else _below(frames - 1, call)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", [None, "ms"], ids=["thorough", "fast"])
@pytest.mark.parametrize("frames", [0, 500])
def test_points_may_be_nested_so_deep_and_no_deeper(kind: FormatName, unit: str | None, frames: int) -> None:
    """By a limit that says so, whoever decodes: the calls around it change nothing."""
    layout = type(LAYOUT)(kind, LAYOUT.value_fields, "time")

    def decode(depth: int) -> Batch:
        message, decoder = Raw(write(kind, [_point(depth)])), make_decoder(layout, unit)
        return _below(frames, lambda: decoder.decode([message]))

    assert told(decode(DEEPEST)) == []
    assert decode(DEEPEST).values.tolist() == [[1.0, 2.0]]
    for depth in (DEEPEST + 1, 450):
        found = {(problem.reason, problem.found) for problem in decode(depth).problems}
        assert found == {("malformed", f"nested deeper than {DEEPEST}")}


def test_many_flat_points_are_not_deep() -> None:
    """However many objects there are beside one another, and the one that is too deep spoils its own line alone."""
    layout = type(LAYOUT)("json-lines", LAYOUT.value_fields, "time")
    points = [_point(3) for _ in range(1000)]
    batch = make_decoder(layout, "ms").decode([Raw(write("json-lines", points))])
    assert np.isfinite(batch.values).all()
    points[500] = _point(DEEPEST + 1)
    batch = make_decoder(layout, "ms").decode([Raw(write("json-lines", points))])
    assert [problem.index for problem in batch.problems] == [500]


@pytest.mark.parametrize(
    "content", [b'"' + b'\\"' * 2**22, b'"' + b'\\"' * 2**22 + b"\\", b'["' * 2**22, b'"\\' * 2**22]
)
def test_rubbish_is_looked_through_in_one_go(content: bytes) -> None:
    """Megabytes of strings without an end take no longer than others."""
    began = time.process_time()
    is_too_deep(b"[" * 2 * DEEPEST + content)
    assert time.process_time() - began < 5


def test_strings_are_told_from_structure() -> None:
    """Escaped quotes do not end a string, and brackets behind its end count again."""
    inside = json.dumps('\\" [[[ \\\\"' + "{[" * DEEPEST).encode()
    assert not is_too_deep(b"[" + inside + b"]")
    assert is_too_deep(inside + b"[" * (DEEPEST + 1))
    assert not is_too_deep(inside + b"[]" * 10 * DEEPEST)
