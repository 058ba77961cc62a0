"""`driftline warm`, and `driftline replay --warm-from`, as a user runs them."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.cli import run
from tests.pipeline.cli.samples import START, STEP, start, write_stream
from tests.pipeline.cli.test_replay import replay, same_outputs, summary_in, wait_until_running

POINTS, HISTORY = 600, 360


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stream in all.csv, and cut in two in history.csv and today.csv; the working directory."""
    monkeypatch.chdir(tmp_path)
    header, *rows = write_stream(tmp_path / "all.csv", POINTS).read_text().splitlines(keepends=True)
    (tmp_path / "history.csv").write_text(header + "".join(rows[:HISTORY]))
    (tmp_path / "today.csv").write_text(header + "".join(rows[HISTORY:]))
    return tmp_path


def warm(*arguments: str | Path) -> int:
    """Exit status of `driftline warm`."""
    return run(["warm", *(str(argument) for argument in arguments)])


def _columns(out: Path, first: int = 0) -> dict[str, str]:
    """Verdicts from a row on, without what names rows and streams."""
    table = pq.read_table(out / "verdicts.parquet").slice(first).drop_columns(["key", "position", "episode"])
    return {name: repr(table.column(name).to_pylist()) for name in table.column_names}


def _keyed(path: Path, keys: int, points: int, first: int = 0) -> Path:
    """A table of several keys in order of time."""
    rng = np.random.default_rng(7)
    values = 50 + 5 * np.sin(np.arange(points) / 288 * 2 * np.pi)[:, None] + rng.normal(0, 0.3, (points, keys))
    lines = [
        f"{START + n * STEP:%Y-%m-%dT%H:%M:%S},host{key},{values[n, key]:.3f}\n"
        for n in range(first, points)
        for key in range(keys)
    ]
    path.write_text("time,key,load\n" + "".join(lines))
    return path


