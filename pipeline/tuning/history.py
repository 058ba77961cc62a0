"""Recorded streams in memory, as trials run over them again and again. Imports nothing compiled."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.labelled import LabelledStream
from pipeline.records import Batch

Ints = NDArray[np.int64]
NO_WINDOWS: Ints = np.empty((0, 2), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """What one engine takes: the n records of a file, with what is known of its streams.

    Attributes:
        name: of the file.
        fields: names of the values of a record.
        keys: names of its streams.
        key: (n,) int32, stream of each record.
        time_us: (n,) int64, event time in microseconds since 1970-01-01 UTC.
        values: (n, fields) float64; NaN where missing.
        windows: (w, 2) int64 for each stream, first and last microsecond of its labelled windows, disjoint.
        measured_from: (keys,) int64, row from which on alarms of each stream count; n for a stream of which none do.
    """

    name: str
    fields: tuple[str, ...]
    keys: tuple[str, ...]
    key: NDArray[np.int32]
    time_us: Ints
    values: NDArray[np.float64]
    windows: tuple[Ints, ...]
    measured_from: Ints

    def __len__(self) -> int:
        return len(self.time_us)

    @property
    def points(self) -> int:
        """Records times fields."""
        return int(self.values.size)

    def rows_of(self, key: int) -> Ints:
        """Its records, by row, that are measured."""
        rows: Ints = np.flatnonzero((self.key == key) & (np.arange(len(self)) >= self.measured_from[key]))
        return rows

    def batches(self, size: int) -> Iterator[Batch]:
        """The records in micro-batches; a position is a row counted from 1."""
        for start in range(0, len(self), size):
            rows = slice(start, min(start + size, len(self)))
            yield Batch(
                list(self.keys),
                self.key[rows],
                self.time_us[rows],
                np.array(self.values[rows]),
                np.arange(rows.start, rows.stop) + 1,
            )

    def until(self, row: int) -> "Recording":
        """The records before a row."""
        return replace(
            self,
            key=self.key[:row],
            time_us=self.time_us[:row],
            values=self.values[:row],
            measured_from=np.minimum(self.measured_from, row),
        )

    def of_keys(self, keys: Sequence[int]) -> "Recording":
        """The records of some streams alone."""
        kept = np.flatnonzero(np.isin(self.key, keys))
        number = np.zeros(len(self.keys), np.int32)
        number[list(keys)] = np.arange(len(keys))
        return Recording(
            self.name,
            self.fields,
            tuple(self.keys[key] for key in keys),
            number[self.key[kept]].astype(np.int32),
            self.time_us[kept],
            self.values[kept],
            tuple(self.windows[key] for key in keys),
            np.searchsorted(kept, self.measured_from[list(keys)]),
        )


def measure_after(recording: Recording, points: int, row: int = 0) -> Recording:
    """The recording, its streams measured behind so many records of theirs, and not before a row."""
    started = np.full(len(recording.keys), len(recording), np.int64)
    for key in range(len(recording.keys)):
        rows = np.flatnonzero(recording.key == key)
        if len(rows) > points:
            started[key] = rows[points]
    return replace(recording, measured_from=np.maximum(np.maximum(recording.measured_from, started), row))


def record_batches(name: str, fields: tuple[str, ...], batches: Iterable[Batch]) -> Recording:
    """The records of a file, from its batches; records without a key are left out."""
    code_of: dict[str, int] = {}
    parts = []
    for batch in batches:
        codes = np.array([code_of.setdefault(key, len(code_of)) for key in batch.key_names], np.int32)
        usable = ~batch.unusable
        parts.append((codes[batch.key_codes][usable], batch.time_us[usable], batch.values[usable]))
    empty = (np.empty(0, np.int32), np.empty(0, np.int64), np.empty((0, len(fields))))
    key, time_us, values = (np.concatenate(columns) for columns in zip(*(parts or [empty]), strict=True))
    present, key = np.unique(key, return_inverse=True)
    names = list(code_of)
    return Recording(
        name,
        fields,
        tuple(names[code] for code in present.tolist()),
        key.astype(np.int32),
        time_us,
        values,
        (NO_WINDOWS,) * len(present),
        np.zeros(len(present), np.int64),
    )


def record_labelled(stream: LabelledStream) -> Recording:
    """A labelled stream, measured behind its history."""
    return Recording(
        stream.name,
        stream.fields,
        (stream.name,),
        np.zeros(len(stream), np.int32),
        stream.time_us,
        stream.values,
        (stream.windows,),
        np.array([stream.history], np.int64),
    )


def label(recording: Recording, spans: Mapping[str, Sequence[tuple[int, int]]]) -> Recording:
    """The recording with labelled windows of its streams, by key; they must not overlap."""
    windows = (np.array(spans.get(key, ()), np.int64).reshape(-1, 2) for key in recording.keys)
    return replace(recording, windows=tuple(windows))


def fingerprint(recordings: Iterable[Recording]) -> str:
    """16 hex digits of the SHA-256 of all that is recorded and known: what tells one history from another."""
    digest = hashlib.sha256()
    for recording in recordings:
        sizes = len(recording), [len(windows) for windows in recording.windows]
        digest.update(repr((recording.name, recording.fields, recording.keys, sizes)).encode())
        for array in (recording.key, recording.time_us, recording.values, recording.measured_from, *recording.windows):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
