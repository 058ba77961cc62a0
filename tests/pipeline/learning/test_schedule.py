from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from pipeline.learning.records import Outcome, Run, Signal
from pipeline.learning.schedule import LONGEST_PAUSE, TRIES, Due, Rules, Situation, Wait, decide, is_answered

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CHAMPION = "c" * 64
RULES = Rules(interval=7 * DAY, least_interval=DAY, on_drift=True, first_pause=timedelta(minutes=1))


def _drift(name: str = "drift", bundle: str = CHAMPION[:16]) -> Signal:
    return Signal(name=name, kind="drift", at=NOON, by="serve", bundle=bundle)


def _request(name: str = "request") -> Signal:
    return Signal(name=name, kind="requested", at=NOON, by="ann")


def _run(outcome: Outcome, days: float = 0.0, answers: tuple[str, ...] = (), **changes: Any) -> Run:
    """A run on a history that ends so many days after noon."""
    until = NOON + days * DAY
    told: dict[str, Any] = {"name": f"{days}", "at": NOON, "by": "t", "trigger": "drift", "since": NOON, "until": until}
    return Run(**(told | {"outcome": outcome, "answers": answers} | changes))


def _at(days: float, **changes: Any) -> Situation:
    """With newest records of so many days after noon; nothing was learned yet."""
    return replace(
        Situation(NOON + days * DAY, NOON + days * DAY, CHAMPION, None, (), ()), **changes
    )  # fmt: skip


def test_time_alone_makes_one_due() -> None:
    """Behind the interval from the end of what was learned from; at once where nothing was."""
    assert decide(RULES, _at(0)) == Due("schedule", ())
    assert isinstance(decide(RULES, _at(6.9, learned_until=NOON)), Wait)
    assert decide(RULES, _at(7, learned_until=NOON)) == Due("schedule", ())
    assert isinstance(decide(RULES, _at(7, runs=[_run("refused", 3)])), Wait)
    assert isinstance(decide(replace(RULES, interval=None), _at(100)), Wait)


def test_where_there_was_too_little_it_is_tried_again_soon() -> None:
    """Behind the least interval, not the whole one: nothing was learned."""
    runs = [_run("not_enough_history", 3)]
    assert isinstance(decide(RULES, _at(3.9, runs=runs)), Wait)
    assert decide(RULES, _at(4, runs=runs)) == Due("schedule", ())


def test_drift_makes_one_due_but_not_too_soon() -> None:
    """Behind the least interval, and only if drift is to matter."""
    signals = [_drift("one"), _drift("two")]
    assert isinstance(decide(RULES, _at(0.5, signals=signals, learned_until=NOON)), Wait)
    assert decide(RULES, _at(1, signals=signals, learned_until=NOON)) == Due("drift", ("one", "two"))
    assert isinstance(decide(replace(RULES, on_drift=False), _at(1, signals=signals, learned_until=NOON)), Wait)


def test_a_request_waits_for_nothing() -> None:
    """It is answered at once, with the drift that waits; once only, and no sooner again for want of history."""
    both = [_drift(), _request()]
    assert decide(RULES, _at(0.1, signals=both, learned_until=NOON)) == Due("requested", ("drift", "request"))
    tried = [_run("not_enough_history", 0, ("request",))]
    assert isinstance(decide(RULES, _at(0.5, signals=[_request()], runs=tried)), Wait)
    assert decide(RULES, _at(1, signals=[_request()], runs=tried)) == Due("requested", ("request",))
    done = [_run("refused", 0, ("request",))]
    assert isinstance(decide(RULES, _at(0.5, signals=[_request()], runs=done)), Wait)


def test_a_champion_that_has_not_seen_what_is_new_does_not_answer_drift() -> None:
    """It was trained for it, on what came before it was told; it is trained again, and was no try."""
    drift = msgspec.structs.replace(_drift("drift", "b" * 16), event_time=NOON + DAY)
    early, later = (
        _run("promoted", days + 1, ("drift",), judged_from=NOON + days * DAY, bundle=CHAMPION) for days in (1, 1.1)
    )
    assert not is_answered(drift, [early], CHAMPION)
    assert isinstance(decide(RULES, _at(2.9, signals=[drift], runs=[early])), Wait)
    assert decide(RULES, _at(3, signals=[drift], runs=[early])) == Due("drift", ("drift",))
    assert is_answered(drift, [later], CHAMPION)
    refused = [_run("refused", days + 1, ("drift",), judged_from=NOON + days * DAY) for days in (2, 3, 4)]
    assert not is_answered(drift, [early] * TRIES + refused[:-1], CHAMPION)
    assert is_answered(drift, [early, *refused], CHAMPION)
    assert is_answered(drift, [], CHAMPION)  # somebody has promoted another one


def test_drift_is_answered_by_another_champion_or_by_several_refusals() -> None:
    """Not by the first refusal: right behind a change there is little of what is new."""
    refusals = [_run("refused", n, ("drift",)) for n in range(TRIES)]
    assert not is_answered(_drift(), [], CHAMPION)
    assert not is_answered(_drift(), refusals[:-1], CHAMPION)
    assert is_answered(_drift(), refusals, CHAMPION)
    assert is_answered(_drift(), [], "d" * 64)
    assert not is_answered(_drift(), [_run("failed", n, ("drift",)) for n in range(9)], CHAMPION)
    assert decide(RULES, _at(TRIES, signals=[_drift()], runs=refusals[:-1])) == Due("drift", ("drift",))


@pytest.mark.parametrize("outcome", ["promoted", "passed", "held", "refused"])
def test_a_request_is_answered_by_any_decision(outcome: Outcome) -> None:
    """Whatever the gate came to."""
    assert is_answered(_request(), [_run(outcome, 0, ("request",))], CHAMPION)
    assert not is_answered(_request(), [_run(outcome, 0, ("another",))], CHAMPION)


def test_failures_make_a_pause_that_doubles() -> None:
    """By the wall clock, up to an hour, behind the end of the last; a decision ends it."""
    runs: list[Run] = []
    for pause in (1, 2, 4, 8, 16, 32, 60, 60):
        runs.append(_run("failed", 0, ("request",), seconds={"reading": 60.0}))
        situation = _at(50, signals=[_request()], runs=runs)
        ended = NOON + timedelta(minutes=1)
        early, late = (ended + timedelta(minutes=pause, seconds=by) for by in (-1, 0))
        assert isinstance(decide(RULES, replace(situation, now=early)), Wait)
        assert decide(RULES, replace(situation, now=late)) == Due("requested", ("request",))
    many = [_run("failed", 0, ("request",))] * 5000
    assert decide(RULES, replace(situation, runs=many, now=NOON + LONGEST_PAUSE)) == Due("requested", ("request",))
    runs.append(_run("refused", 0, ("request",)))
    assert isinstance(decide(RULES, _at(0.5, runs=runs)), Wait)


def test_without_records_none_is_due() -> None:
    """Not even one that was asked for."""
    assert isinstance(decide(RULES, _at(0, newest=None, signals=[_request()])), Wait)