def test_a_replay_goes_on_where_the_history_ends(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From its first record on a stream has the verdicts that it has behind its history in one file, to the bit."""
    assert replay("all.csv", "--out", "all", "--no-report") == 0
    assert replay("today.csv", "--warm-from", "history.csv", "--out", "out") == 0
    assert _columns(folder / "out") == _columns(folder / "all", HISTORY)
    summary = summary_in(folder / "out")
    assert summary["records"]["consumed"] == summary["records"]["scored"] == POINTS - HISTORY
    assert summary["warm_from"]["history"] == "history.csv"
    assert summary["warm_from"]["keys_begun"] == 1
    assert summary["warm_from"]["records"] == {
        "consumed": HISTORY, "scored": HISTORY - 150, "warming": 150, "late": 0, "duplicate": 0, "dead_lettered": 0,
    }  # fmt: skip
    assert "Warm from  1 of 1 keys of history.csv (360 records up to 2024-01-02T05:55:00Z)" in capsys.readouterr().out
    assert not (folder / "out" / ".replay").exists()


def test_the_future_is_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A history that reaches into what is scored, or beyond, ends before its first record, and that is told."""
    assert replay("today.csv", "--warm-from", "history.csv", "--out", "apart", "--no-report") == 0
    assert replay("today.csv", "--warm-from", "all.csv", "--out", "over", "--no-report") == 0
    assert same_outputs(folder / "apart", folder / "over")
    assert f"notice: {POINTS - HISTORY} records of the history are at or behind" in capsys.readouterr().err


def test_a_file_of_lanes_does_what_its_history_does(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `driftline warm` makes gives the bytes that the history itself gives, and is told with what is in it."""
    data, history = _keyed(folder / "now.csv", 3, 400, 300), _keyed(folder / "before.csv", 3, 300)
    assert warm(history, "--out", "fleet.lanes") == 0
    told = capsys.readouterr().out
    for part in ("before.csv", "900 = 450 scored + 450 warming", "3 of 3 keys", "--warm-from"):
        assert part in told
    assert replay(data, "--warm-from", history, "--out", "one", "--no-report") == 0
    assert replay(data, "--warm-from", "fleet.lanes", "--out", "other", "--no-report") == 0
    assert same_outputs(folder / "one", folder / "other")
    assert summary_in(folder / "one")["warm_from"]["keys_begun"] == 3


def _paired(path: Path, points: int, first: int = 0) -> Path:
    """A table of one stream with two fields that go together, in order of time."""
    rng = np.random.default_rng(7)
    common = np.convolve(rng.normal(size=POINTS + 20), np.ones(21), "valid")
    flow, load = 50 + common + rng.normal(0, 0.3, POINTS), 9 + 0.1 * common + rng.normal(0, 0.03, POINTS)
    lines = [f"{START + n * STEP:%Y-%m-%dT%H:%M:%S},pump,{flow[n]:.3f},{load[n]:.4f}\n" for n in range(first, points)]
    path.write_text("time,pump,flow,load\n" + "".join(lines))
    return path


def test_joint_lanes_begin_with_the_history(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All fields together, too, go on to the bit where the history ends, and a file of lanes counts them."""
    before, now, whole = _paired(folder / "a.csv", 400), _paired(folder / "b.csv", 600, 400), folder / "c.csv"
    _paired(whole, 600)
    assert warm(before, "--key-field", "pump", "--out", "fleet.lanes") == 0
    assert "3 of 1 keys" in " ".join(capsys.readouterr().out.split())
    options = ("--key-field", "pump", "--no-report", "--out")
    assert replay(whole, *options, "all") == 0
    assert replay(now, "--warm-from", "fleet.lanes", *options, "out") == 0
    rows = pq.read_metadata(folder / "out" / "verdicts.parquet").num_rows
    assert rows > 2 * 200
    behind = pq.read_metadata(folder / "all" / "verdicts.parquet").num_rows - rows
    assert _columns(folder / "out") == _columns(folder / "all", behind)
    assert summary_in(folder / "out")["warm_from"]["lanes"] == 3


def test_lanes_without_joint_lanes_do_not_fit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A change of the switch is named; with one field it makes no difference."""
    before, now = _paired(folder / "a.csv", 200), _paired(folder / "b.csv", 300, 200)
    (folder / "alone.toml").write_text("[detector]\njoint = false\n")
    assert warm(before, "--key-field", "pump", "--config", "alone.toml", "--out", "fleet.lanes") == 0
    options = ("--key-field", "pump", "--no-report", "--warm-from", "fleet.lanes", "--out")
    assert replay(now, *options, "other") == 2
    assert "found lanes of joint False; expected joint True" in " ".join(capsys.readouterr().err.split())
    assert replay(now, "--config", "alone.toml", *options, "same") == 0
    assert warm("history.csv", "--config", "alone.toml", "--out", "one.lanes") == 0
    assert replay("today.csv", "--warm-from", "one.lanes", "--no-report", "--out", "one") == 0


def test_several_files_are_one_history(folder: Path) -> None:
    """Files named one by one, in any order, are the past of the one stream that goes on."""
    header, *rows = (folder / "history.csv").read_text().splitlines(keepends=True)
    for name, part in (("mon", rows[:200]), ("tue", rows[200:])):
        (folder / f"{name}.csv").write_text(header + "".join(part))
    arguments = ["--out", "parts", "--no-report", "--warm-from", "tue.csv", "--warm-from", "mon.csv"]
    assert replay("today.csv", *arguments) == 0
    assert replay("today.csv", "--warm-from", "history.csv", "--out", "whole", "--no-report") == 0
    assert same_outputs(folder / "parts", folder / "whole")


@pytest.mark.parametrize("delay_s", [0.0, 0.4])
def test_a_kill_on_the_way_through_the_history_does_not_show(folder: Path, delay_s: float) -> None:
    """A replay killed while it warms goes on with --resume, to the bytes of one that was not."""
    data, history = _keyed(folder / "now.csv", 20, 4_100, 4_000), _keyed(folder / "before.csv", 20, 4_000)
    assert replay(data, "--warm-from", history, "--out", "whole", "--no-report") == 0
    out = folder / "killed"
    arguments = ("replay", data, "--warm-from", history, "--out", out, "--no-report")
    process = start(*arguments, "--speed", "20000")
    wait_until_running(process, out)
    time.sleep(delay_s)
    process.kill()
    process.communicate(timeout=60)
    assert not (out / ".replay" / "checkpoint.safetensors").exists()
    assert delay_s or not (out / ".replay" / "history.lanes").exists()
    assert replay(*arguments[1:], "--resume") == 0
    assert same_outputs(folder / "whole", out)


def test_ctrl_c_on_the_way_through_the_history_leaves_nothing(folder: Path) -> None:
    """A replay stopped while it warms ends with the signal's status, says so, and has nothing to go on from."""
    data, history = _keyed(folder / "now.csv", 20, 4_100, 4_000), _keyed(folder / "before.csv", 20, 4_000)
    out = folder / "stopped"
    process = start("replay", data, "--warm-from", history, "--out", out, "--no-report")
    wait_until_running(process, out)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "stopped on the way through the history" in told
    assert not (out / ".replay").exists()


def test_a_replay_is_gone_on_with_under_its_own_history_only(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A resumed run keeps its history: with another, or one that has changed, it is refused, with its own it ends."""
    assert replay("today.csv", "--warm-from", "history.csv", "--out", "whole", "--no-report") == 0
    out = folder / "stopped"
    arguments = ("replay", "today.csv", "--warm-from", "history.csv", "--out", out, "--no-report")
    process = start(*arguments, "--speed", "2000")
    wait_until_running(process, out)
    while not (out / ".replay" / "history.lanes").exists():
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 143, told
    capsys.readouterr()
    for other in ([], ["--warm-from", "all.csv"]):
        assert replay("today.csv", *other, "--out", out, "--resume") == 2
        assert "found a checkpoint of history 'history " in capsys.readouterr().err
    with (folder / "history.csv").open("a") as file:
        file.write("2024-01-02 05:57:00,50\n")
    assert replay(*arguments[1:], "--resume") == 2
    os.truncate("history.csv", (folder / "history.csv").stat().st_size - len("2024-01-02 05:57:00,50\n"))
    assert replay(*arguments[1:], "--resume") == 0
    assert same_outputs(folder / "whole", out)


def test_other_fields_are_refused_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fields that the history does not have are told, both sets by name; their order does not matter."""
    (folder / "other.csv").write_text((folder / "history.csv").read_text().replace("value", "level"))
    assert replay("today.csv", "--warm-from", "other.csv", "--out", "o") == 2
    error = capsys.readouterr().err
    assert "found the fields level; expected value" in error
    assert "--value-fields" in error
    lines = [line.split(",") for line in (folder / "history.csv").read_text().splitlines()]
    (folder / "ab.csv").write_text("".join(f"{t},{v},{v}\n" for t, v in lines).replace("value,value", "a,b"))
    (folder / "ba.csv").write_text("".join(f"{t},{v},{v}\n" for t, v in lines).replace("value,value", "b,a"))
    assert replay("ab.csv", "--from", "2024-01-02", "--warm-from", "ba.csv", "--out", "p", "--no-report") == 0


def test_a_history_of_other_keys_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no key of the source is in the history, all begin anew, and a notice names keys of both."""
    _keyed(folder / "before.csv", 3, 200)
    (folder / "days").mkdir()
    (folder / "history.csv").rename(folder / "days" / "machine.csv")
    assert replay("today.csv", "--warm-from", "days", "--out", "o", "--no-report") == 0
    assert "found none of the source's keys in the history" in capsys.readouterr().err
    assert summary_in(folder / "o")["records"]["warming"] == 150


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--profile", "dense"], "found lanes of profile balanced; expected profile dense"),
        (["--value-fields", "load"], ""),
    ],
)
def test_lanes_made_otherwise_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], found: str
) -> None:
    """A file of lanes of another profile is refused, with what it is of; risk and episodes may differ."""
    data, history = _keyed(folder / "now.csv", 2, 300, 200), _keyed(folder / "before.csv", 2, 200)
    assert warm(history, "--out", "fleet.lanes", "--quiet") == 0
    status = replay(data, "--warm-from", "fleet.lanes", "--out", "o", "--risk", "0.5", "--no-report", *arguments)
    assert status == (2 if found else 0)
    assert found in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["history.csv", "--out", "x.bin"], "expected a name that ends in .lanes"),
        (["history.csv", "--out", "no/x.lanes"], "found no folder no"),
        (["history.csv", "--to", "2000-01-01", "--out", "x.lanes"], "found no records that can be used"),
        (["nothing.csv", "--out", "x.lanes"], "nothing.csv"),
        (["history.csv", "x.lanes", "--out", "y.lanes"], "found the file of lanes x.lanes among 2 sources"),
    ],
)
def test_what_cannot_be_made_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], found: str
) -> None:
    """Wrong names, a range without records, and sources that are none are errors that say what to do."""
    assert warm(*arguments) == 2
    assert found in capsys.readouterr().err
    assert not list(folder.glob("*.lanes*"))


def test_a_file_is_not_replaced_unasked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is there stays, but for --overwrite; the same history makes the same bytes."""
    assert warm("history.csv", "--out", "x.lanes") == 0
    before = (folder / "x.lanes").read_bytes()
    assert warm("all.csv", "--out", "x.lanes") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (folder / "x.lanes").read_bytes() == before
    assert warm("history.csv", "--out", "y.lanes") == 0
    assert (folder / "y.lanes").read_bytes() == before
    assert warm("all.csv", "--out", "x.lanes", "--overwrite") == 0
    assert (folder / "x.lanes").read_bytes() != before


def test_models_whose_state_is_elsewhere_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A detector of river cannot begin with lanes, and that is told before anything is written."""
    detector = ["--detector", "river.anomaly.HalfSpaceTrees", "--warm-from", "history.csv"]
    assert replay("today.csv", *detector, "--out", "o") == 2
    assert "leave it out" in capsys.readouterr().err
    assert not (folder / "o").exists()


def test_a_baseline_begins_with_its_past_too(folder: Path) -> None:
    """A detector to compare with is given the same chance."""
    kind = ["--detector", "windowed-gaussian", "--no-report"]
    assert replay("all.csv", *kind, "--out", "all") == 0
    assert replay("today.csv", *kind, "--warm-from", "history.csv", "--out", "out") == 0
    assert _columns(folder / "out") == _columns(folder / "all", HISTORY)


def test_anomalies_of_the_history_are_not_told(folder: Path) -> None:
    """What opens and closes within the history is in no output, and ids are those of records of the source."""
    write_stream(folder / "faulty.csv", POINTS, fault=200)
    header, *rows = (folder / "faulty.csv").read_text().splitlines(keepends=True)
    (folder / "history.csv").write_text(header + "".join(rows[:HISTORY]))
    (folder / "today.csv").write_text(header + "".join(rows[HISTORY:]))
    assert replay("faulty.csv", "--out", "all", "--no-report") == 0
    assert replay("today.csv", "--warm-from", "history.csv", "--out", "out", "--no-report") == 0
    whole, found = (
        [json.loads(line) for line in (folder / name / "anomalies.jsonl").read_text().splitlines()]
        for name in ("all", "out")
    )
    opened = [one["opened_at"] for one in whole if one["event"] == "opened"]
    assert min(opened) < "2024-01-02"  # the history has a fault
    assert [one["opened_at"] for one in found if one["event"] == "opened"] == [
        one for one in opened if one >= "2024-01-02T06:00:00Z"
    ]
