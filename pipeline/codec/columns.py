"""Records as they are made of messages, and the columns of the batch that they become."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.records import Batch, Problem


class Unusable(Exception):  # noqa: N818  never leaves the decoders
    """A message or record that nothing can be made of."""

    def __init__(self, reason: str, found: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.found = found


class Record(NamedTuple):
    """A record that a key and a time have been made of.

    Attributes:
        problems: (field, reason, found) of each value that cannot be used.
    """

    key: str
    time_us: int
    values: list[float]
    problems: Sequence[tuple[int, str, str]]


class Columns:
    """A batch as it grows.

    Args:
        width: values of a record.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._codes: dict[str, int] = {}
        self._keys: list[int] = []
        self._times: list[int] = []
        self._values: list[float] = []
        self._positions: list[int] = []
        self._problems: list[Problem] = []

    def add(self, position: int, record: Record | Unusable) -> None:
        """Append a record."""
        record = _as_record(len(self._times), record, self._width, self._problems)
        self._keys.append(self._codes.setdefault(record.key, len(self._codes)))
        self._times.append(record.time_us)
        self._values += record.values
        self._positions.append(position)

    def add_all(self, position: int, records: Sequence[Record | Unusable]) -> None:
        """Append the records of a message, the first of which is at this position."""
        for index, record in enumerate(records):
            self.add(position + index, record)

    def batch(self) -> Batch:
        """What has grown."""
        return Batch(
            key_names=list(self._codes),
            key_codes=np.array(self._keys, np.int32),
            time_us=np.array(self._times, np.int64),
            values=np.array(self._values, np.float64).reshape(-1, self._width),
            position=np.array(self._positions, np.int64),
            problems=tuple(self._problems),
        )


def join(parts: Sequence[Batch]) -> Batch:
    """All records of one or more batches, in order; several may have keys more than once among their names."""
    if len(parts) == 1:
        return parts[0]
    lengths = np.cumsum([0, *(len(part) for part in parts)]).tolist()
    known = np.cumsum([0, *(len(part.key_names) for part in parts)]).tolist()
    names, codes = distinct(
        [name for part in parts for name in part.key_names],
        np.concatenate([part.key_codes + before for part, before in zip(parts, known[:-1], strict=True)]),
    )
    return Batch(
        key_names=names,
        key_codes=codes.astype(np.int32),
        time_us=np.concatenate([part.time_us for part in parts]),
        values=np.concatenate([part.values for part in parts]),
        position=np.concatenate([part.position for part in parts]),
        problems=tuple(
            replace(problem, index=problem.index + before)
            for part, before in zip(parts, lengths[:-1], strict=True)
            for problem in part.problems
        ),
    )


def put(batch: Batch, records: dict[int, Record | Unusable]) -> Batch:
    """A batch with some of its places, which nothing is told of yet, taken by these records; its arrays are written."""
    names = list(batch.key_names)
    problems: list[Problem] = []
    for place, record in sorted(records.items()):
        told = _as_record(place, record, batch.values.shape[1], problems)
        batch.key_codes[place], batch.time_us[place], batch.values[place] = len(names), told.time_us, told.values
        names.append(told.key)
    names, codes = distinct(names, batch.key_codes)
    return replace(batch, key_names=names, key_codes=codes, problems=tuple(problems))


def _as_record(index: int, record: Record | Unusable, width: int, problems: list[Problem]) -> Record:
    """A record, with its problems added to the others; of an unusable one only its place is known."""
    if isinstance(record, Unusable):
        problems.append(Problem(index, -1, record.reason, record.found))
        return Record("", 0, [np.nan] * width, ())
    problems += [Problem(index, *problem) for problem in record.problems]
    return record


def distinct(names: list[str], codes: NDArray[np.int32]) -> tuple[list[str], NDArray[np.int32]]:
    """Each name once, with the codes of it."""
    place = {name: at for at, name in enumerate(dict.fromkeys(names))}
    if len(place) == len(names):
        return names, codes
    return list(place), np.array([place[name] for name in names], np.int32)[codes]
