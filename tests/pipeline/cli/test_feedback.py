"""`driftline feedback`, and what other commands make of it, without a broker."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.cli import run
from tests.pipeline.cli.samples import START, STEP

KEYS, POINTS = ("pump-1", "pump-2", "pump-3"), 700


class Shell:
    """Runs `driftline` in a folder of its own."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self.err = ""

    def __call__(self, *arguments: str, status: int = 0) -> str:
        """Standard output of a command that ends with a status."""
        found = run(list(arguments))
        out, self.err = self._captured.readouterr()
        assert found == status, out + self.err
        return out


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """In an empty folder."""
    monkeypatch.chdir(tmp_path)
    return Shell(capsys)


def _write_history(path: Path) -> None:
    """Three pumps; two of them with a fault late on."""
    rng = np.random.default_rng(7)
    values = 50 + rng.normal(0, 0.3, (POINTS, 3))
    values[600:603, 0] += 40
    values[640:643, 1] += 40
    path.write_text(
        "time,key,flow\n"
        + "".join(
            f"{START + n * STEP:%Y-%m-%dT%H:%M:%S},{key},{values[n, k]:.3f}\n"
            for n in range(POINTS)
            for k, key in enumerate(KEYS)
        )
    )


def _events(directory: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(directory) / "anomalies.jsonl").read_text().splitlines()]


def _said(shell: Shell, *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in shell("feedback", "list", "--json", *arguments).splitlines()]


def test_what_is_said_is_listed_replaced_and_withdrawn(shell: Shell) -> None:
    """In a file: the same said twice is there once, an id given again is replaced, and what is withdrawn is gone."""
    place = ("--feedback", "said.jsonl")
    window = ("--kind", "maintenance", "--keys", "pump-*", "--from", "2026-01-01T08:00Z", "--for", "90min")
    assert "streams: all like pump-*" in shell("feedback", "add", *window, "--note", "filter", *place)
    shell("feedback", "add", *window, "--note", "filter", "--by", "ann", *place)
    (one,) = _said(shell, *place)
    assert {key: one[key] for key in ("kind", "keys", "field", "from", "to", "note", "by")} == {
        "kind": "maintenance", "keys": "pump-*", "field": None, "from": "2026-01-01T08:00:00Z",
        "to": "2026-01-01T09:30:00Z", "note": "filter", "by": "ann",
    }  # fmt: skip
    shell("feedback", "add", "--kind", "true_anomaly", "--id", "x", "--from", "2026-01-02", "--open", *place)
    shell(
        "feedback", "add", "--kind", "true_anomaly", "--id", "x", "--from", "2026-01-02", "--to", "2026-01-03", *place
    )
    assert [one["to"] for one in _said(shell, "--kind", "true_anomaly", *place)] == ["2026-01-03T00:00:00Z"]
    assert "x: withdrawn" in shell("feedback", "withdraw", "x", *place)
    assert [one["kind"] for one in _said(shell, *place)] == ["maintenance"]
    file = Path("said.jsonl")
    file.write_bytes(file.read_bytes().rstrip(b"\n"))  # as an editor may leave it
    shell("feedback", "add", "--kind", "true_anomaly", "--id", "y", "--from", "2026-01-02", "--open", *place)
    assert [one["id"] for one in _said(shell, "--kind", "true_anomaly", *place)] == ["y"]
    table = shell("feedback", "list", *place)
    assert "pump-*" in table
    assert "filter" in table
    assert "did you mean" in (shell("feedback", "withdraw", f"{one['id']}0", *place, status=2) or shell.err)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["add", "--kind", "maintenance", "--key", "a"], "found no end; expected one of --to, --for and --open"),
        (["add", "--kind", "maintenance", "--open", "--for", "2h"], "found --for and --open; expected one of"),
        (["add", "--kind", "false_alarm", "--for", "2h"], "found neither --from nor --anomaly"),
        (["add", "--kind", "maintenance", "--for", "soon"], "--for: found 'soon'; expected a duration"),
        (["add", "--kind", "maintenance", "--for", "1h", "--key", "a", "--keys", "b"], "found --key and --keys"),
        (["add", "--kind", "maintenance", "--from", "2026-01-02", "--to", "2026-01-01"], "before the start"),
        (["add", "--kind", "nuisance", "--for", "1h"], "--kind: found 'nuisance'; expected one of 'false_alarm'"),
        (["add", "--kind", "false_alarm", "--anomaly", "x", "--key", "a"], "found --key beside --anomaly"),
        (["add", "--kind", "false_alarm", "--anomaly", "x", "--anomalies", "gone"], "gone: found no readable file"),
        (["list"], "junk.jsonl, line 2: found no feedback"),
        (["withdraw", "x"], "junk.jsonl, line 2: found no feedback"),
    ],
)
def test_what_cannot_be_said_is_told(shell: Shell, arguments: list[str], told: str) -> None:
    """In one line, with status 2, and nothing is written."""
    file = Path("junk.jsonl")
    content = '{"id":"a","kind":"maintenance","from":"2026-01-01","to":null}\nnonsense\n'
    file.write_text(content)
    shell("feedback", *arguments, "--feedback", "junk.jsonl", status=2)
    assert told in shell.err
    assert file.read_text() == content


