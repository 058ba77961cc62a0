"""A training that has begun and has not come to its end: what is kept of it, for it to go on after a kill."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from pipeline.learning.records import Run, Trigger
from pipeline.learning.schedule import FAILED, Due, Rules, Situation

VERSION = 1
MOST_RESUMED = 5
"""Times that one is gone on with; one that ends its process each time is begun anew at last."""


class Measured(msgspec.Struct, frozen=True):
    """The history of a training, as it was when it began: what comes later is no part of it.

    Attributes:
        cut_us: event time from which on it is judged on, and not learned from.
        last_us: newest event time.
        ends: by source, of each partition the first offset that is left out.
    """

    cut_us: int
    last_us: int
    ends: Mapping[str, Mapping[str, int]]


class Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """A training under way.

    Attributes:
        name: of its run.
        at: when it began.
        trigger, answers: see `Run`.
        champion: id of the bundle that it trains on from.
        since, until: event times of its history, the latter exclusive.
        learn_from: event time at which the drift began that it is to answer; None to learn from all of the history.
        reason: what it is for, in words.
        measured: its history; None as long as that is not known.
        resumed: when it was gone on with.
    """

    format: Literal["driftline-unfinished-training"] = "driftline-unfinished-training"
    version: int = VERSION
    name: str
    at: datetime
    trigger: Trigger
    answers: tuple[str, ...]
    champion: str
    since: datetime
    until: datetime
    learn_from: datetime | None
    reason: str
    measured: Measured | None = None
    resumed: tuple[datetime, ...] = ()


def encode(training: Unfinished) -> bytes:
    """It as bytes."""
    return msgspec.json.format(msgspec.json.encode(training, order="sorted"), indent=2) + b"\n"


def decode(raw: bytes) -> Unfinished:
    """The training of these bytes.

    Raises:
        ValueError: they are none, or of another version.
    """
    try:
        training = msgspec.json.decode(raw, type=Unfinished)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ValueError(f"found text that cannot be read ({exc}); expected an unfinished training") from exc
    if training.version != VERSION:
        raise ValueError(f"found version {training.version}; expected {VERSION}")
    return training


def why_not(training: Unfinished, due: Due, situation: Situation, rules: Rules) -> str:
    """Why a training is not gone on with though one is due, in words; '' where it is.

    Args:
        due: what is due now.
        rules: by which it is.
    """
    requests = {one.name for one in situation.signals if one.kind == "requested"}
    newest = situation.newest or training.until
    reasons = {
        "another bundle is champion since": training.champion != situation.champion,
        "another training has come to an end since": _is_done(training, situation.runs),
        f"its history is older by {rules.least_interval} of event time, or more":
            newest - training.until >= rules.least_interval,
        "something else is due now": training.trigger != due.trigger or not set(training.answers) <= set(due.answers),
        "another one was requested since": not requests & set(due.answers) <= set(training.answers),
        f"it was gone on with {MOST_RESUMED} times, and did not come to its end":
            len(training.resumed) >= MOST_RESUMED,
    }  # fmt: skip
    return next((reason for reason, holds in reasons.items() if holds), "")


def _is_done(training: Unfinished, runs: Sequence[Run]) -> bool:
    """Whether a run has come to an end since, but for those that have failed: its own, or another one."""
    return any(run.outcome not in FAILED and (run.name == training.name or run.at > training.at) for run in runs)
