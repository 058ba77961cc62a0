"""Verdicts of two runs side by side."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipeline.adapters.report.diff.aligning import Aligned, align
from pipeline.adapters.report.verdicts import Points, Verdicts
from tests.pipeline.adapters.report.samples import SampleLane, write_replay

_LANES = [SampleLane(f"pump-{number}", points=400 + 50 * number) for number in range(5)]
Name = tuple[str, str, int]


def _aligned(a: Path, b: Path, chunk_rows: int) -> tuple[list[Aligned], list[tuple[str, str]]]:
    ours, theirs = (Verdicts(folder / "verdicts.parquet", chunk_rows) for folder in (a, b))
    theirs.lanes = ours.lanes
    return list(align(ours, theirs)), list(ours.lanes)


def _names(parts: Iterable[Points], lanes: list[tuple[str, str]]) -> Counter[Name]:
    return Counter(
        (*lanes[lane], at)
        for points in parts
        for lane, at in zip(points.lane.tolist(), points.time_us.tolist(), strict=True)
    )


def _without(folder: Path, into: Path, mask: pa.Array | None = None, order: np.ndarray | None = None) -> Path:
    """A copy of the verdicts of a run without some of the rows, or in another order."""
    table = pq.read_table(folder / "verdicts.parquet")
    table = table if mask is None else table.filter(mask)
    table = table if order is None else table.take(order)
    into.mkdir()
    pq.write_table(table, into / "verdicts.parquet")
    return into


@pytest.mark.parametrize("chunk_rows", [64, 1000, 1 << 18])
def test_the_same_rows_meet_one_by_one(tmp_path: Path, chunk_rows: int) -> None:
    """Whatever the size of the chunks, a run meets itself row by row."""
    run = write_replay(tmp_path / "a", _LANES)
    parts, lanes = _aligned(run, run, chunk_rows)
    assert sum(len(part.a) for part in parts) == sum(lane.points for lane in _LANES)
    for part in parts:
        assert not len(part.only_a)
        assert not len(part.only_b)
        assert (part.a.lane == part.b.lane).all()
        assert (part.a.time_us == part.b.time_us).all()
    assert max(_names([part.a for part in parts], lanes).values()) == 1


@pytest.mark.parametrize("chunk_rows", [64, 1000])
def test_rows_that_one_run_lacks_are_told(tmp_path: Path, chunk_rows: int) -> None:
    """A lane, single points and the end of a run that the other lacks: all points come once, where they belong."""
    a = write_replay(tmp_path / "a", _LANES)
    table = pq.read_table(a / "verdicts.parquet")
    rng = np.random.default_rng(7)
    one_lane = pc.not_equal(table["key"].cast(pa.string()), "pump-3")
    b = _without(a, tmp_path / "b", mask=pc.and_(one_lane, pa.array(rng.random(len(table)) > 0.3)))
    c = _without(a, tmp_path / "c", mask=pa.array(np.arange(len(table)) < 1700))
    expected = [{(one["key"], one["field"], one["time"]) for one in _rows(folder)} for folder in (b, c)]
    parts, lanes = _aligned(b, c, chunk_rows)
    met = _names([part.a for part in parts], lanes)
    assert met == _names([part.b for part in parts], lanes)
    assert set(met) == expected[0] & expected[1]
    assert set(_names([part.only_a for part in parts], lanes)) == expected[0] - expected[1]
    assert set(_names([part.only_b for part in parts], lanes)) == expected[1] - expected[0]


def test_another_order_of_lanes_changes_nothing(tmp_path: Path) -> None:
    """Lanes after one another meet those that take turns."""
    a = write_replay(tmp_path / "a", _LANES)
    keys = pq.read_table(a / "verdicts.parquet")["key"].cast(pa.string()).to_numpy(zero_copy_only=False)
    b = _without(a, tmp_path / "b", order=np.argsort(keys, kind="stable"))
    parts, _ = _aligned(a, b, 256)
    assert sum(len(part.a) for part in parts) == len(keys)
    assert not any(len(part.only_a) + len(part.only_b) for part in parts)


def _rows(folder: Path) -> list[dict[str, str | int]]:
    table = pq.read_table(folder / "verdicts.parquet", columns=["key", "field", "time"])
    rows: list[dict[str, str | int]] = table.set_column(2, "time", table["time"].cast(pa.int64())).to_pylist()
    return rows
