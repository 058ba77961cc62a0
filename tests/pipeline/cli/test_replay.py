import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pyarrow.parquet as pq
import pytest

from pipeline.cli import run
from pipeline.cli.replay import resume_command
from tests.pipeline.cli.samples import at, start, write_stream

OUTPUTS = ("verdicts.parquet", "anomalies.jsonl")


@pytest.fixture
def stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file to replay; the working directory is its own."""
    monkeypatch.chdir(tmp_path)
    return write_stream(tmp_path / "machine.csv")


def replay(*arguments: str | Path) -> int:
    """Exit status of `driftline replay`."""
    return run(["replay", *(str(argument) for argument in arguments)])


def summary_in(out: Path) -> dict[str, Any]:
    """The summary of a replay."""
    found: dict[str, Any] = json.loads((out / "summary.json").read_bytes())
    return found


def wait_until_running(process: subprocess.Popen[str], out: Path, seconds: float = 180.0) -> None:
    """Return once the replay writes; the kernels may have to be compiled first."""
    end = time.monotonic() + seconds
    while not (out / ".replay" / "anomalies.jsonl").exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)


def start_slowly(*arguments: str | Path) -> tuple[subprocess.Popen[str], str]:
    """A replay that takes half a minute, once records have gone through it, and where its metrics are."""
    process = start("replay", *arguments, "--speed", "6000", "--metrics-port", "0")
    assert process.stderr is not None
    url = next(line for line in process.stderr if line.startswith("metrics: ")).split()[1]
    end = time.monotonic() + 180
    while not shown_at(url)["driftline_records_consumed_total"]:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    return process, url


def shown_at(url: str) -> dict[str, float]:
    """Metrics that are served, by name with labels."""
    with urlopen(url, timeout=60) as answer:  # noqa: S310  our own address
        lines = [line for line in answer.read().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def same_outputs(one: Path, other: Path) -> bool:
    """Whether verdicts and anomalies of two replays are the same bytes."""
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in OUTPUTS)


def test_a_replay_finds_the_fault_and_leaves_everything(
    stream: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All outputs are written, the fault is flagged where it is, and the tables say what was read and found."""
    assert replay(stream) == 0
    out = tmp_path / "driftline-replay"
    assert {path.name for path in out.iterdir()} == {*OUTPUTS, "summary.json", "report.html"}
    summary = summary_in(out)
    records = summary["records"]
    assert records["consumed"] == 600 == sum(records.values()) - records["consumed"]
    assert summary["completed"]
    table = pq.read_table(out / "verdicts.parquet").to_pydict()
    flagged = [row for row, anomalous in zip(table["position"], table["is_anomaly"], strict=True) if anomalous]
    assert 451 in flagged
    assert summary["episodes"] <= 3
    told = capsys.readouterr().out
    for part in ("time timestamp (found out)", "600 = 450 scored + 150 warming", "2024-01-02 13:30", "report.html"):
        assert part in told
    assert re.search(r"Episodes +(\d+): .*1 (high|critical)", told)


