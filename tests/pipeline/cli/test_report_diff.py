"""`driftline report diff`, on real replays."""

import json
from pathlib import Path

import pytest

from pipeline.cli import run
from tests.pipeline.cli.samples import write_stream


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Of a stream with a fault, two replays alike, and one with far less risk."""
    folder = tmp_path_factory.mktemp("runs")
    file = write_stream(folder / "machine.csv", 900)
    for name, options in (("a", ()), ("again", ()), ("strict", ("--risk", "0.001"))):
        assert run(["replay", str(file), "--out", str(folder / name), "--quiet", *options]) == 0
    return folder / "a", folder / "again", folder / "strict"


def test_the_status_is_that_of_diff(runs: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """0 for the same run twice, 1 for another one, 2 for what is no run."""
    a, again, strict = map(str, runs)
    assert run(["report", "diff", a, again]) == 0
    assert "Both runs say the same of every point." in capsys.readouterr().out
    assert run(["report", "diff", a, strict]) == 1
    out = capsys.readouterr().out
    assert "another configuration" in out.lower()
    assert "risk" in out
    assert run(["report", "diff", a, f"{a}-none"]) == 2
    assert "found nothing; expected the folder of a finished replay" in capsys.readouterr().err


def test_json_is_all_that_is_printed(runs: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """It names what differs, and what does not is empty."""
    a, _, strict = map(str, runs)
    assert run(["report", "diff", a, strict, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["format"] == 1
    assert not told["equal"]
    assert {"risk", "config_hash"} == {one["entry"] for one in told["settings"]["configuration"]}
    assert told["settings"]["bundle"] == []
    assert told["alarms"]["only_b"] == 0
    assert told["verdicts"]["both"] == 900


def test_one_file_of_each_is_compared_alone(runs: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Alarms or verdicts; a folder and a file are not."""
    a, again, _ = runs
    for name, there, missing in (("anomalies.jsonl", "alarms", "verdicts"), ("verdicts.parquet", "verdicts", "alarms")):
        assert run(["report", "diff", str(a / name), str(again / name), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told[missing] is None
        assert told[there] is not None
        assert told["settings"] == {}
    assert run(["report", "diff", str(a), str(again / "anomalies.jsonl")]) == 2
    assert "found anomalies.jsonl; expected the same as" in capsys.readouterr().err


def test_a_page_is_written_where_it_is_asked_for(
    runs: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole, over the one before; a folder that is not there is told before anything is compared."""
    a, _, strict = map(str, runs)
    page = tmp_path / "diff.html"
    page.write_text("before")
    assert run(["report", "diff", a, strict, "--out", str(page)]) == 1
    assert page.read_text().startswith("<!doctype html>")
    assert [one.name for one in tmp_path.iterdir()] == ["diff.html"]
    assert run(["report", "diff", a, strict, "--out", str(tmp_path / "no" / "diff.html")]) == 2
    assert "--out: found " in capsys.readouterr().err


def test_other_sources_are_compared_by_force_alone(
    runs: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The refusal names both, and the way on."""
    other = write_stream(tmp_path / "other.csv", 500, fault=None)
    assert run(["replay", str(other), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    capsys.readouterr()
    arguments = ["report", "diff", str(runs[0]), str(tmp_path / "out")]
    assert run(arguments) == 2
    err = capsys.readouterr().err
    assert "other.csv" in err
    assert "machine.csv" in err
    assert "--force" in err
    assert run([*arguments, "--force"]) == 1
