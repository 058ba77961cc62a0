"""Whether a training is due: by what was asked for, by drift, or because time has gone by.

Time is event time here, but for the pause behind a failure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.learning.records import JUDGED, Run, Signal, Trigger

TRIES = 3
"""Trainings that a drift is worth: right behind a change, there may be too little of what is new to learn from."""
LONGEST_PAUSE = timedelta(hours=1)
FAILED = {"failed", "overtaken"}


@dataclass(frozen=True, slots=True)
class Rules:
    """When to train.

    Attributes:
        interval: of event time between trainings; None for none by time alone.
        least_interval: of event time between a training and the next one that nobody has requested.
        on_drift: whether drift is a reason.
        first_pause: of the wall clock behind a failure; it doubles with each.
    """

    interval: timedelta | None
    least_interval: timedelta
    on_drift: bool
    first_pause: timedelta


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known.

    Attributes:
        now: by the wall clock.
        newest: event time of the newest records; None where there are none.
        champion: id of the bundle in service.
        learned_until: event time that what it was trained on ends at; None for synthetic streams.
        signals, runs: all that there are, the oldest first.
    """

    now: datetime
    newest: datetime | None
    champion: str
    learned_until: datetime | None
    signals: Sequence[Signal]
    runs: Sequence[Run]


@dataclass(frozen=True, slots=True)
class Due:
    """A training is due: for what, and which signals it is to answer."""

    trigger: Trigger
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """None is due, and why not."""

    reason: str


def is_answered(signal: Signal, runs: Sequence[Run], champion: str) -> bool:
    """Whether nothing more is to come of a signal.

    Drift is answered once another bundle is champion, whoever has put it there, or by so many refusals that another one
    would bring nothing. A training for it that has learned from nothing behind the time at which it was told is no try:
    it may be better, and promoted, but has seen little of what is new.
    """
    tries = sum(
        signal.name in run.answers and run.outcome in JUDGED and not _is_early(run, signal) for run in runs
    )  # fmt: skip
    if signal.kind == "requested":
        return tries > 0
    if tries >= TRIES or champion.startswith(signal.bundle):
        return tries >= TRIES
    return not any(_is_early(run, signal) for run in runs if run.bundle == champion)


def _is_early(run: Run, signal: Signal) -> bool:
    """Whether a run that was to answer a drift has learned from nothing behind the time at which it was told."""
    if signal.name not in run.answers or run.judged_from is None or signal.event_time is None:
        return False
    return run.judged_from <= signal.event_time


def decide(rules: Rules, situation: Situation) -> Due | Wait:
    """Whether a training is due now."""
    runs = [run for run in situation.runs if run.outcome not in FAILED]
    pending = [one for one in situation.signals if not is_answered(one, situation.runs, situation.champion)]
    names = tuple(one.name for one in pending if one.kind == "requested" or rules.on_drift)
    requested = {one.name for one in pending if one.kind == "requested"}
    trigger: Trigger = "requested" if requested else "drift" if names else "schedule"
    if not requested.issubset({name for run in runs for name in run.answers}):
        # not tried yet, and so due whatever there was before
        wait = _why_not_at_all(rules, situation)
    else:
        wait = _why_not_at_all(rules, situation) or _why_not_yet(rules, situation, runs, is_asked_for=bool(names))
    return Wait(wait) if wait else Due(trigger, names)


def _why_not_at_all(rules: Rules, situation: Situation) -> str:
    """What keeps any training from being due, or ''."""
    if situation.newest is None:
        return "no records to learn from yet"
    left = _pause(rules, situation)
    return f"behind a failure, {left.total_seconds():.0f} s to go" if left > timedelta() else ""


def _why_not_yet(rules: Rules, situation: Situation, runs: Sequence[Run], *, is_asked_for: bool) -> str:
    """What of event time has to go by until one is due, or ''."""
    if not is_asked_for and rules.interval is None:
        return "no drift, and nothing asked for"
    ends = [run.until for run in runs]
    if situation.learned_until is not None:
        ends.append(situation.learned_until)
    if not ends or situation.newest is None:
        return ""
    needed = rules.least_interval
    if not is_asked_for and rules.interval is not None and not _lacked_history(runs):
        needed = max(needed, rules.interval)
    left = needed - (situation.newest - max(ends))
    return f"for more event time to go by: {_told(left)}" if left > timedelta() else ""


def _lacked_history(runs: Sequence[Run]) -> bool:
    """Whether there was too little to learn from the last time: then the interval has not begun."""
    return bool(runs) and runs[-1].outcome == "not_enough_history"


def _pause(rules: Rules, situation: Situation) -> timedelta:
    """What is left of the pause behind the failures that came last; it outlives a restart, as they are on record."""
    failures = 0
    for run in reversed(situation.runs):
        if run.outcome not in FAILED:
            break
        failures += 1
    if not failures:
        return timedelta()
    last = situation.runs[-1]
    ended = max((last.at, *last.resumed)) + timedelta(seconds=sum(last.seconds.values()))
    # 2 ** 20 pauses are longer than the longest anyway
    pause: timedelta = min(rules.first_pause * (1 << min(failures - 1, 20)), LONGEST_PAUSE)
    return ended + pause - situation.now


def _told(time: timedelta) -> str:
    """In whole units."""
    return str(time - timedelta(microseconds=time.microseconds))
