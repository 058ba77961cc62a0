"""The events of episodes as they are told; a public interface."""

from typing import Literal

import msgspec


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
