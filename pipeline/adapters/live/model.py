"""What the API tells, as plain values: the schemas of its answers are those of these classes.

Times are milliseconds since 1970-01-01 UTC, as JavaScript takes them; those of an anomaly are as in its topic.
"""

from typing import Literal

import msgspec

from pipeline.records import Anomaly, Suppression


class Moment(msgspec.Struct, frozen=True):
    """How much went through in a second.

    Attributes:
        time_ms: its end.
        records_per_s: records consumed; None where it is not known.
        lag_records: records of the input behind the committed offsets.
    """

    time_ms: float
    records_per_s: float | None
    lag_records: int


class PartitionState(msgspec.Struct, frozen=True):
    """A partition held by the service.

    Attributes:
        status: assigned, restoring, catching_up, swapping or live.
        offset: of the next record to take, as committed; None before that is known.
        end: offset that the next record of the input will have, as last seen.
        keys: in memory.
        watermark_ms: newest event time accepted.
        snapshot_offset: of the newest complete snapshot.
        worker: that holds it.
    """

    topic: str
    partition: int
    status: str
    offset: int | None = None
    end: int | None = None
    lag_records: int | None = None
    keys: int = 0
    watermark_ms: float | None = None
    snapshot_offset: int | None = None
    worker: int | None = None


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """How the service is just now; counts are since its processes started.

    Attributes:
        bundle: id of the one that scores.
        ready: as /readyz says; `reason` why not.
        now_ms: by the clock of the service.
        workers, workers_up: processes that there should be, and that answered.
        records_per_s: over the newest seconds; None where it is not known yet.
        records: by what became of them.
        anomalies: flagged points by severity.
        events: events of episodes: opened, worsened, closed.
        dead_letters: messages that could not be used.
        lanes: in memory by phase.
        keys: in memory.
        watermark_ms: newest event time accepted.
        committed_ms: time of the newest commit.
        newest_anomaly: a mark that is another one whenever there are newer anomalies; '' for none yet.
        history: the last minutes, second by second, the oldest first.
    """

    version: str
    bundle: str
    profile: str
    ready: bool
    reason: str
    now_ms: float
    workers: int = 1
    workers_up: int = 1
    records_per_s: float | None
    lag_records: int
    records: dict[str, int]
    anomalies: dict[str, int]
    events: dict[str, int]
    dead_letters: int
    lanes: dict[str, int]
    keys: int
    open_episodes: int
    state_bytes: int
    watermark_ms: float | None
    committed_ms: float | None
    newest_anomaly: str
    history: list[Moment]
    partitions: list[PartitionState]


class AnomalyBrief(msgspec.Struct, frozen=True, kw_only=True):
    """An event of an episode in short; see the anomalies topic for the fields of the same names.

    Attributes:
        suppressed: why nobody need be told of it; None where that is not so.
        outlasted: by what all of the episode was suppressed before it; None where none of it was.
    """

    id: str
    committed_ms: float
    event: str
    episode: str
    kind: str
    key: str
    field: str
    time_ms: float
    opened_ms: float
    severity: str
    observed: float | None
    expected: float | None
    score: float | None
    reason: str
    suppressed: Suppression | None = None
    outlasted: Suppression | None = None


class AnomalyList(msgspec.Struct, frozen=True):
    """Newest events first, as committed."""

    anomalies: list[AnomalyBrief]


class Spoke(msgspec.Struct, frozen=True):
    """A derived stream that spoke, in words.

    Attributes:
        label: what it is.
        horizon: steps ahead of the forecast that it judges; None for one that judges none.
        unit: of its value; '' is that of the observed value.
        rank: in its past.
    """

    name: str
    label: str
    horizon: int | None
    unit: str
    novelty: float | None
    value: float | None
    rank: str


class AnomalyDetail(msgspec.Struct, frozen=True):
    """An event as it is in the anomalies topic, and what is drawn of it.

    Attributes:
        spoke: its streams in words, most novel first.
        horizons: steps ahead of all forecasts that streams judge.
    """

    committed_ms: float
    time_ms: float
    opened_ms: float
    anomaly: Anomaly
    spoke: list[Spoke]
    horizons: list[int]


class KeyList(msgspec.Struct, frozen=True):
    """Keys in memory that hold what was asked for.

    Attributes:
        total: of them in all, of which so many as asked for are listed.
    """

    keys: list[str]
    total: int


class Points(msgspec.Struct, frozen=True, kw_only=True):
    """Recent verdicts of a lane as columns, the oldest first; None where there is no number.

    Attributes:
        severity: 0 for a point that is not flagged, 1 low to 4 critical.
        phase: 0 warming, 1 provisional, 2 live, 3 stale.
        position: of the record in its partition.
    """

    time_ms: list[float]
    value: list[float | None]
    expected: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
    score: list[float | None]
    threshold: list[float | None]
    severity: list[int]
    phase: list[int]
    position: list[int]


class LaneNow(msgspec.Struct, frozen=True, kw_only=True):
    """What the row of a lane in memory says.

    Attributes:
        points: seen so far.
        episode_ms: event time at which the episode opened that is open; None for none.
    """

    phase: Literal["warming", "provisional", "live", "stale"]
    points: int
    newest_ms: float
    silent: bool
    episode_ms: float | None


class LaneHistory(msgspec.Struct, frozen=True, kw_only=True):
    """A lane of a key in a partition.

    Attributes:
        lanes: names of all lanes of the key: its fields, and '*' for all of them together.
        now: None where the key is not in memory, or the service did not come to look in time.
    """

    topic: str
    partition: int
    field: str
    lanes: list[str]
    now: LaneNow | None
    points: Points


class KeyHistory(msgspec.Struct, frozen=True):
    """Recent history of one lane of a key.

    Attributes:
        found: whether anything is known of the key.
        lanes: one for each partition in which the key came; as a rule one.
        anomalies: of this lane, newest first.
    """

    key: str
    found: bool
    lanes: list[LaneHistory]
    anomalies: list[AnomalyBrief]


class Refusal(msgspec.Struct, frozen=True):
    """Why there is no answer."""

    error: str
