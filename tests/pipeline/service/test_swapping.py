"""Newer bundles taken over while the service runs: at one offset of each partition, whatever crashes."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import LossError
from pipeline.records import Place, Position
from pipeline.service.outputs import send_outputs
from pipeline.service.task import Note
from tests.pipeline.service.fakes import Crash, MemoryLog, MemoryOutbox, Notes, TestWorkshop, Trap
from tests.pipeline.service.test_service import MESSAGES, PLACES, TOPICS, Run, _files, _log, _outputs

Swaps = dict[Place, list[tuple[int, str]]]
"""Of each partition, from which offset on which bundle scores; rising."""


class _Commits(dict[Place, Position]):
    """What the group has committed, with the bundle that each partition began with."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[Place, str] = {}

    def __setitem__(self, place: Place, position: Position) -> None:
        self.first.setdefault(place, Note.read(position.note).bundle)
        super().__setitem__(place, position)


def _swaps(log: MemoryLog, told: Sequence[Notes]) -> Swaps:
    """What the log says; a swap that was told and not committed is undone by one at the same place or before it."""
    assert isinstance(log.committed, _Commits)
    found: Swaps = {place: [(0, log.committed.first[place])] for place in PLACES}
    for notes in told:
        for name, fields in notes.events:
            if name == "swapped":
                topic, partition = fields["place"].split("/")
                mine = found[Place(topic, int(partition))]
                mine[1:] = [swap for swap in mine[1:] if swap[0] < fields["offset"]]
                mine.append((fields["offset"], fields["bundle"][1]))
    return found


def _expected(swaps: Swaps) -> tuple[list[Any], dict[Place, dict[str, bytes]]]:
    """(outputs, state) of an engine that does one message after another, and swaps where it is told."""
    log, results = _log(), MemoryLog()
    outbox, states = MemoryOutbox(results, Trap()), {}
    for place in PLACES:
        (_, first), *waiting = swaps[place]
        work = TestWorkshop(bundle=first).make(place)
        decoder = work.make_decoder(None)
        for message in log.partitions[place]:
            while waiting and message.offset >= waiting[0][0]:
                changed = TestWorkshop(bundle=waiting.pop(0)[1]).carry(place, work)
                assert changed is not None
                work = changed
                decoder = work.make_decoder(decoder.unit)
            batch = decoder.decode([message])
            outcome = work.engine.process(batch)
            send_outputs(outbox, TOPICS, place, [message], batch, outcome, work.points_per_message)
        states[place] = {name: array.tobytes() for name, array in work.engine.save().arrays.items()}
    outbox.commit({})
    return _outputs(results), states


def _state(run: Run) -> dict[Place, dict[str, bytes]]:
    states = {}
    for place, task in run.service.held.tasks.items():
        assert task.work is not None
        states[place] = {name: array.tobytes() for name, array in task.work.engine.save().arrays.items()}
    return states


@pytest.mark.parametrize("plan", [{}, {"tick_s": 0.01, "commit_interval_s": 1.0}, {"snapshot_interval_s": 3.0}])
def test_a_newer_bundle_scores_from_one_offset_on(tmp_path: Path, plan: dict[str, Any]) -> None:
    """Outputs and state are those of an engine that swapped at the offsets that the log tells."""
    log, workshop = _log(), TestWorkshop(newer={4: "newer", 7: "newest"})
    log.committed = _Commits()
    run = Run(log, _files(tmp_path), workshop=workshop, **plan)
    run.drain(leave=False)
    swaps = _swaps(log, [run.notes])
    assert all(0 < mine[1][0] < MESSAGES for mine in swaps.values())
    outputs, states = _expected(swaps)
    assert _outputs(log) == outputs
    assert _state(run) == states
    # and not those of the bundle before
    assert outputs != _expected({place: mine[:1] for place, mine in swaps.items()})[0]


@settings(max_examples=40)
@given(crashes=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=5), last=st.integers(1, 12))
def test_a_crash_at_any_moment_of_a_swap_changes_nothing(crashes: list[tuple[int, int]], last: int) -> None:
    """Whatever crashes before, within or behind a swap, outputs and state are those of an unbroken engine."""
    log, told = _log(), []
    log.committed = _Commits()
    current = "bundle"
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        for calls, rounds in [*crashes, (None, last)]:
            trap = Trap(calls)
            # the newest bundle stays the newest: a process that starts later begins with it
            run = Run(
                log, _files(path), trap, workshop=TestWorkshop(bundle=current, newer={rounds: "newer"}),
                snapshot_interval_s=9.0,
            )  # fmt: skip
            told.append(run.notes)
            try:
                run.drain(leave=False)
            except Crash:
                current = run.service._workshop.identity(PLACES[0]).bundle
        outputs, states = _expected(_swaps(log, told))
        assert _outputs(log) == outputs
        assert _state(run) == states


def test_lanes_that_began_under_a_bundle_that_is_gone_are_not_reset_silently(tmp_path: Path) -> None:
    """Before the first snapshot, state can be had only by the bundle it began with; without it the service stops."""
    log = _log()
    with pytest.raises(Crash):
        Run(log, _files(tmp_path), Trap(9)).drain()
    assert "snapshot" not in log.committed[PLACES[0]].note
    with pytest.raises(LossError, match=r"no snapshot, and the bundle bundle that it began with is gone"):
        Run(log, _files(tmp_path), workshop=TestWorkshop(bundle="newer", fits=False)).drain()
