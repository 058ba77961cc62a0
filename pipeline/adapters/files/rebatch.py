"""From chunks of any size to batches of one size; what a batch holds does not depend on how the chunks were cut."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.records import Batch, Problem


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one file, converted but not yet cut to size.

    Attributes:
        keys: strings (n,); None when the partition's name is the key of all.
        time_us: (n,) int64.
        values: (n, fields) float64.
        position: (n,) int64.
        problems: in rising order of index.
    """

    keys: pa.Array | None
    time_us: NDArray[np.int64]
    values: NDArray[np.float64]
    position: NDArray[np.int64]
    problems: list[Problem]

    def part(self, start: int, stop: int) -> "Chunk":
        """Records `start` to before `stop`."""
        first = bisect_left(self.problems, start, key=lambda problem: problem.index)
        end = bisect_left(self.problems, stop, key=lambda problem: problem.index)
        return Chunk(
            None if self.keys is None else self.keys[start:stop],
            self.time_us[start:stop],
            self.values[start:stop],
            self.position[start:stop],
            [replace(problem, index=problem.index - start) for problem in self.problems[first:end]],
        )


def rebatch(chunks: Iterable[Chunk], batch_size: int, name: str) -> Iterator[Batch]:
    """Batches of `batch_size` records, the last of what is left.

    Args:
        name: key of the records whose chunks have none.
    """
    parts: list[Chunk] = []
    room = batch_size
    for chunk in chunks:
        start, length = 0, len(chunk.time_us)
        while length - start >= room:
            parts.append(chunk.part(start, start + room))
            yield _joined(parts, name)
            start += room
            parts, room = [], batch_size
        if start < length:
            parts.append(chunk.part(start, length))
            room -= length - start
    if parts:
        yield _joined(parts, name)


def _joined(parts: list[Chunk], name: str) -> Batch:
    time_us = np.concatenate([part.time_us for part in parts])
    starts = np.cumsum([0, *(len(part.time_us) for part in parts)]).tolist()
    names, codes = _encoded([part.keys for part in parts if part.keys is not None], len(time_us), name)
    return Batch(
        names,
        codes,
        time_us,
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.position for part in parts]),
        tuple(
            replace(problem, index=problem.index + start)
            for part, start in zip(parts, starts, strict=False)
            for problem in part.problems
        ),
    )


def _encoded(keys: list[pa.Array], length: int, name: str) -> tuple[list[str], NDArray[np.int32]]:
    """Distinct keys in order of appearance, and the index of each record's."""
    if not keys:
        return [name], np.zeros(length, np.int32)
    encoded = pa.chunked_array(keys).combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), np.array(encoded.indices, np.int32)
