"""Feedback in the service: what it marks, and what it leaves as it is, whatever crashes."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.feedback import Feedback, Ranges
from pipeline.suppression import Marker
from tests.pipeline.service.fakes import Crash, MemoryLog, Trap
from tests.pipeline.service.test_service import START_MS, Run, _files, _log, _outputs, _state

MINUTE_US = 60_000_000
SHA256 = 32


def _said(first: int, last: int, **more: Any) -> Feedback:
    start = START_MS * 1000
    given = {"id": "m", "kind": "maintenance", "key": None} | more
    return Feedback(from_us=start + first * MINUTE_US, to_us=start + last * MINUTE_US, **given)


SAID = [
    _said(70, 200, key="key-1"),  # an episode opens and worsens in it, and goes on behind it
    _said(80, 100, id="f", kind="false_alarm", key="key-2"),  # another goes on soon
    _said(100, 106, id="n", key="key-0"),  # in the middle of one that was told
]


def _serve(
    log: MemoryLog, path: Path, said: list[Feedback] | None, *, drop: bool = False, trap: Trap | None = None
) -> Run:
    run = Run(
        log, _files(path), trap, snapshot_interval_s=5.0, marking=None if said is None else _marking(said, drop=drop)
    )
    run.drain()
    return run


def _marking(said: list[Feedback], *, drop: bool) -> Any:
    return lambda: Marker(lambda: Ranges(said), drop=drop)


def _events(log: MemoryLog) -> list[dict[str, Any]]:
    return [json.loads(value) for part in log.contents("anomalies").values() for _, value, _ in part]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], list[bytes]]:
    """Outputs and state without feedback."""
    log, path = _log(), tmp_path_factory.mktemp("plain")
    _serve(log, path, None)
    return _outputs(log), _state(path)


def test_feedback_changes_neither_verdicts_nor_state(plain: tuple[list[Any], list[bytes]], tmp_path: Path) -> None:
    """Verdicts, dead letters and snapshots are the same to the byte; only anomalies are marked."""
    log = _log()
    run = _serve(log, tmp_path, SAID)
    anomalies, verdicts, dead = _outputs(log)
    assert (verdicts, dead) == (plain[0][1], plain[0][2])
    assert [_without_suppression(one) for one in _state(tmp_path)] == [_without_suppression(one) for one in plain[1]]
    assert anomalies != plain[0][0]
    events = _events(log)
    assert {one["suppressed"]["id"] for one in events if "suppressed" in one} == {"m", "f", "n"}
    told = [fields["marked"] for name, fields in run.notes.events if name == "suppressed"]
    assert sum(len(one.suppressed) for one in told) == sum("suppressed" in one for one in events)
    assert sum(one.outlasted for one in told) == sum("outlasted" in one for one in events)
    bare = [{key: one[key] for key in one if key not in {"suppressed", "outlasted"}} for one in events]
    before = [json.loads(value) for part in plain[0][0].values() for _, value, _ in part]
    assert [one for one in bare if not one["id"].endswith("/outlasted")] == before


def _without_suppression(snapshot: bytes) -> bytes:
    """The arrays of a snapshot, without what is written of it in words, where suppressed episodes are, and its sum."""
    length = int.from_bytes(snapshot[:8], "little")
    return snapshot[8 + length : -SHA256]


@pytest.mark.parametrize("drop", [False, True], ids=["mark", "drop"])
def test_a_crash_at_any_moment_does_not_show(tmp_path: Path, *, drop: bool) -> None:
    """With the same feedback from the beginning, events are those of a run without a crash, held back ones included."""
    calm = _log()
    _serve(calm, tmp_path / "calm", SAID, drop=drop)
    expected = _outputs(calm)
    assert any("outlasted" in one for one in _events(calm))
    assert any("suppressed" in one for one in _events(calm)) is not drop
    for calls in range(3, 60, 4):
        log, path = _log(), tmp_path / f"{calls}"
        for more in (0, 5, 11):
            try:
                _serve(log, path, SAID, drop=drop, trap=Trap(calls + more))
            except Crash:
                continue
        _serve(log, path, SAID, drop=drop)
        assert _outputs(log) == expected


def test_what_is_said_while_it_runs_marks_what_comes_then(tmp_path: Path) -> None:
    """Events told before stay as they are; the next one is marked."""
    log, said = _log(), list[Feedback]()
    run = Run(log, _files(tmp_path), marking=lambda: Marker(lambda: Ranges(said)))
    run.feed.subscribe(run.service.held)
    while not log.contents("anomalies"):
        run.service.step()
    said.append(_said(0, 10_000))
    before = _events(log)
    run.drain()
    events = {one["id"]: one for one in _events(log)}
    assert all(events[one["id"]] == one and "suppressed" not in one for one in before)
    assert all("suppressed" in one for key, one in events.items() if key not in {told["id"] for told in before})
    assert len(events) > len(before)
