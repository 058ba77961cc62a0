"""Reads `verdicts.parquet` in chunks of numpy columns, so that a replay of any length fits in memory."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.errors import InputError
from pipeline.records import Disposition, Phase, Severity

_FLOATS = ("value", "expected", "lower", "upper", "score", "threshold")
_COLUMNS = ("key", "field", "time", *_FLOATS, "is_anomaly", "severity", "phase", "disposition", "episode")
_SHOWN = (Disposition.SCORED, Disposition.WARMING)
"""What lies on a lane's time line; a late or duplicate point would make the line run backwards."""


@dataclass(frozen=True, slots=True)
class Points:
    """Points in arrival order, as columns (n,); NaN stands where the file has a null.

    Attributes:
        lane: number of the lane.
        index: how many shown points of the same lane came before.
        time_us: event time in microseconds since 1970-01-01 UTC.
        severity: `Severity` of a flagged point, else 0.
        phase: `Phase`.
        in_episode: whether the point belongs to an episode or is flagged.
    """

    lane: NDArray[np.int32]
    index: NDArray[np.int64]
    time_us: NDArray[np.int64]
    value: NDArray[np.float64]
    expected: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    score: NDArray[np.float64]
    threshold: NDArray[np.float64]
    severity: NDArray[np.uint8]
    phase: NDArray[np.uint8]
    in_episode: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.lane)

    def take(self, rows: NDArray[Any]) -> "Points":
        """The points at `rows`, an index or a mask."""
        return Points(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})


def concatenate(parts: list[Points]) -> Points:
    """All points of `parts`, one after the other."""
    return Points(
        **{column.name: np.concatenate([getattr(p, column.name) for p in parts]) for column in fields(Points)}
    )


class Verdicts:
    """The shown points of one file, to be walked as often as needed.

    Args:
        path: a `verdicts.parquet`.
        chunk_rows: rows of the file at a time: enough to be quick, little enough for a small machine.

    Raises:
        InputError: the file cannot be read as one.
    """

    def __init__(self, path: Path, chunk_rows: int = 1 << 18) -> None:
        self._path = path
        self._chunk_rows = chunk_rows
        self.lanes: dict[tuple[str, str], int] = {}
        """Lane number by (key, field); filled by the first walk."""

    @property
    def rows(self) -> int:
        """Rows of the file, those that are not shown included.

        Raises:
            InputError: the file cannot be read.
        """
        with self._opened() as file:
            return int(file.metadata.num_rows)

    def chunks(self) -> Iterator[Points]:
        """The points in file order, those of a number of rows at a time."""
        seen = np.zeros(0, np.int64)
        pending: list[Points] = []
        rows = 0
        for batch in self._batches():
            points, seen = self._points(batch, seen)
            pending.append(points)
            rows += batch.num_rows
            if rows >= self._chunk_rows:
                yield concatenate(pending)
                pending, rows = [], 0
        if pending:
            yield concatenate(pending)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        with self._opened() as file:
            missing = [name for name in _COLUMNS if name not in file.schema_arrow.names]
            if missing:
                raise InputError(str(self._path), found=f"no column {missing[0]!r}", expected="a replay's verdicts")
            yield from file.iter_batches(self._chunk_rows, columns=list(_COLUMNS))

    @contextmanager
    def _opened(self) -> Iterator[pq.ParquetFile]:
        try:
            with pq.ParquetFile(self._path, pre_buffer=False) as file:
                yield file
        except (OSError, pa.ArrowInvalid) as exc:
            reason = str(exc).splitlines()[0]
            raise InputError(str(self._path), found=reason, expected="a readable verdicts.parquet") from exc

    def _points(self, batch: pa.RecordBatch, seen: NDArray[np.int64]) -> tuple[Points, NDArray[np.int64]]:
        """The shown points of a batch, and how many each lane has by now."""
        flagged = batch["is_anomaly"].to_numpy(zero_copy_only=False)
        drawn = np.isin(_codes(batch["disposition"], Disposition), _SHOWN) & np.isfinite(_floats(batch["value"]))
        batch = batch.filter(pa.array(drawn | flagged))
        flagged = batch["is_anomaly"].to_numpy(zero_copy_only=False)
        lane = self._lane_numbers(batch)
        index, seen = _count_up(lane, seen, len(self.lanes))
        points = Points(
            lane=lane,
            index=index,
            time_us=batch["time"].cast(pa.int64()).to_numpy(),
            severity=np.where(flagged, _codes(batch["severity"], Severity), 0).astype(np.uint8),
            phase=_codes(batch["phase"], Phase),
            in_episode=flagged | batch["episode"].is_valid().to_numpy(zero_copy_only=False),
            **{name: _floats(batch[name]) for name in _FLOATS},
        )
        return points, seen

    def _lane_numbers(self, batch: pa.RecordBatch) -> NDArray[np.int32]:
        key, field = (_dictionary(batch[name]) for name in ("key", "field"))
        keys, names = key.dictionary.to_pylist(), field.dictionary.to_pylist()
        pair = key.indices.to_numpy().astype(np.int64) * len(names) + field.indices.to_numpy()
        distinct, where = np.unique(pair, return_inverse=True)
        lanes = [(keys[code // len(names)], names[code % len(names)]) for code in distinct.tolist()]
        numbers = np.array([self.lanes.setdefault(lane, len(self.lanes)) for lane in lanes], np.int32)
        return numbers[where]


def _dictionary(column: pa.Array) -> pa.DictionaryArray:
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()


def _floats(column: pa.Array) -> NDArray[np.float64]:
    floats: NDArray[np.float64] = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return floats


def _codes(column: pa.Array, kind: Any) -> NDArray[np.uint8]:
    """The number that `kind`, an IntEnum, gives each name of a column; 0 for null and for unknown names."""
    column = _dictionary(column)
    known: Mapping[str, int] = {member.name.lower(): int(member) for member in kind}
    by_index = np.array([*(known.get(name, 0) for name in column.dictionary.to_pylist()), 0], np.uint8)
    codes: NDArray[np.uint8] = by_index[column.indices.fill_null(len(by_index) - 1).to_numpy()]
    return codes


def _count_up(
    lane: NDArray[np.int32], seen: NDArray[np.int64], lanes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each point its rank within its lane, counted on from `seen`; and the new counts (lanes,)."""
    seen = np.concatenate([seen, np.zeros(lanes - len(seen), np.int64)])
    counts = np.bincount(lane, minlength=lanes)
    order = np.argsort(lane, kind="stable")
    index = np.empty(len(lane), np.int64)
    index[order] = np.arange(len(lane)) - np.repeat(np.cumsum(counts) - counts, counts)
    return index + seen[lane], seen + counts
