from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.accounting import Counts
from pipeline.adapters.lanes_file import LanesFile, Making, open_lanes, write_lanes
from pipeline.codec.checkpoints import encode_checkpoint
from pipeline.errors import UserError
from pipeline.records import Checkpoint, RunIdentity

RUN = RunIdentity("c0ffee", "b1", "history.csv", "0123456789abcdef")
MAKING = Making(
    detector={"kind": "lstm"}, windows={"size": 40}, fields=("flow", "heat"), row="[('a', '<i8')]",
    counts=Counts().to_dict(), left_out=3, keys=2, first_us=1, last_us=2, end_us=None,
)  # fmt: skip
ROWS = [("a", b"first"), ("ä", b"\x00second")]


def _written(path: Path, rows: list[tuple[str, bytes]] = ROWS) -> LanesFile:
    write_lanes(path, RUN, MAKING, rows)
    return open_lanes(path)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    """A file gives back its rows by key, what made it and of what."""
    found = _written(tmp_path / "x.lanes")
    assert list(found.rows) == ROWS
    assert found.rows.find(["ä", "b"]) == {"ä": b"\x00second"}
    assert (found.run, found.making) == (RUN, MAKING)
    assert [path.name for path in tmp_path.iterdir()] == ["x.lanes"]


def test_the_id_follows_from_the_content(tmp_path: Path) -> None:
    """The same lanes in two files have one id, others another."""
    one, same = _written(tmp_path / "one.lanes"), _written(tmp_path / "same.lanes")
    other = _written(tmp_path / "other.lanes", [("a", b"fourth")])
    assert one.id == same.id != other.id
    assert len(one.id) == 16


def test_rows_stay_readable_when_the_file_is_replaced(tmp_path: Path) -> None:
    """Engines that run go on with the lanes that they were given."""
    found = _written(tmp_path / "x.lanes")
    _written(tmp_path / "x.lanes", [("a", b"other")])
    assert found.rows.find(["a"]) == {"a": b"first"}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_every_flipped_bit_is_found(tmp_path: Path, at: float, bit: int) -> None:
    """A damaged file is refused, and what to do is said."""
    path = tmp_path / "x.lanes"
    _written(path)
    content = bytearray(path.read_bytes())
    content[int(at * len(content))] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(UserError, match="driftline warm"):
        open_lanes(path)


@pytest.mark.parametrize("content", [b"", b"time,value\n1,2\n", b"x" * 100])
def test_what_is_no_file_of_lanes_is_refused(tmp_path: Path, content: bytes) -> None:
    """An empty file, a table and anything else are told, and how such a file is made."""
    path = tmp_path / "x.lanes"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.lanes: found .*driftline warm"):
        open_lanes(path)


def test_a_checkpoint_is_no_file_of_lanes(tmp_path: Path) -> None:
    """The state of a run, in the same format, is not taken for what keys begin with."""
    path = tmp_path / "x.lanes"
    path.write_bytes(b"".join(encode_checkpoint(Checkpoint(RUN, {}, {"a": np.zeros(3)}, ["k"]))))
    with pytest.raises(UserError, match="found a checkpoint"):
        open_lanes(path)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A file that cannot be written is an error of the user's, and leaves nothing behind."""
    with pytest.raises(UserError, match="cannot be written"):
        _written(tmp_path / "no" / "x.lanes")
    with pytest.raises(UserError, match="found no readable file"):
        open_lanes(tmp_path / "x.lanes")