def test_json_is_all_there_is_on_stdout(stream: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json stdout is summary.json to the byte, and the tables go to stderr."""
    assert replay(stream, "--out", "o", "--json", "--no-report") == 0
    out, err = capsys.readouterr()
    assert out.encode() == (tmp_path / "o" / "summary.json").read_bytes()
    assert "Episodes" in err


def test_quiet_json_leaves_stderr_empty(stream: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json and --quiet nothing goes to stderr."""
    assert replay(stream, "--json", "--quiet", "--no-report") == 0
    assert not capsys.readouterr().err


@pytest.mark.parametrize("micro_batch", [1, 7])
def test_the_size_of_micro_batches_does_not_show(stream: Path, tmp_path: Path, micro_batch: int) -> None:
    """Verdicts and anomalies are the same bytes however many records are taken at a time."""
    assert replay(stream, "--out", "whole", "--no-report") == 0
    assert replay(stream, "--out", "parts", "--no-report", "--micro-batch", str(micro_batch)) == 0
    assert same_outputs(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_replay_is_valid_and_goes_on_to_the_byte(
    stream: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    """After Ctrl-C or SIGTERM the outputs are whole, and the command that is printed ends in an uninterrupted run's."""
    assert replay(stream, "--out", "whole", "--no-report") == 0
    out = tmp_path / "stopped"
    process, _ = start_slowly(stream, "--out", out, "--no-report")
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == status, told
    assert 0 < pq.read_table(out / "verdicts.parquet").num_rows < 600
    assert not summary_in(out)["completed"]
    assert told.rstrip().endswith(f"--out {out} --no-report --speed 6000 --metrics-port 0 --resume")
    assert replay(stream, "--out", out, "--no-report", "--resume") == 0
    assert same_outputs(tmp_path / "whole", out)
    assert summary_in(out)["completed"]


def test_a_second_interruption_ends_at_once(stream: Path, tmp_path: Path) -> None:
    """While the first Ctrl-C waits for a record far ahead, the second ends the process."""
    out = tmp_path / "stopped"
    process = start("replay", stream, "--out", out, "--speed", "600", "--micro-batch", "400")
    wait_until_running(process, out)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)  # the record is three minutes ahead
    assert process.returncode in {130, -signal.SIGINT}


def test_the_command_to_go_on_is_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed is the command as given, quoted for a shell, with --resume in place of --overwrite."""
    monkeypatch.setattr(sys, "argv", ["/usr/bin/driftline", "replay", "my file.csv", "--overwrite"])
    assert resume_command() == "/usr/bin/driftline replay 'my file.csv' --resume"
    monkeypatch.setattr(sys, "argv", ["/x/pipeline/__main__.py", "replay", "a.csv", "--resume"])
    assert resume_command() == f"{sys.executable} -m pipeline replay a.csv --resume"


def test_a_finished_replay_is_kept_unless_told_otherwise(stream: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second run into the same directory is refused; --overwrite replaces it, --resume has nothing to do."""
    assert replay(stream, "--no-report") == 0
    assert replay(stream, "--no-report") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert replay(stream, "--no-report", "--resume") == 2
    assert replay(stream, "--no-report", "--overwrite", "--profile", "dense") == 0


def test_another_run_is_not_gone_on_with(stream: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An interrupted replay is refused under another risk or range of time."""
    out = tmp_path / "stopped"
    process, _ = start_slowly(stream, "--out", out, "--no-report")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    for other in (["--risk", "0.123"], ["--from", at(5)]):
        assert replay(stream, "--out", out, "--no-report", "--resume", *other) == 2
        assert "found a checkpoint of" in capsys.readouterr().err


def test_labels_add_an_evaluation(stream: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A labelled fault that is found shows in the summary and in the table; labels of other streams are noticed."""
    labels = tmp_path / "labels.csv"
    labels.write_text(f"key,start,end\nmachine,{at(448)},{at(460)}\nother,{at(1)},{at(2)}\n")
    assert replay(stream, "--labels", labels, "--no-report") == 0
    summary = summary_in(tmp_path / "driftline-replay")
    assert summary["evaluation"]["recall"] == 1.0
    assert list(summary["labels"]) == ["machine"]
    out, err = capsys.readouterr()
    assert "1 of 1 anomalies found: recall 100%" in out
    assert "labels of 1 streams that are not in this replay" in err


def test_labels_of_other_streams_alone_are_not_used(
    stream: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no label is about a stream of the replay, a notice names some of both."""
    labels = tmp_path / "labels.csv"
    labels.write_text(f"key,start,end\nother,{at(1)},{at(2)}\n")
    assert replay(stream, "--labels", labels, "--no-report") == 0
    assert "found labels of other; expected some of machine" in capsys.readouterr().err
    assert "evaluation" not in summary_in(tmp_path / "driftline-replay")


def test_a_range_of_time_is_replayed_alone(stream: Path, tmp_path: Path) -> None:
    """--from is inclusive, --to is not; both take ISO 8601 or an epoch number."""
    assert replay(stream, "--from", at(10), "--to", "1704153600", "--no-report") == 0
    summary = summary_in(tmp_path / "driftline-replay")
    assert (summary["first_time"], summary["last_time"]) == ("2024-01-01T00:50:00Z", "2024-01-01T23:55:00Z")
    assert summary["records"]["consumed"] == 278


def test_a_range_without_records_is_noticed(stream: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A range of time that the source has nothing of gives empty outputs and a notice."""
    assert replay(stream, "--from", "2030-01-01", "--no-report") == 0
    assert "notice: found no records" in capsys.readouterr().err


def test_options_go_before_the_configuration(stream: Path, tmp_path: Path) -> None:
    """A file sets what options leave open, and its keys are in effect."""
    (tmp_path / "driftline.toml").write_text("[detector]\nprofile = 'dense'\nrisk = 0.3\n[episodes]\nwarm_up = 300\n")
    assert replay(stream, "--no-report", "--risk", "0.4") == 0
    summary = summary_in(tmp_path / "driftline-replay")
    assert (summary["profile"], summary["risk"], summary["records"]["warming"]) == ("dense", 0.4, 300)


def test_a_risk_per_day_takes_the_place_of_the_other(
    stream: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The summary, the table, the report and what to try next tell the risk in the way in which it was said."""
    (tmp_path / "driftline.toml").write_text("[detector]\nrisk = 0.3\n")
    assert replay(stream, "--risk-per-day", "0.4") == 0
    summary = summary_in(tmp_path / "driftline-replay")
    assert (summary["risk"], summary["risk_per_day"]) == (None, 0.4)
    told = capsys.readouterr().out
    assert "risk 0.4 per stream and day" in told
    assert "--risk-per-day 0.2 for fewer alarms, --risk-per-day 0.8 for more" in told
    report = (tmp_path / "driftline-replay" / "report.html").read_text()
    assert "0.4 expected false alarms per lane and day" in report
    assert replay(stream, "--risk-per-day", "0.4", "--risk", "0.3", "--overwrite") == 2
    assert "expected one of them" in capsys.readouterr().err


def test_metrics_are_served_meanwhile(stream: Path, tmp_path: Path) -> None:
    """With --metrics-port 0 the port is told, and what is consumed is counted there."""
    _, url = start_slowly(stream, "--out", tmp_path / "o")
    metrics = shown_at(url)
    consumed = metrics["driftline_records_consumed_total"]
    assert 0 < consumed < 600
    assert metrics['driftline_lanes{phase="warming"}'] + metrics['driftline_lanes{phase="provisional"}'] == 1
    assert metrics['driftline_records_total{disposition="warming"}'] == min(consumed, 150)


def test_trouble_in_the_data_is_noticed_once_a_kind(stream: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Text among the numbers is counted and told with its row; with --strict it ends the replay."""
    lines = stream.read_text().splitlines()
    lines[5], lines[9] = lines[5].split(",")[0] + ",oops", lines[9].split(",")[0] + ",oops"
    stream.write_text("\n".join(lines))
    assert replay(stream, "--no-report", "--out", "o") == 0
    out, err = capsys.readouterr()
    assert err.count("oops") == 1
    assert "row 5" in err
    assert "2 not a number" in out
    assert replay(stream, "--no-report", "--out", "p", "--strict") == 2
    assert "row 5, column 'value': found 'oops'; expected a number" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["absent.csv"], "found no 'absent.csv'"),
        (["machine.csv", "--value-fields", "valeu"], "did you mean 'value'?"),
        (["machine.csv", "--from", "someday"], "--from: found 'someday'; expected a time such as"),
        (["machine.csv", "--from", "2024-02-01", "--to", "2024-01-01"], "expected --from to be the earlier"),
        (["machine.csv", "--speed", "0"], "--speed: found '0'; expected max or a positive number"),
        (["machine.csv", "--micro-batch", "0"], "--micro-batch: found '0'; expected greater than or equal to 1"),
        (["machine.csv", "--risk", "many"], "--risk: found 'many'; expected a valid number"),
        (["machine.csv", "--profile", "denser"], "--profile: found 'denser'"),
        (["machine.csv", "--bundle", "nowhere"], "nowhere/manifest.json: found no readable file"),
        (["machine.csv", "--labels", "absent.json"], "found no 'absent.json'"),
        (["machine.csv", "--resume", "--overwrite"], "found --resume and --overwrite"),
        (["machine.csv", "--metrics-port", "70000"], "--metrics-port: found 70000"),
        (["empty.csv"], "found an empty file"),
        (["words.csv"], "found 0 numeric columns"),
    ],
)
def test_what_cannot_be_replayed_gets_one_line(
    stream: Path, arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was found and expected is told in one line, the exit status is 2, and no output is made."""
    (stream.parent / "empty.csv").touch()
    (stream.parent / "words.csv").write_text("timestamp,value\n2024-01-01,a\n2024-01-02,b\n")
    assert replay(*arguments, "--out", "o") == 2
    err = capsys.readouterr().err
    assert part in err
    assert err.splitlines()[-1].startswith("driftline: error: ")
    assert not (stream.parent / "o").exists()


def test_torch_is_not_imported(stream: Path, tmp_path: Path) -> None:
    """A whole replay, with labels and report, imports no torch."""
    labels = tmp_path / "labels.csv"
    labels.write_text(f"key,start,end\nmachine,{at(448)},{at(460)}\n")
    process = start("replay", stream, "--labels", labels, PYTHONPROFILEIMPORTTIME="1")
    _, err = process.communicate(timeout=120)
    imported = {line.rpartition("|")[2].strip() for line in err.splitlines() if line.startswith("import time:")}
    assert process.returncode == 0
    assert "pipeline.replay" in imported
    assert "torch" not in imported