def test_a_place_has_to_be_named(shell: Shell) -> None:
    """Where no topic is configured and no file named, both are told."""
    shell("feedback", "list", status=2)
    assert "found no place for feedback; expected topic in [feedback], or --feedback" in shell.err


def test_a_replay_marks_and_drops_and_gives_the_same_verdicts(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a label made from an anomaly's id; what is suppressed is no alert in the evaluation either."""
    _write_history(Path("s.csv"))
    read = ("s.csv", "--key-field", "key", "--quiet")
    shell("replay", *read, "--out", "plain")
    opened = next(
        one
        for one in _events("plain")
        if one["key"] == "pump-1" and one["event"] == "opened" and one["severity"] != "low"
    )
    closed = next(one for one in _events("plain") if one["episode"] == opened["id"] and one["event"] == "closed")
    label = (
        "feedback",
        "add",
        "--kind",
        "false_alarm",
        "--anomaly",
        closed["id"],
        "--anomalies",
        "plain/anomalies.jsonl",
    )
    shell(*label, "--note", "sensor", "--feedback", "said.jsonl")
    (one,) = _said(shell, "--feedback", "said.jsonl")
    assert (one["key"], one["field"], one["from"], one["to"]) == (
        "pump-1", "flow", opened["opened_at"], closed["time"]
    )  # fmt: skip
    Path("labels.csv").write_text(f"key,start,end\npump-1,{opened['opened_at']},{closed['time']}\n")
    given = ("--feedback", "said.jsonl", "--labels", "labels.csv")
    shell("replay", *read, "--out", "marked", *given)
    assert Path("marked/verdicts.parquet").read_bytes() == Path("plain/verdicts.parquet").read_bytes()
    marked = _events("marked")
    suppressed = {one["id"] for one in marked if "suppressed" in one}
    assert suppressed >= {opened["id"], closed["id"]}
    assert [{key: value for key, value in one.items() if key != "suppressed"} for one in marked] == _events("plain")
    assert {one["suppressed"]["note"] for one in marked if "suppressed" in one} == {"sensor"}
    summary = json.loads(Path("marked/summary.json").read_text())
    assert summary["feedback"]["suppressed_events"] == {"false_alarm": len(suppressed), "maintenance": 0}
    assert summary["evaluation"]["detected"] == 0
    monkeypatch.setenv("DRIFTLINE_FEEDBACK__SUPPRESS", "drop")
    shell("replay", *read, "--out", "dropped", *given)
    assert _events("dropped") == [one for one in marked if "suppressed" not in one]
    assert json.loads(Path("dropped/summary.json").read_text())["evaluation"] == summary["evaluation"]
    assert "pump-1" in Path("dropped/report.html").read_text()


def test_an_episode_that_is_not_over_is_labelled_up_to_its_newest_event(shell: Shell) -> None:
    """And that is said."""
    _write_history(Path("s.csv"))
    shell("replay", "s.csv", "--key-field", "key", "--quiet", "--out", "plain")
    events = _events("plain")
    opened = next(one for one in events if one["key"] == "pump-2" and one["event"] == "opened")
    Path("cut.jsonl").write_text(json.dumps(opened) + "\nno json " + json.dumps(opened["id"]) + "\n")
    label = ("feedback", "add", "--kind", "true_anomaly", "--anomaly", opened["id"], "--anomalies", "cut.jsonl")
    shell(*label, "--feedback", "said.jsonl")
    assert "the episode is not over" in shell.err
    shell(*label, "--for", "1d", "--feedback", "said.jsonl")
    assert "the episode is not over" not in shell.err
    assert len(_said(shell, "--feedback", "said.jsonl")) == 2
    shell(*label[:5], "nothing/like/it", *label[6:], "--feedback", "said.jsonl", status=2)
    assert "cut.jsonl: found no anomaly 'nothing/like/it'" in shell.err
