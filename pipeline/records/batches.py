"""Records as they are read: where they are from, and a micro-batch of them."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

POINTS_PER_MESSAGE = 2**20
"""Most points that a message may carry, with the formats that carry many."""


class Place(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


class Position(NamedTuple):
    """How far a partition has been processed.

    Attributes:
        offset: of the next record to take.
        note: text kept with it, for whoever goes on; such as where the newest snapshot is.
    """

    offset: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """One unusable value or record of a batch.

    Attributes:
        index: record within the batch.
        field: field within the record, or -1 when the whole record is unusable.
        reason: counter label: 'not_a_number', 'bad_time', 'bad_key', 'malformed' or the like.
        found: the offending text, shortened.
    """

    index: int
    field: int
    reason: str
    found: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one partition in arrival order, as columns.

    Attributes:
        key_names: the distinct keys that `key_codes` indexes; any order.
        key_codes: (n,) int32, the key of each record.
        time_us: (n,) int64, event time in microseconds since 1970-01-01 UTC.
        values: (n, fields) float64; NaN where missing or unusable, infinities as found.
        position: (n,) int64, rising: data row in the file counted from 1, or Kafka offset; with formats that carry many
            points in a message, offset * POINTS_PER_MESSAGE + index within the message.
        problems: the unusable values and records; their cells are NaN in `values`.
    """

    key_names: list[str]
    key_codes: NDArray[np.int32]
    time_us: NDArray[np.int64]
    values: NDArray[np.float64]
    position: NDArray[np.int64]
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.time_us)

    @property
    def unusable(self) -> NDArray[np.bool_]:
        """(n,) whether nothing can be made of a record."""
        mask = np.zeros(len(self), np.bool_)
        mask[[problem.index for problem in self.problems if problem.field < 0]] = True
        return mask

    def slice(self, start: int, stop: int) -> "Batch":
        """The records from `start` to before `stop`, with only their keys."""
        used, codes = np.unique(self.key_codes[start:stop], return_inverse=True)
        return Batch(
            key_names=[self.key_names[code] for code in used],
            key_codes=codes.astype(np.int32),
            time_us=self.time_us[start:stop],
            values=self.values[start:stop],
            position=self.position[start:stop],
            problems=tuple(
                replace(problem, index=problem.index - start)
                for problem in self.problems
                if start <= problem.index < stop
            ),
        )
