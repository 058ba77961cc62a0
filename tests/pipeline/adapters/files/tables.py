"""Writes the same rows in every format, and reads sources back whole."""

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from pipeline.adapters.files import ColumnMapping, FilePartition, open_source
from pipeline.errors import InputError
from pipeline.records import Batch, Problem

FORMATS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".jsonl", ".ndjson.gz", ".json", ".parquet")
Row = dict[str, Any]


def write(path: Path, rows: Sequence[Row]) -> Path:
    """`rows` in the format that the extension says; all have the columns of the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        columns = {name: pa.array([row[name] for row in rows]) for name in rows[0]}
        parquet.write_table(pa.table(columns), path, row_group_size=1000)
        return path
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt", encoding="utf-8", newline="") as file:
        if ".csv" in path.suffixes or ".tsv" in path.suffixes:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if ".tsv" in path.suffixes else ",")
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def only_partition(path: Path | str, mapping: ColumnMapping | None = None, **options: Any) -> FilePartition:
    """The partition of a source of one file."""
    (partition,) = open_source(path, mapping or ColumnMapping(), **options).partitions
    return partition


def whole(batches: Iterable[Batch]) -> "Whole":
    """All batches in one, as plain values that compare."""
    return Whole(list(batches))


class Whole:
    """Records of some batches one after the other, whatever their sizes were."""

    def __init__(self, batches: list[Batch]) -> None:
        self.sizes = [len(batch) for batch in batches]
        self.keys = [batch.key_names[code] for batch in batches for code in batch.key_codes]
        self.time_us = [int(time) for batch in batches for time in batch.time_us]
        self.values = np.concatenate([batch.values for batch in batches] or [np.empty((0, 0))])
        self.position = [int(row) for batch in batches for row in batch.position]
        self.problems = [
            Problem(int(batch.position[problem.index]), problem.field, problem.reason, problem.found)
            for batch in batches
            for problem in batch.problems
        ]
        """Their index is the row, so that they compare across sizes of batches."""


def refusal(call: Callable[[], object]) -> str:
    """Message of the InputError that `call` raises."""
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    return message
