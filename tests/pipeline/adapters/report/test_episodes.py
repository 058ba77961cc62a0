import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.report.episodes import Said, read_episodes
from pipeline.errors import InputError


def _event(**changes: Any) -> dict[str, Any]:
    event = {
        "schema": 1,
        "id": "x",
        "event": "opened",
        "episode": "e1",
        "kind": "point",
        "key": "pump",
        "field": "flow",
        "time": "2014-02-08T14:30:00Z",
        "opened_at": "2014-02-08T14:30:00Z",
        "observed": 9.0,
        "expected": 5.0,
        "score": 7.0,
        "peak_score": 7.0,
        "severity": "low",
        "contributions": {"temperature": 0.25, "flow": 0.75},
        "streams": [{"name": "residual_1", "novelty": 2.5}],
        "context": [1, 2, 3],
    }
    return {**event, **changes}


def _written(path: Path, events: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


def test_the_events_of_an_episode_become_one_row(tmp_path: Path) -> None:
    """It tells when it opened and closed, how bad it got, and what was seen at the highest score."""
    worse = _event(
        event="worsened",
        time="2014-02-08T14:35:00Z",
        severity="critical",
        score=12.0,
        peak_score=12.0,
        observed=20.0,
        reason="worse",
    )
    calmer = _event(event="level_shift", score=8.0, peak_score=12.0, observed=11.0)
    closed = _event(
        event="closed", time="2014-02-08T15:00:00Z", severity="low", score=0.1, peak_score=13.0, observed=5.0
    )
    (episode,) = read_episodes(_written(tmp_path / "a.jsonl", [_event(), worse, calmer, closed]))
    assert (episode.key, episode.field, episode.kind, episode.severity) == ("pump", "flow", "level_shift", 4)
    assert episode.closed_ms is not None
    assert episode.closed_ms - episode.opened_ms == 30 * 60 * 1000
    assert (episode.observed, episode.expected, episode.peak_score) == (20.0, 5.0, 13.0)
    assert episode.shares == [("flow", 0.75), ("temperature", 0.25)]
    assert episode.streams == [("residual_1", 2.5, None, "")]
    assert episode.reason == "worse"


def test_an_episode_is_suppressed_until_one_of_its_events_is_to_be_told(tmp_path: Path) -> None:
    """By kind and note; once told, it stays told, and says what it outlasted."""
    said = {"id": "4be0", "kind": "maintenance", "note": "new bearing"}
    quiet = [_event(suppressed=said), _event(event="closed", suppressed=said)]
    (episode,) = read_episodes(_written(tmp_path / "quiet.jsonl", quiet))
    assert episode.suppressed == Said("maintenance", "new bearing")
    assert episode.outlasted is None
    told = [_event(suppressed=said), _event(event="worsened", outlasted=said), _event(event="closed")]
    (worse,) = read_episodes(_written(tmp_path / "told.jsonl", told))
    assert worse.suppressed is None
    assert worse.outlasted == Said("maintenance", "new bearing")
    assert worse.rank > episode.rank


def test_streams_tell_their_rank_in_words(tmp_path: Path) -> None:
    """With the rank that an anomaly tells; a level shift keeps both what began it and what it came to."""
    stream = {"name": "value", "novelty": 2, "value": 3.5, "side": "above", "seen": 1, "among": 3870, "exact": True}
    closed = _event(event="closed", kind="level_shift", reason="level moved from 1 to 2")
    (episode,) = read_episodes(_written(tmp_path / "a.jsonl", [_event(streams=[stream], reason="odd"), closed]))
    assert episode.streams == [("value", 2, 3.5, "2nd highest remembered in 3,870 points")]
    assert (episode.reason, episode.end) == ("odd", "level moved from 1 to 2")


def test_the_end_of_a_silence_tells_more_than_its_beginning(tmp_path: Path) -> None:
    """How long it was is known when it is over."""
    bare = {
        "episode": "s",
        "kind": "silence",
        "key": "k",
        "field": "f",
        "severity": "high",
        "time": "2014-02-08T14:30:00Z",
    }
    events = [bare | {"event": "opened", "reason": "no value"}, bare | {"event": "closed", "reason": "heard again"}]
    (episode,) = read_episodes(_written(tmp_path / "a.jsonl", events))
    assert (episode.reason, episode.end) == ("heard again", "")


def test_episodes_come_in_the_order_in_which_they_opened(tmp_path: Path) -> None:
    """Whatever the order of their events; one that never closed is open."""
    events = [_event(episode="late", opened_at="2014-02-09T00:00:00Z"), _event(episode="early")]
    first, second = read_episodes(_written(tmp_path / "a.jsonl", events))
    assert first.opened_ms < second.opened_ms
    assert first.closed_ms is None


def test_a_level_shift_is_told_by_kind_or_by_event(tmp_path: Path) -> None:
    """An episode that turned out to be a level shift is one."""
    events = [_event(), _event(event="level_shift"), _event(event="closed")]
    (episode,) = read_episodes(_written(tmp_path / "a.jsonl", events))
    assert episode.kind == "level_shift"


def test_a_silence_needs_no_numbers(tmp_path: Path) -> None:
    """Nothing was observed, so nothing is said of it; a time without a zone is UTC."""
    bare = {"event": "opened", "episode": "s", "kind": "silence", "key": "k", "field": "f", "severity": "medium"}
    (episode,) = read_episodes(_written(tmp_path / "a.jsonl", [{**bare, "time": "1970-01-01T00:00:01"}]))
    assert (episode.observed, episode.peak_score, episode.opened_ms) == (None, None, 1000)


@pytest.mark.parametrize(("line", "found"), [("{torn", "malformed"), ('{"event": "opened"}', "missing")])
def test_a_damaged_line_is_named(tmp_path: Path, line: str, found: str) -> None:
    """The error gives the row."""
    path = tmp_path / "anomalies.jsonl"
    path.write_text(json.dumps(_event()) + "\n" + line + "\n")
    with pytest.raises(InputError, match=f"row 2: found .*{found}"):
        read_episodes(path)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    """The error names it."""
    with pytest.raises(InputError, match=r"anomalies\.jsonl: found No such file"):
        read_episodes(tmp_path / "anomalies.jsonl")
