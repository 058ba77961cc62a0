"""What the API tells of networks: the one in service, what happened in the registry, and what became of trainings."""

import msgspec

from pipeline.learning.records import Outcome, SignalKind, Trigger


class ModelEvent(msgspec.Struct, frozen=True):
    """Something that happened to the registry of bundles.

    Attributes:
        kind: published, promoted, rolled_back, held, released, pinned, unpinned or collected.
        bundle, champion: ids, shortened.
    """

    sequence: int
    kind: str
    time_ms: float
    actor: str
    reason: str
    bundle: str | None
    champion: str | None


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a training by `driftline train --follow`.

    Attributes:
        name: under which the registry has it.
        time_ms: when it began.
        trigger: what it was for.
        told: the outcome in words; '' of one that failed, of which `driftline models runs` and the log tell.
        since_ms, until_ms: event time of the history.
        champion: that it was trained on from, shortened.
        bundle: that it came to, shortened; None for none.
        champion_loss, challenger_loss: on what both were judged on, in nats per point.
        points: learned from.
        duration_s: that it took.
        device: trained on; '' where it did not come to that.
    """

    name: str
    time_ms: float
    trigger: Trigger
    outcome: Outcome
    told: str
    since_ms: float
    until_ms: float
    champion: str | None
    bundle: str | None
    champion_loss: float | None
    challenger_loss: float | None
    points: int
    duration_s: float
    device: str


class WaitingSignal(msgspec.Struct, frozen=True, kw_only=True):
    """Something that asks for a training and has not been answered.

    Attributes:
        kind: drift, told by the service, or requested by somebody.
        time_ms: when it was told.
        topic, partition: of drift, where.
        before, behind: of drift, the level of residuals before and behind it, in standard deviations of the lanes.
    """

    name: str
    kind: SignalKind
    time_ms: float
    by: str
    reason: str
    topic: str | None
    partition: int | None
    before: float | None
    behind: float | None


class ModelHistory(msgspec.Struct, frozen=True):
    """The bundle in service, and what the registry of bundles tells.

    Attributes:
        bundle: that scores.
        followed: whether the service goes over to a newer champion by itself.
        champion: of the registry; None where it has none.
        held: whether promotion is held.
        trouble: whether the registry could not be read lately; what is told of it is as last read.
        events: newest first, at most 100.
        trainings: newest first, at most 100.
        waiting: what asks for a training, the oldest first.
    """

    bundle: str
    followed: bool
    champion: str | None
    held: bool
    trouble: bool
    events: list[ModelEvent]
    trainings: list[Training]
    waiting: list[WaitingSignal]
