"""What is said of points and of records: what became of each, and the verdicts as a table."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

JOINT = "*"
"""Where fields are named, the name of what the fields of a key are together; no field of a record may have it."""


class Disposition(IntEnum):
    """What became of a point or record. Every record consumed has exactly one (the accounting identity)."""

    SCORED = 0
    WARMING = 1
    LATE = 2
    DUPLICATE = 3
    DEAD_LETTERED = 4
    MISSING = 5
    """Points only: this field had no usable value while another field of the same record had one."""


class Phase(IntEnum):
    """How far a lane can be trusted."""

    WARMING = 0
    PROVISIONAL = 1
    LIVE = 2
    STALE = 3


class Severity(IntEnum):
    """Grade of a flagged point; NONE for a point that is not flagged."""

    NONE = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4


@dataclass(frozen=True, slots=True)
class VerdictTable:
    """Verdicts of one micro-batch as columns, one row per point, in the order in which they were decided.

    Attributes:
        key_names: the keys that `key` indexes; any order.
        field_names: the lanes of a key that `field` indexes: fields, and `JOINT` where keys have a joint lane.
        key: (n,) int32.
        field: (n,) int8.
        time_us: (n,) event time; of the end of the slice for event-time windows.
        position: (n,) of the record the point came from; minus the event time for an empty window, which has none.
        value: (n,) as observed; NaN for a missing one.
        expected, lower, upper: (n,) one-step forecast and its band in the units of the value; NaN for none.
        score, threshold: (n,) NaN for points that were not scored.
        surprise: (n,) one-step residual in units of its forecast scale; NaN for none.
        segment_score: (n,) how much energy there has lately been; NaN for points that were not scored.
        log_scale, freedom: (n,) of the one-step forecast, a Student-t distribution in normalised units; NaN for none
            and for lanes that are constant so far. Of use only where there is a surprise.
        is_anomaly: (n,)
        severity: (n,) of `Severity`.
        phase: (n,) of `Phase`; -1 for points that reached no lane.
        disposition: (n,) of `Disposition`.
        episode: (n,) position of the record that opened the point's episode; -1 for none.
        released_by: (n,) position of the record with which the row was decided; never falling.
    """

    key_names: list[str]
    field_names: tuple[str, ...]
    key: NDArray[np.int32]
    field: NDArray[np.int8]
    time_us: NDArray[np.int64]
    position: NDArray[np.int64]
    value: NDArray[np.float64]
    expected: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    score: NDArray[np.float32]
    threshold: NDArray[np.float32]
    surprise: NDArray[np.float32]
    segment_score: NDArray[np.float32]
    log_scale: NDArray[np.float32]
    freedom: NDArray[np.float32]
    is_anomaly: NDArray[np.bool_]
    severity: NDArray[np.int8]
    phase: NDArray[np.int8]
    disposition: NDArray[np.int8]
    episode: NDArray[np.int64]
    released_by: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.time_us)
