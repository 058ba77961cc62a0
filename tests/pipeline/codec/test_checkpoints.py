from collections.abc import Iterator, Sequence
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.codec.checkpoints import decode_checkpoint, decode_in_steps, encode_checkpoint
from pipeline.codec.stored_rows import StoredRows
from pipeline.records import Checkpoint, RunIdentity

_ROWS = st.dictionaries(st.text(max_size=5), st.binary(max_size=9), max_size=30)


def _content(spilled: Sequence[tuple[str, bytes]]) -> bytes:
    arrays = {"a": np.arange(1000)}
    return b"".join(encode_checkpoint(Checkpoint(RunIdentity("", "", ""), {}, arrays, ["k"], spilled)))


def _stored(content: bytes) -> StoredRows:
    found = decode_checkpoint("", memoryview(content))
    assert found.arrays["a"].tolist() == list(range(1000))
    assert isinstance(found.spilled, StoredRows)
    return found.spilled


@given(_ROWS, st.lists(st.text(max_size=5)), st.integers(1, 40), st.integers(1, 5))
def test_evicted_keys_are_read_where_they_lie(
    rows: dict[str, bytes], others: list[str], step_bytes: int, few: int
) -> None:
    """Whatever the keys are made of, and wherever steps and groups end, they are read in order and found by name."""
    with (
        patch("pipeline.codec.stored_rows._STEP_BYTES", 8 * few * step_bytes),
        patch("pipeline.codec.stored_rows._FEW", few),
    ):
        stored = _stored(_content(sorted(rows.items())))
        assert list(stored) == sorted(rows.items())
        asked = [*rows, *others]
        assert stored.find(asked) == {key: rows[key] for key in asked if key in rows}
        for key in asked:
            assert stored.behind(key)[:1] == [row for row in sorted(rows.items()) if row[0] > key][:1]


def test_the_steps_change_nothing() -> None:
    """However many keys go into a step, and however they are given, the bytes are the same."""
    rows = [(f"key-{n:04d}", bytes(n % 7)) for n in range(1000)]
    expected = _content(rows)

    def few(size: int) -> Iterator[bytes]:
        for one, other in (("_STEP_KEYS", size), ("_STEP_BYTES", size), ("_IN_MEMORY_BYTES", size)):
            with patch(f"pipeline.codec.checkpoints.{one}", other):
                yield _content(rows)

    assert {*few(1), *few(999), *few(2**20)} == {expected}
    assert _content(list(_stored(expected))) == expected


def test_work_is_done_in_small_steps() -> None:
    """No step does much: there are at least as many as there are lots of bytes and keys."""
    content = _content([(f"key-{n:06d}", bytes(100)) for n in range(20_000)])
    with patch("pipeline.codec.checkpoints._STEP_BYTES", 2**16):
        steps = sum(1 for _ in decode_in_steps("", memoryview(content)))
    assert steps >= len(content) / 2**16
