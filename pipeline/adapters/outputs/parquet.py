"""Verdicts as Parquet: one row group per batch of rows, with bytes that depend on the rows alone."""

from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.records import Disposition, Phase, Severity

_NAMES = pa.dictionary(pa.int32(), pa.string())
_LABELS = pa.dictionary(pa.int8(), pa.string())

SCHEMA = pa.schema(
    [
        ("key", _NAMES),
        ("field", _NAMES),
        ("time", pa.timestamp("us", "UTC")),
        ("position", pa.int64()),
        ("value", pa.float64()),
        ("expected", pa.float64()),
        ("lower", pa.float64()),
        ("upper", pa.float64()),
        ("score", pa.float32()),
        ("threshold", pa.float32()),
        ("surprise", pa.float32()),
        ("segment_score", pa.float32()),
        ("is_anomaly", pa.bool_()),
        ("severity", _LABELS),
        ("phase", _LABELS),
        ("disposition", _LABELS),
        ("episode", pa.int64()),
    ]
)
"""Schema of `verdicts.parquet`; a null stands for a missing value, no forecast, no score, no lane or no episode."""

_DICTIONARIES = ["key", "field", "severity", "phase", "disposition"]
_RISING = ["time", "position", "episode"]
NONE = -1
"""Marks a missing phase or episode in a `VerdictTable`; other negative positions belong to empty windows."""

_MEASURES = ["value", "expected", "lower", "upper", "score", "threshold", "surprise", "segment_score"]


def write_verdicts(path: Path, groups: Iterable[pa.RecordBatch]) -> None:
    """Write a Parquet file with a row group for each content of a `RowBuffer` that has rows."""
    with pq.ParquetWriter(
        path,
        SCHEMA,
        compression="zstd",
        compression_level=1,
        use_dictionary=_DICTIONARIES,
        column_encoding=dict.fromkeys(_RISING, "DELTA_BINARY_PACKED"),
    ) as writer:
        for rows in groups:
            if rows.num_rows:
                writer.write_table(pa.Table.from_batches([as_verdicts(rows)]), row_group_size=rows.num_rows)


def as_verdicts(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The content of a `RowBuffer` in the schema of the file."""
    columns = {
        "key": rows["key"],
        "field": rows["field"],
        "time": rows["time_us"].cast(SCHEMA.field("time").type),
        "position": rows["position"],
        **{name: _null_where_nan(rows[name]) for name in _MEASURES},
        "is_anomaly": rows["is_anomaly"],
        "severity": _labels(rows["severity"], Severity),
        "phase": _labels(rows["phase"], Phase),
        "disposition": _labels(rows["disposition"], Disposition),
        "episode": _null_where_none(rows["episode"]),
    }
    return pa.record_batch(columns, SCHEMA)


def _null_where_nan(column: pa.Array) -> pa.Array:
    values = column.to_numpy()
    return pa.array(values, mask=np.isnan(values))


def _null_where_none(column: pa.Array) -> pa.Array:
    values = column.to_numpy()
    return pa.array(values, mask=values == NONE)


def _labels(column: pa.Array, kind: type[IntEnum]) -> pa.DictionaryArray:
    """Lower-case names of the members of `kind`, whose values count up from 0; null for none."""
    return pa.DictionaryArray.from_arrays(_null_where_none(column), [member.name.lower() for member in kind])
