from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.adapters.outputs.rows import RowBuffer, check_rows, pack_rows, read_rows, unpack_rows, write_rows
from pipeline.records import VerdictTable
from tests.pipeline.adapters.outputs.samples import make_stream, part

STREAM = make_stream(100)


def filled(rows: int, *, size: int = 200) -> RowBuffer:
    """A buffer with the first rows of the stream."""
    buffer = RowBuffer(size)
    buffer.add(part(STREAM, 0, rows), 0)
    return buffer


def bits(rows: pa.RecordBatch) -> bytes:
    """For comparing rows; NaN is not equal to itself."""
    return pack_rows(rows).tobytes()


def test_all_columns() -> None:
    """No column of a verdict is left out but those of the forecast's spread, which the band tells to people."""
    others = {"key_names", "field_names", "released_by", "log_scale", "freedom"}
    assert set(filled(5).content().schema.names) == set(VerdictTable.__slots__) - others


def test_takes_what_fits() -> None:
    """A full buffer takes no more, and says how much it took."""
    buffer = RowBuffer(60)
    assert buffer.add(STREAM, 0) == 60
    assert buffer.add(STREAM, 60) == 0
    buffer.clear()
    assert buffer.add(STREAM, 60) == 40
    assert buffer.content()["position"].to_pylist() == list(range(61, 101))


def test_dictionaries() -> None:
    """Names are listed in order of first appearance, whatever the tables listed and in what order."""
    whole, cut = RowBuffer(200), RowBuffer(200)
    whole.add(STREAM, 0)
    for start in range(0, 100, 7):
        cut.add(part(STREAM, start, min(start + 7, 100)), 0)
    assert bits(cut.content()) == bits(whole.content())
    expected = list(dict.fromkeys(STREAM.key_names[key] for key in STREAM.key))
    assert whole.content()["key"].dictionary.to_pylist() == expected


def test_file(tmp_path: Path) -> None:
    """Rows come back from a file as they were, and stay after it is gone."""
    content = filled(50).content()
    write_rows(tmp_path / "rows", content)
    found = read_rows(tmp_path / "rows")
    (tmp_path / "rows").unlink()
    assert bits(found) == bits(content)


def test_cut_file(tmp_path: Path) -> None:
    """A file that lost its end is told without reading it whole."""
    write_rows(tmp_path / "rows", filled(50).content())
    check_rows(tmp_path / "rows")
    (tmp_path / "rows").write_bytes((tmp_path / "rows").read_bytes()[:-1])
    with pytest.raises(pa.ArrowInvalid):
        check_rows(tmp_path / "rows")


@pytest.mark.parametrize("rows", [0, 1, 50])
def test_restored(rows: int) -> None:
    """A buffer goes on from packed rows with the same bits, NaNs included, as if it had held them all along."""
    restored = RowBuffer(200)
    restored.restore(unpack_rows(pack_rows(filled(rows).content())))
    whole = filled(rows)
    assert bits(restored.content()) == bits(whole.content())
    for buffer in (restored, whole):
        buffer.add(part(STREAM, rows, 100), 0)
    assert bits(restored.content()) == bits(whole.content())
