import itertools

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.files.rebatch import Chunk, rebatch
from pipeline.records import Problem

ROWS = 40
KEYS = ["a", "b", "a", "c", "d"] * 8


def chunks(cuts: list[int], *, keyed: bool) -> list[Chunk]:
    """The same 40 records, every seventh with a problem, cut at these places."""
    bounds = [0, *sorted(cuts), ROWS]
    parts = []
    for start, stop in itertools.pairwise(bounds):
        rows = np.arange(start, stop)
        problems = [Problem(int(row) - start, 0, "not_a_number", str(row)) for row in rows if row % 7 == 0]
        keys = pa.array(KEYS[start:stop], pa.string()) if keyed else None
        parts.append(Chunk(keys, rows * 10, rows[:, None] / np.float64(2), rows + 1, problems))
    return parts


@given(st.lists(st.integers(0, ROWS)), st.integers(1, ROWS + 5), st.booleans())
def test_any_cut(cuts: list[int], batch_size: int, keyed: bool) -> None:
    """Batches have one size but for the last, and do not show how the chunks were cut."""
    batches = list(rebatch(chunks(cuts, keyed=keyed), batch_size, "name"))
    assert [len(batch) for batch in batches] == [min(batch_size, ROWS - row) for row in range(0, ROWS, batch_size)]
    for first, batch in zip(range(0, ROWS, batch_size), batches, strict=True):
        rows = np.arange(first, first + len(batch))
        keys = KEYS[first : first + len(batch)] if keyed else ["name"] * len(batch)
        assert batch.key_names == list(dict.fromkeys(keys))
        assert [batch.key_names[code] for code in batch.key_codes] == keys
        np.testing.assert_array_equal(batch.time_us, rows * 10)
        np.testing.assert_array_equal(batch.values, rows[:, None] * 0.5)
        np.testing.assert_array_equal(batch.position, rows + 1)
        bad = [row for row in rows if row % 7 == 0]
        assert batch.problems == tuple(Problem(int(row) - first, 0, "not_a_number", str(row)) for row in bad)


def test_arrays() -> None:
    """The arrays are of the types that records have, contiguous and the batch's own."""
    (batch,) = rebatch(chunks([3, 20], keyed=True), ROWS, "name")
    for array, dtype in (
        (batch.key_codes, np.int32),
        (batch.time_us, np.int64),
        (batch.values, np.float64),
        (batch.position, np.int64),
    ):
        assert array.dtype == dtype
        assert array.flags.c_contiguous
        assert array.flags.writeable


def test_nothing() -> None:
    """No records make no batch."""
    assert list(rebatch([], 3, "name")) == []
    assert list(rebatch(chunks([], keyed=False)[:0], 3, "name")) == []
