from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.adapters.report.verdicts import Verdicts, concatenate
from pipeline.errors import InputError
from tests.pipeline.adapters.report.samples import Fault, SampleLane, write_replay


def test_points_of_interleaved_lanes_are_numbered_within_their_lane(tmp_path: Path) -> None:
    """Each point knows its lane and its place in it, whatever lies between."""
    write_replay(tmp_path, [SampleLane("a", points=50), SampleLane("b", "flow", points=30)])
    verdicts = Verdicts(tmp_path / "verdicts.parquet")
    points = concatenate(list(verdicts.chunks()))
    assert list(verdicts.lanes) == [("a", "value"), ("b", "flow")]
    for lane, count in ((0, 50), (1, 30)):
        assert points.index[points.lane == lane].tolist() == list(range(count))


def test_numbers_go_on_across_chunks_and_row_groups(tmp_path: Path) -> None:
    """A file read in small chunks gives the points that it gives in one, also when its dictionaries differ by group."""
    write_replay(tmp_path, [SampleLane("a", points=900), SampleLane("b", points=900, faults=[Fault(500, 503)])])
    path = tmp_path / "verdicts.parquet"
    whole = concatenate(list(Verdicts(path).chunks()))
    table = pq.read_table(path)
    plain = table.set_column(0, "key", table["key"].cast(pa.string()))
    pq.write_table(plain, path, row_group_size=301)
    chunks = list(Verdicts(path, chunk_rows=256).chunks())
    assert len(chunks) > 5
    again = concatenate(chunks)
    for name in ("lane", "index", "time_us", "value", "score", "severity", "phase", "in_episode"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name), err_msg=name)


def test_only_scored_and_warming_points_are_shown(tmp_path: Path) -> None:
    """Late, duplicate, dead-lettered and missing points are left out; so is what cannot be drawn, unless flagged."""
    write_replay(tmp_path, [SampleLane("a", points=100, faults=[Fault(50, 50)])])
    path = tmp_path / "verdicts.parquet"
    table = pq.read_table(path)
    fates = ["late", "duplicate", "dead_lettered", "missing", *["scored"] * 96]
    table = table.set_column(table.schema.get_field_index("disposition"), "disposition", pa.array(fates))
    value = table["value"].to_pylist()
    value[10], value[11], value[12], value[50] = None, float("nan"), float("inf"), None
    table = table.set_column(table.schema.get_field_index("value"), "value", pa.array(value))
    pq.write_table(table, path)
    points = concatenate(list(Verdicts(path).chunks()))
    assert len(points) == 93
    assert points.severity[np.isnan(points.value)].tolist() == [3]


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    path = tmp_path / "verdicts.parquet"
    path.write_bytes(b"no parquet")
    with pytest.raises(InputError, match=r"verdicts\.parquet: found .*; expected a readable"):
        list(Verdicts(path).chunks())


def test_a_parquet_file_of_something_else_is_refused(tmp_path: Path) -> None:
    """The error names the first column that is not there."""
    path = tmp_path / "verdicts.parquet"
    pq.write_table(pa.table({"key": ["a"]}), path)
    with pytest.raises(InputError, match="no column 'field'"):
        list(Verdicts(path).chunks())
