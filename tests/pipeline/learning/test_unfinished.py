from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from pipeline.learning.schedule import Due, Situation
from pipeline.learning.unfinished import MOST_RESUMED, Measured, Unfinished, decode, encode, why_not
from tests.pipeline.learning.test_schedule import CHAMPION, DAY, NOON, RULES, _drift, _request, _run

TRAINING = Unfinished(
    name="unfinished",
    at=NOON,
    trigger="drift",
    answers=("drift",),
    champion=CHAMPION,
    since=NOON - 9 * DAY,
    until=NOON,
    learn_from=NOON - DAY,
    reason="retrained",
    measured=Measured(3, 4, {"kafka://b/t": {"0": 5}}),
    resumed=(NOON,),
)
DUE = Due("drift", ("drift",))
SITUATION = Situation(NOON + DAY / 3, NOON + DAY / 3, CHAMPION, None, (_drift(),), ())


def test_what_is_kept_comes_back() -> None:
    """To the last field."""
    assert decode(encode(TRAINING)) == TRAINING


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "found text that cannot be read"),
        (encode(TRAINING)[:-9], "found text that cannot be read"),
        (encode(TRAINING).replace(b'"version": 1', b'"version": 2'), "found version 2; expected 1"),
        (b'{"format": "driftline-signal"}', "found text that cannot be read"),
    ],
)
def test_anything_else_is_refused(raw: bytes, message: str) -> None:
    """Cut off, of another version or of something else."""
    with pytest.raises(ValueError, match=message):
        decode(raw)


def test_it_is_gone_on_with_while_it_is_what_is_due() -> None:
    """Whatever more drift was told, and whatever failed meanwhile."""
    assert why_not(TRAINING, DUE, SITUATION, RULES) == ""
    assert why_not(TRAINING, Due("drift", ("drift", "more")), SITUATION, RULES) == ""
    failed = [_run("failed", 1, at=NOON + timedelta(hours=1)), _run("overtaken", 1, at=NOON + timedelta(hours=1))]
    assert why_not(TRAINING, DUE, replace(SITUATION, runs=failed), RULES) == ""
    assert why_not(TRAINING, DUE, replace(SITUATION, runs=[_run("refused", at=NOON - DAY)]), RULES) == ""


@pytest.mark.parametrize(
    ("training", "due", "situation", "message"),
    [
        ({}, DUE, {"champion": "d" * 64}, "another bundle is champion since"),
        ({}, DUE, {"runs": [_run("refused", at=NOON + DAY)]}, "another training has come to an end since"),
        ({}, DUE, {"runs": [_run("promoted", name="unfinished")]}, "another training has come to an end since"),
        ({}, DUE, {"newest": NOON + DAY}, "its history is older by 1 day, 0:00:00 of event time, or more"),
        ({}, Due("schedule", ()), {}, "something else is due now"),
        ({}, Due("drift", ("more",)), {}, "something else is due now"),
        (
            {"trigger": "requested", "answers": ("one",)},
            Due("requested", ("one", "two")),
            {"signals": [_request("one"), _request("two")]},
            "another one was requested since",
        ),
        ({"resumed": (NOON,) * MOST_RESUMED}, DUE, {}, "it was gone on with 5 times, and did not come to its end"),
    ],
)
def test_it_is_dropped_with_the_reason(
    training: dict[str, Any], due: Due, situation: dict[str, Any], message: str
) -> None:
    """What is out of date is begun anew."""
    changed = msgspec.structs.replace(TRAINING, **training)
    assert why_not(changed, due, replace(SITUATION, **situation), RULES) == message
