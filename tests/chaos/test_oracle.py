"""Which of the swaps that members told of came about is told by what is there."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.workshop import EngineWorkshop
from pipeline.config import load_config
from pipeline.records import Place
from pipeline.service.outputs import send_outputs
from pipeline.service.plan import Topics
from pipeline.service.task import Task
from tests.chaos.oracle import OUTPUTS, Oracle, Seen, Told, swaps_told
from tests.chaos.records import make_records
from tests.chaos.service import Names, write_config
from tests.chaos.state import hash_of
from tests.kafka_broker import Committed
from tests.pipeline.cli.bundles import variant
from tests.pipeline.service.fakes import MemoryLog, MemoryOutbox, Stored, Trap

_PLACE = Place("in", 0)
_BUNDLES = [variant(), variant(gain=0.98, seed=1)]
_A, _B = (bundle.short_id for bundle in _BUNDLES)
_MESSAGES: list[Any] = [
    Stored(n, key, value) for n, (_, key, value) in enumerate(make_records(1200, 4, 1, 3, garbage=0.02))
]
_OVER, _BACK = Told(600, _A, _B), Told(900, _B, _A)


class _Run:
    """What is there of a run with certain swaps, one message after another; and an oracle."""

    def __init__(self, directory: Path, swaps: list[Told]) -> None:
        file = write_config(directory / "c.toml", "nowhere:1", Names.of("run", "in"))
        config = load_config(file, {}, environ={}).config
        shops = {bundle.short_id: EngineWorkshop(config, bundle, directory) for bundle in _BUNDLES}
        self.oracle = Oracle(config, _BUNDLES, "in", directory)
        log, task, to = MemoryLog(), Task(_PLACE), {one.offset: one.bundle for one in swaps}
        outbox = MemoryOutbox(log, Trap())
        task.begin(shops[_A].make(_PLACE), None)
        for message in _MESSAGES:
            assert task.work is not None
            assert task.decoder is not None
            if message.offset in to:
                changed = shops[to[message.offset]].carry(_PLACE, task.work)
                assert changed is not None
                task.begin(changed, task.decoder.unit)
            assert task.work is not None
            batch = task.decoder.decode([message])
            outcome = task.work.engine.process(batch)
            send_outputs(outbox, Topics("anomalies", "dead_letters", "verdicts"), _PLACE, [message], batch, outcome, 1)
            task.advance(1, message.offset + 1)
        outbox.commit({})
        there = {name: [_shown(*one) for one in log.contents(name).get(0, [])] for name in OUTPUTS}
        self.seen = Seen(there, hash_of(task.save(), task.offset))


def _shown(key: bytes, value: bytes, headers: Any) -> Committed:
    told = ",".join(f"{name}:{content.decode(errors='replace')}" for name, content in headers)
    return Committed(key.decode(), value.decode(errors="replace"), told or "NO_HEADERS")


@pytest.mark.parametrize(
    ("swaps", "told"),
    [
        ([], [_OVER]),
        ([_OVER], [_OVER]),
        ([_OVER], [Told(400, _A, _B), Told(550, _A, _B), _OVER, Told(700, _A, _B), _BACK]),
        ([_OVER, _BACK], [Told(500, _A, _B), _OVER, Told(800, _B, _A), _BACK, Told(1000, _A, _B)]),
    ],
    ids=["cut off", "one", "cut off before and behind", "there and back"],
)
def test_the_swaps_that_came_about_are_found(tmp_path: Path, swaps: list[Told], told: list[Told]) -> None:
    """Of all that were told those are taken that lead to the outputs and the state that are there."""
    run = _Run(tmp_path, swaps)
    account = run.oracle.judge(0, _MESSAGES, told, run.seen, [700])
    assert (account.difference, account.swaps) == ("", swaps)
    assert account.tallies[700]["records_consumed", ""] == 700
    assert account.tallies[len(_MESSAGES)]["dead_letters", "malformed"] > 0


def test_a_swap_that_nobody_told_of_is_a_difference(tmp_path: Path) -> None:
    """No other way explains what is there."""
    run = _Run(tmp_path, [_OVER])
    assert ", partition 0, message" in run.oracle.judge(0, _MESSAGES, [Told(601, _A, _B)], run.seen, ()).difference


def test_a_state_that_is_another_is_a_difference(tmp_path: Path) -> None:
    """Outputs alone do not suffice, nor do they where one is missing at the end."""
    run = _Run(tmp_path, [])
    assert run.oracle.judge(0, _MESSAGES, [], replace(run.seen, state=""), ()).difference == "state of partition 0"
    run.seen = replace(run.seen, outputs=dict(run.seen.outputs) | {"verdicts": run.seen.outputs["verdicts"][:-1]})
    assert "no more" in run.oracle.judge(0, _MESSAGES, [], run.seen, ()).difference


def test_logs_tell_of_each_swap_once_and_in_order() -> None:
    """Members that tell of the same one, other topics and other lines are no more swaps."""

    def line(partition: int, told: Told, second: int, topic: str = "in") -> str:
        event = {"event": "swapped", "place": f"{topic}/{partition}", "offset": told.offset, "bundle": told[1:]}
        return json.dumps(event | {"timestamp": f"2026-01-01T00:00:{second:02}Z"})

    back_at_once = Told(600, _B, _A)
    logs = ["\n".join([line(0, back_at_once, 9), line(1, _BACK, 1), "other"]), line(0, _OVER, 5), line(0, _OVER, 7)]
    assert swaps_told([*logs, line(0, _BACK, 3, "out")], "in") == {0: [_OVER, back_at_once], 1: [_BACK]}
