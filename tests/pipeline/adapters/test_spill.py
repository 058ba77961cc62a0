from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.spill import SqliteSpill
from pipeline.errors import UserError
from pipeline.interfaces import Spill


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
    assert len(spill) == 3
    assert spill.take_many(["a", "c", "ünï\x00'\""]) == {"a": b"", "ünï\x00'\"": b"x"}
    assert spill.take_many(["a", "b"]) == {"b": b"\x00\x01"}
    assert len(spill) == 0
    assert spill.take_many([]) == {}


def test_put_again(spill: SqliteSpill) -> None:
    """Rows put again replace those before."""
    spill.put_many([("a", b"1"), ("a", b"2")])
    spill.put_many([("a", b"3")])
    assert kept(spill) == [("a", b"3")]


@given(
    st.lists(
        st.one_of(
            st.dictionaries(st.sampled_from("abcdef"), st.binary(max_size=4)), st.lists(st.sampled_from("abcdef"))
        )
    )
)
def test_like_a_dict(tmp_path_factory: pytest.TempPathFactory, history: list[dict[str, bytes] | list[str]]) -> None:
    """Whatever is put and taken, it holds what a dict would; items come in order of their keys."""
    model: dict[str, bytes] = {}
    with SqliteSpill(tmp_path_factory.getbasetemp()) as spill:
        for step in history:
            if isinstance(step, dict):
                spill.put_many(step.items())
                model |= step
            else:
                assert spill.take_many(step) == {key: model.pop(key) for key in set(step) & model.keys()}
        assert kept(spill) == sorted(model.items())


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
