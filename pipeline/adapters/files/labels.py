"""Labels: the stretches of time in which streams are known to have been anomalous.

Either the layout of the Numenta Anomaly Benchmark, `{"group/file.csv": [["start", "end"], ...]}` in a `.json` file, or
a table (CSV, TSV, Parquet, JSON lines) with the columns key, start and end.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.adapters.files.blocks import Block, Reader
from pipeline.adapters.files.cells import parse_keys
from pipeline.adapters.files.detect import no_such_column
from pipeline.adapters.files.discover import find_files, split_format
from pipeline.adapters.files.readers import reader_for
from pipeline.adapters.files.text_file import open_text, reading
from pipeline.adapters.files.times import CellError, parse_times, unit_of
from pipeline.errors import InputError

Spans = list[tuple[int, int]]
"""(start, end) in microseconds since 1970-01-01 UTC, both within the anomaly, sorted."""

_COLUMNS = ("key", "start", "end")
_NAB_EXPECTED = 'an object such as {"group/file.csv": [["2014-02-07 14:55:00", "2014-02-09 14:05:00"]]}'


@dataclass(frozen=True, slots=True)
class MatchedLabels:
    """Labels by the key of the stream that they are about.

    Attributes:
        spans: for every stream that has labels, its spans; an empty list says that the stream is known to be normal.
        unmatched: keys of labels that are about no stream or cannot be told apart, sorted.
    """

    spans: dict[str, Spans]
    unmatched: tuple[str, ...]


def read_labels(path: str | Path) -> dict[str, Spans]:
    """Spans by key; times without a zone are UTC.

    Raises:
        InputError: the file is missing or laid out otherwise, a key or time is none, or an end lies before its start.
    """
    files, _ = find_files(path)
    if len(files) > 1:
        raise InputError(str(path), found=f"{len(files)} files", expected="one file of labels")
    labels = _read_nab(files[0].path) if files[0].format == ".json" else _read_table(reader_for(files[0]))
    return {key: sorted(spans) for key, spans in labels.items()}


def match_labels(labels: Mapping[str, Spans], keys: Iterable[str]) -> MatchedLabels:
    """The labels of each stream: those of its very key, else those whose key ends in the same name.

    A name is what follows the last `/`. It counts only where one label and one stream have it, so that a file replayed
    alone or from another folder finds its labels and no other's.
    """
    streams = list(keys)
    stream_of_name, label_of_name = _sole_by_name(streams), _sole_by_name(labels)
    label_of = {stream: label_of_name[name] for name, stream in stream_of_name.items() if name in label_of_name}
    label_of |= {stream: stream for stream in streams if stream in labels}
    unmatched = sorted(set(labels) - set(label_of.values()))
    return MatchedLabels(
        {stream: labels[label_of[stream]] for stream in streams if stream in label_of}, tuple(unmatched)
    )


def _sole_by_name(keys: Iterable[str]) -> dict[str, str]:
    """Keys by the part after their last `/`, of those with which no other key shares it."""
    names = {key: key.rpartition("/")[2] for key in keys}
    count = Counter(names.values())
    return {name: key for key, name in names.items() if count[name] == 1}


def _read_nab(path: Path) -> dict[str, Spans]:
    with reading(path, "JSON"), open_text(path) as stream:
        text = stream.read()
    try:
        windows = msgspec.json.decode(text, type=dict[str, list[tuple[str, str]]])
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise InputError(str(path), found=f"another layout ({exc})", expected=_NAB_EXPECTED) from exc
    labels: dict[str, Spans] = {}
    for file, pairs in windows.items():
        split = split_format(PurePosixPath(file))
        try:
            times = parse_times(pa.array([time for pair in pairs for time in pair], pa.string()), "iso")
        except CellError as exc:
            raise InputError(str(path), found=f"{exc.found} for {file!r}", expected=exc.expected) from exc
        if (backward := _backward(times[0::2], times[1::2])) is not None:
            found = f"for {file!r} the end {pairs[backward][1]} before the start {pairs[backward][0]}"
            raise InputError(str(path), found=found, expected="start, then end")
        labels[split[0] if split else file] = list(zip(times[0::2].tolist(), times[1::2].tolist(), strict=True))
    return labels


def _read_table(reader: Reader) -> dict[str, Spans]:
    names = reader.columns()
    for column in _COLUMNS:
        if column not in names:
            raise no_such_column(str(reader.path), column, names)
    labels: dict[str, Spans] = {}
    for block in reader.read(_COLUMNS):
        keys, keyless = parse_keys(block.columns[0])
        if keyless.size:
            row = block.first_row + int(keyless[0])
            raise InputError(str(reader.path), row=row, column="key", found="no key", expected="that of a stream")
        start_us, end_us = (_times(reader, block, column) for column in (1, 2))
        if (backward := _backward(start_us, end_us)) is not None:
            row = block.first_row + backward
            raise InputError(str(reader.path), row=row, found="an end before its start", expected="start, then end")
        for key, start, end in zip(keys.to_pylist(), start_us.tolist(), end_us.tolist(), strict=True):
            labels.setdefault(key, []).append((start, end))
    return labels


def _times(reader: Reader, block: Block, column: int) -> NDArray[np.int64]:
    cells = block.columns[column]
    try:
        return parse_times(cells, unit_of(cells), one_size=True)
    except CellError as exc:
        row = block.first_row + exc.index
        raise InputError(
            str(reader.path), row=row, column=_COLUMNS[column], found=exc.found, expected=exc.expected
        ) from exc


def _backward(start_us: NDArray[np.int64], end_us: NDArray[np.int64]) -> int | None:
    """Index of the first span whose end lies before its start."""
    backward = np.flatnonzero(end_us < start_us)
    return int(backward[0]) if backward.size else None
