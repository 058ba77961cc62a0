"""Records, verdicts and anomalies: the plain data that flows through the pipeline, as columns.

A micro-batch is columnar from the first byte to the last: one array per property, one entry per record (or per point,
which is one field of one record). Nothing here touches the world.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

POINTS_PER_MESSAGE = 2**20
"""Most points that a message may carry, with the formats that carry many."""

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


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """A derived stream that spoke at an event.

    Attributes:
        novelty: how much it counts in the score.
        horizon: steps ahead of the forecast that it judges; None for a stream that judges none.
        side: on which it is far out: above or below.
        value: of the stream, in the units of the observed value; means of residuals in normalised units, and means of
            surprises in those of the forecast's scale.
        seen: remembered points that were as far out on that side, or farther.
        among: points that memory covers.
        exact: whether no more were seen than `seen`; memory ends farther out otherwise.
    """

    name: str
    novelty: float
    horizon: int | None
    side: Literal["above", "below"]
    value: float
    seen: int
    among: int
    exact: bool


class Suppression(msgspec.Struct, frozen=True):
    """Why nobody need be told of an event: what somebody has said of its time.

    Attributes:
        id: of the feedback.
        kind: of it.
        note: that was left with it.
    """

    id: str
    kind: Literal["false_alarm", "maintenance"]
    note: str


class Anomaly(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One event of an episode, as written to the anomalies output; times are ISO 8601 in UTC.

    Attributes:
        schema: version of this layout.
        id: deterministic: the same event of the same input always has the same.
        event: opened, worsened or closed.
        episode: id of the episode, that of the event that opened it.
        kind: point, level_shift (known once it closes) or silence.
        score, threshold, segment_score: of this point; None for silence.
        field: of the lane; `JOINT` for all fields together.
        once_in: points in which a fault-free lane of this age opens an episode with a score like the peak once; None
            for silence, and where it is not known.
        reason: all of it in a sentence.
        contributions: each field's share in the record's evidence, or in what was odd together; they sum to 1.
        streams: the derived streams that spoke, most novel first.
        points: flagged points of the episode so far.
        context: newest values of the lane up to this point, oldest first, at most 64.
        position: of the record in its partition: row of the file from 1, or offset.
        index: of the point within a message that carries many, from 0.
        suppressed: why nobody need be told of the event; left out where that is not so.
        outlasted: by what all of the episode was suppressed before this event; left out where none of it was.
    """

    schema: int = 1
    id: str
    event: str
    episode: str
    kind: str
    key: str
    field: str
    time: str
    observed: float | None
    expected: float | None
    lower: float | None
    upper: float | None
    score: float | None
    threshold: float | None
    segment_score: float | None = None
    severity: str
    peak_score: float | None
    once_in: int | None = None
    points: int
    opened_at: str
    reason: str = ""
    contributions: dict[str, float]
    streams: list[Evidence]
    context: list[float]
    bundle: str
    source: str
    partition: str
    position: int
    index: int = 0
    suppressed: Suppression | msgspec.UnsetType = msgspec.UNSET
    outlasted: Suppression | msgspec.UnsetType = msgspec.UNSET


class RunIdentity(msgspec.Struct, frozen=True, omit_defaults=True):
    """What makes a run the run it is; a checkpoint of another is not continued from.

    Attributes:
        past: what its keys begin with; '' where all begin anew.
    """

    config_hash: str
    bundle: str
    source: str
    past: str = ""


class KeyedRows(ABC):
    """Keys with their rows, in order of the keys, that stay as they are and need not be in memory."""

    @abstractmethod
    def behind(self, key: str | None) -> list[tuple[str, bytes]]:
        """The next few behind a key, or the first few; none only where there are no more."""

    @abstractmethod
    def find(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Rows of those of the keys that are among them."""

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        few = self.behind(None)
        while few:
            yield from few
            few = self.behind(few[-1][0])


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """The state of a run behind one record.

    Attributes:
        run: whose state it is.
        meta: position, counts, clocks and the like, as JSON can hold them; floats finite.
        arrays: by name, of any shape and of any dtype without Python objects, structured ones included.
        key_names: names of the keys in the arrays, in their order.
        spilled: evicted keys with their rows, in order of the keys; there may be far more than fit into memory.
    """

    run: RunIdentity
    meta: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    key_names: list[str]
    spilled: Iterable[tuple[str, bytes]] = ()
