from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.adapters.outputs.parquet import SCHEMA, as_verdicts, write_verdicts
from pipeline.adapters.outputs.rows import RowBuffer, pack_rows, unpack_rows
from pipeline.records import Disposition, Phase, Severity, VerdictTable
from tests.pipeline.adapters.outputs.samples import make_stream

ROWS = 300
STREAM = make_stream(ROWS)


@pytest.fixture
def written(tmp_path: Path) -> pa.Table:
    """The stream, written as two row groups and read back."""
    groups = []
    for start in (0, 200):
        buffer = RowBuffer(200)
        buffer.add(STREAM, start)
        groups.append(unpack_rows(pack_rows(buffer.content())))
    write_verdicts(tmp_path / "verdicts.parquet", groups)
    return pq.read_table(tmp_path / "verdicts.parquet")


def test_schema() -> None:
    """The columns of the file and their order, which people depend on."""
    assert [(field.name, str(field.type)) for field in SCHEMA] == [
        ("key", "dictionary<values=string, indices=int32, ordered=0>"),
        ("field", "dictionary<values=string, indices=int32, ordered=0>"),
        ("time", "timestamp[us, tz=UTC]"),
        ("position", "int64"),
        ("value", "double"),
        ("expected", "double"),
        ("lower", "double"),
        ("upper", "double"),
        ("score", "float"),
        ("threshold", "float"),
        ("surprise", "float"),
        ("segment_score", "float"),
        ("is_anomaly", "bool"),
        ("severity", "dictionary<values=string, indices=int8, ordered=0>"),
        ("phase", "dictionary<values=string, indices=int8, ordered=0>"),
        ("disposition", "dictionary<values=string, indices=int8, ordered=0>"),
        ("episode", "int64"),
    ]


def test_values(written: pa.Table) -> None:
    """Every row comes back as it was, with null for what is missing."""
    assert written.schema.names == SCHEMA.names
    assert written["key"].to_pylist() == [STREAM.key_names[key] for key in STREAM.key]
    assert written["field"].to_pylist() == [STREAM.field_names[field] for field in STREAM.field]
    assert written["time"].cast(pa.int64()).to_pylist() == STREAM.time_us.tolist()
    assert written["position"].to_pylist() == STREAM.position.tolist()
    for name in ("value", "expected", "lower", "upper", "score", "threshold", "surprise", "segment_score"):
        column = getattr(STREAM, name)
        assert written[name].to_pylist() == [None if np.isnan(value) else value for value in column.tolist()]
    assert written["is_anomaly"].to_pylist() == STREAM.is_anomaly.tolist()
    for name, kind in (("severity", Severity), ("phase", Phase), ("disposition", Disposition)):
        codes = getattr(STREAM, name).tolist()
        assert written[name].to_pylist() == [None if code < 0 else kind(code).name.lower() for code in codes]
    assert written["episode"].to_pylist() == [None if opened < 0 else opened for opened in STREAM.episode.tolist()]


def test_infinities() -> None:
    """An infinite value is a value."""
    columns = {name: getattr(STREAM, name)[:2] for name in VerdictTable.__slots__ if not name.endswith("names")}
    columns["value"] = np.array([np.inf, -np.inf])
    buffer = RowBuffer(2)
    buffer.add(VerdictTable(key_names=STREAM.key_names, field_names=STREAM.field_names, **columns), 0)
    assert as_verdicts(buffer.content())["value"].to_pylist() == [np.inf, -np.inf]


def test_enumerations_count_up_from_0() -> None:
    """The numbers of the names in the file are those of the enumerations."""
    for kind in (Severity, Phase, Disposition):
        assert list(kind) == list(range(len(kind)))
