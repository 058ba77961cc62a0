"""What is kept of learning: signals that ask for a training, and runs that tell what became of one.

Both are written once and never changed. Whether a signal was answered follows from the runs.
"""

from datetime import datetime
from typing import Literal, TypeVar

import msgspec

VERSION = 1
SignalKind = Literal["drift", "requested"]
Trigger = Literal["drift", "requested", "schedule"]
Outcome = Literal["promoted", "passed", "held", "refused", "overtaken", "not_enough_history", "failed"]
OUTCOMES: tuple[Outcome, ...] = (
    "promoted", "passed", "held", "refused", "overtaken", "not_enough_history", "failed",
)  # fmt: skip
JUDGED = {"promoted", "passed", "held", "refused"}
"""Outcomes of runs in which a gate has come to a decision."""
R = TypeVar("R", "Signal", "Run")


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody thinks that a training is due.

    Attributes:
        name: of it, which sorts by time.
        kind: 'drift', told by a process of the service, or 'requested' by a command.
        at: when, by the clock of whoever tells it.
        by: who tells it.
        reason: in words.
        bundle: with 'drift', first digits of the id of the one in service.
        topic, partition: with 'drift', where.
        event_time: with 'drift', the newest of the partition.
        since: with 'drift', the event time at which it has begun, so far as can be told; None of earlier versions.
        quantile: with 'drift', of the residuals that has risen.
        before, behind: with 'drift', its level before and behind the change, in standard deviations of the lanes.
    """

    format: Literal["driftline-signal"] = "driftline-signal"
    version: int = VERSION
    name: str
    kind: SignalKind
    at: datetime
    by: str
    reason: str = ""
    bundle: str = ""
    topic: str | None = None
    partition: int | None = None
    event_time: datetime | None = None
    since: datetime | None = None
    quantile: float | None = None
    before: float | None = None
    behind: float | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a training.

    Attributes:
        name: of it, which sorts by time.
        at: when it began.
        by: who has run it.
        trigger: what it was for.
        answers: names of the signals that it was to answer.
        outcome: 'promoted'; 'passed' the gate where nothing is to be promoted; 'held', as promotion was; 'refused' by
            the gate; 'overtaken' by another champion meanwhile; 'not_enough_history'; 'failed'.
        told: the outcome in words.
        since, until: event times of the history, the latter exclusive.
        judged_from: event time from which on the history was judged on and not learned from.
        champion: id of the bundle in service when it began, which it was trained on from.
        bundle: id of the challenger; '' where it did not come to one.
        champion_loss, challenger_loss: on what was judged on, in nats per point.
        validation_loss: of the training.
        points: learned from.
        seconds: that each part of it took.
        device: trained on.
        peak_bytes: most memory that it took: of its process, and of a device that has its own.
        reports: names of the gate's reports beside it.
        resumed: when it was gone on with, having been interrupted.
        resumed_step: optimiser step that it last went on behind; None where it began anew each time.
    """

    format: Literal["driftline-training-run"] = "driftline-training-run"
    version: int = VERSION
    name: str
    at: datetime
    by: str
    trigger: Trigger
    answers: tuple[str, ...] = ()
    outcome: Outcome
    told: str = ""
    since: datetime
    until: datetime
    judged_from: datetime | None = None
    champion: str = ""
    bundle: str = ""
    champion_loss: float | None = None
    challenger_loss: float | None = None
    validation_loss: float | None = None
    points: int = 0
    seconds: dict[str, float] = {}
    device: str = ""
    peak_bytes: dict[str, int] = {}
    reports: tuple[str, ...] = ()
    resumed: tuple[datetime, ...] = ()
    resumed_step: int | None = None


def encode(record: Signal | Run) -> bytes:
    """The one form of it as bytes: indented, keys sorted."""
    return msgspec.json.format(msgspec.json.encode(record, order="sorted"), indent=2) + b"\n"


def decode(kind: type[R], raw: bytes) -> R:
    """The record of these bytes; keys that a later version has added are passed over.

    Raises:
        ValueError: they are none, or of a version that is not known.
    """
    try:
        record = msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ValueError(f"found text that cannot be read ({exc}); expected a {kind.__name__.lower()}") from exc
    if record.version != VERSION:
        raise ValueError(f"found version {record.version}; expected {VERSION}: upgrade driftline")
    return record
