"""Records as they are made of messages, and the columns of the batch that they become."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

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
        """Append a record; of an unusable one only its place is known."""
        index = len(self._times)
        if isinstance(record, Unusable):
            self._problems.append(Problem(index, -1, record.reason, record.found))
            record = Record("", 0, [np.nan] * self._width, ())
        self._problems += [Problem(index, *problem) for problem in record.problems]
        self._keys.append(self._codes.setdefault(record.key, len(self._codes)))
        self._times.append(record.time_us)
        self._values += record.values
        self._positions.append(position)

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
