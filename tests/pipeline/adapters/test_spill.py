from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.spill import SqliteSpill
from pipeline.errors import UserError
from pipeline.interfaces import Spill
from pipeline.records import KeyedRows


@pytest.fixture
def spill(tmp_path: Path) -> Iterator[SqliteSpill]:
    """An empty spill."""
    with SqliteSpill(tmp_path) as opened:
        yield opened


def kept(spill: Spill) -> list[tuple[str, bytes]]:
    """What a spill holds, seen as the engine sees it."""
    return list(spill.items())


def test_put_and_take(spill: SqliteSpill) -> None:
    """Rows are taken once, and keys that were never put are not there."""
    spill.put_many([("b", b"\x00\x01"), ("a", b""), ("ünï\x00'\"", b"x")])
    assert spill.take_many(["a", "c", "ünï\x00'\""]) == {"a": b"", "ünï\x00'\"": b"x"}
    assert spill.take_many(["a", "b"]) == {"b": b"\x00\x01"}
    assert not kept(spill)
    assert spill.take_many([]) == {}


def test_put_again(spill: SqliteSpill) -> None:
    """Rows put again replace those before."""
    spill.put_many([("a", b"1"), ("a", b"2")])
    spill.put_many([("a", b"3")])
    assert kept(spill) == [("a", b"3")]


Step = tuple[str, dict[str, bytes]]
_KEYS = st.text(st.sampled_from('ab\x00"é'), max_size=2)
_STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "take", "freeze", "drop", "read"]), st.dictionaries(_KEYS, st.binary(max_size=4)))
)


class _Rows(KeyedRows):
    """Rows in memory, a few at a time."""

    def __init__(self, rows: dict[str, bytes], few: int) -> None:
        self.rows = dict(sorted(rows.items()))
        self.few = few

    def behind(self, key: str | None) -> list[tuple[str, bytes]]:
        """See `KeyedRows`."""
        return [(name, row) for name, row in self.rows.items() if key is None or name > key][: self.few]

    def find(self, keys: Sequence[str]) -> dict[str, bytes]:
        """See `KeyedRows`."""
        return {key: self.rows[key] for key in keys if key in self.rows}


@given(_STEPS, st.none() | st.dictionaries(_KEYS, st.binary(max_size=4)), st.integers(1, 3), st.integers(1, 9))
def test_like_a_dict(
    tmp_path_factory: pytest.TempPathFactory, history: list[Step], base: dict[str, bytes] | None, few: int, drawn: int
) -> None:
    """Whatever is put and taken, it holds what a dict would, with a base or without one; what is frozen stays so."""
    model: dict[str, bytes] = dict(base or {})
    frozen: tuple[KeyedRows, dict[str, bytes]] | None = None
    with (
        SqliteSpill(tmp_path_factory.getbasetemp()) as spill,
        patch("pipeline.adapters.spill._FEW", few),
        patch("pipeline.adapters.spill._DRAWN", drawn),
    ):
        if base is not None:
            spill.put_many(_Rows(base, few))
        for what, rows in history:
            if what == "put":
                spill.put_many(rows.items())
                model |= rows
            elif what == "take":
                assert spill.take_many(list(rows)) == {key: model.pop(key) for key in rows.keys() & model.keys()}
            elif what == "freeze":
                frozen = spill.items(), dict(model)
            elif what == "drop":
                frozen = None
            if frozen is not None and what == "read":
                then = frozen[1]
                assert list(frozen[0]) == sorted(then.items())
                assert frozen[0].find(list(rows)) == {key: then[key] for key in rows.keys() & then.keys()}
        assert frozen is None or list(frozen[0]) == sorted(frozen[1].items())
        assert kept(spill) == sorted(model.items())


def test_reading_goes_on_from_where_it_was(spill: SqliteSpill) -> None:
    """What is put and taken between two readings changes nothing of what is frozen, in front of it or behind."""
    rows = {f"key-{n:04d}": b"%d" % n for n in range(1000)}
    spill.put_many(rows.items())
    frozen = iter(spill.items())
    seen = list(islice(frozen, 300))
    taken, new = list(rows)[::3], {f"key-{n:04d}": b"new" for n in range(100, 1100, 7)}
    spill.take_many(taken)
    spill.put_many(new.items())
    assert dict(seen + list(frozen)) == rows
    assert dict(kept(spill)) == {key: row for key, row in rows.items() if key not in taken} | new


def test_a_spill_goes_on_from_another(tmp_path: Path) -> None:
    """What one spill kept is another's from the first call, and is drawn over bit by bit; a third goes on from that."""
    rows = {f"key-{n:04d}": b"%d" % n for n in range(3000)}
    with SqliteSpill(tmp_path) as first, SqliteSpill(tmp_path) as second, SqliteSpill(tmp_path) as third:
        first.put_many(rows.items())
        second.put_many(first.items())
        assert second.take_many(["key-0001", "key-2999", "none"]) == {"key-0001": b"1", "key-2999": b"2999"}
        third.put_many(second.items())
        for _ in range(10):
            second.put_many([("key-0001", b"one")])
            third.put_many([("key-2999", b"last")])
        assert second._base is third._base is None
        del rows["key-0001"]
        assert dict(kept(third)) == rows | {"key-2999": b"last"}


def test_only_the_newest_can_be_read(spill: SqliteSpill) -> None:
    """What was frozen before is told to be no longer there, instead of being wrong."""
    spill.put_many([("a", b"1")])
    before = spill.items()
    assert kept(spill) == [("a", b"1")]
    with pytest.raises(RuntimeError, match="behind a newer snapshot"):
        list(before)


def test_more_than_fits_in_memory(tmp_path: Path) -> None:
    """Tens of megabytes, more keys than one question can ask for, come back as they were."""
    rng = np.random.default_rng(7)
    rows = {f"key-{n}": rng.bytes(4096) for n in range(5_000)}
    with SqliteSpill(tmp_path) as spill:
        spill.put_many(rows.items())
        assert spill.take_many(list(rows)) == rows


def test_no_name(spill: SqliteSpill, tmp_path: Path) -> None:
    """Its file, which lies where it was asked to, has lost its name, so that not even a kill leaves it behind."""
    (_, _, path) = spill._rows.execute("PRAGMA database_list").fetchone()
    assert Path(path).parent == tmp_path.resolve()
    spill.put_many((f"key-{n}", bytes(100_000)) for n in range(100))
    assert list(tmp_path.iterdir()) == []


def test_not_writable(tmp_path: Path) -> None:
    """A directory that is not there is told in one line that names it."""
    with pytest.raises(UserError, match=r"absent: found no room for the state of evicted keys"):
        SqliteSpill(tmp_path / "absent")
