import json
import re
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.cli import run
from pipeline.config import DEFAULT_RISK, config_hash, load_config
from pipeline.tuning.search import FILE
from tests.nab import load_nab, write_checkout
from tests.pipeline.cli.samples import START, STEP, start, write_stream

QUICK = ("--search", "risk,rest", "--jobs", "1")
"""Settings that need no kernel but that of the profile configured."""


def tune(*arguments: str | Path) -> int:
    """Exit status of `driftline tune`."""
    return run(["tune", *(str(argument) for argument in arguments)])


def results(directory: Path) -> dict[str, Any]:
    """What a search came to."""
    found: dict[str, Any] = json.loads((directory / "tuning.json").read_bytes())
    return found


@pytest.fixture
def streams(tmp_path: Path) -> Path:
    """A folder of six streams, each with a spike at record 450."""
    (tmp_path / "history").mkdir()
    for number in range(6):
        write_stream(tmp_path / "history" / f"s{number}.csv", 700 + 10 * number, fault=450 + number)
    return tmp_path / "history"


def write_labels(path: Path, streams: int = 6) -> Path:
    """The spikes of `streams`, as `--labels` takes them."""
    lines = ["key,start,end\n"]
    for number in range(streams):
        first, last = (f"{START + row * STEP:%Y-%m-%dT%H:%M:%SZ}" for row in (450 + number, 453 + number))
        lines.append(f"s{number},{first},{last}\n")
    path.write_text("".join(lines))
    return path


def test_a_file_without_labels_is_tuned_by_faults_put_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report says that they are made up, and the configuration is one that a replay takes."""
    source = write_stream(tmp_path / "machine.csv", 2400, fault=None)
    assert tune(source, *QUICK, "--trials", "4", "--out", tmp_path / "out") == 0
    told = " ".join(capsys.readouterr().out.split())
    found = results(tmp_path / "out")
    assert found["objective"] == "faults"
    assert found["split"]["by"] == "time"
    assert found["faults_put_in"]["tuning"] == found["tuning"]["configured"]["faults"]["put_in"] > 0
    assert len(found["trials"]) == 4
    assert "Faults are made up, of six kinds" in told
    assert "take the figures as a comparison, not a promise" in told
    config = tmp_path / "out" / "driftline.toml"
    assert run(["replay", str(source), "--config", str(config), "--out", str(tmp_path / "replay"), "--quiet"]) == 0
    tuned = found["best"]["changed"] if found["use"] == "tuned" else {}
    loaded = load_config(config, environ={}).config
    assert loaded.detector.risk == tuned.get("detector.risk", DEFAULT_RISK)
    assert loaded.episodes.rest == tuned.get("episodes.rest", 120)
    assert (tmp_path / "out" / "trials.svg").read_text().count("<circle") == 4 * 3


def test_trials_raise_the_alarms_of_a_replay(streams: Path, tmp_path: Path) -> None:
    """What is told of the settings configured, on both parts, is what `driftline replay` says of those streams."""
    labels = write_labels(tmp_path / "labels.csv")
    assert tune(streams, "--labels", labels, *QUICK, "--trials", "1", "--out", tmp_path / "out", "--quiet") == 0
    found = results(tmp_path / "out")
    for part in ("tuning", "held_out"):
        alarms = 0
        for name in found["split"][part]:
            source, out = streams / f"{name}.csv", tmp_path / "replays" / name
            assert run(["replay", str(source), "--labels", str(labels), "--out", str(out), "--quiet"]) == 0
            alarms += json.loads((out / "summary.json").read_bytes())["evaluation"]["alerts"]
        assert found[part]["configured"]["alarms"] == alarms > 0
    assert found["split"]["by"] == "streams"
    assert found["objective"] == "f1"
    assert found["tuning"]["configured"]["anomalies"] == len(found["split"]["tuning"]) == 4


def test_the_number_of_processes_changes_nothing(streams: Path, tmp_path: Path) -> None:
    """Trials, results and configuration are the same to the byte."""
    labels, outs = write_labels(tmp_path / "labels.csv"), [tmp_path / "one", tmp_path / "two"]
    for jobs, out in enumerate(outs, 1):
        arguments = ("--labels", labels, "--search", "risk,rest", "--jobs", str(jobs), "--trials", "5", "--out", out)
        assert tune(streams, *arguments, "--quiet") == 0
    for name in ("tuning.json", "driftline.toml", "trials.svg"):
        assert (outs[0] / name).read_bytes() == (outs[1] / name).read_bytes()


def count_trials(directory: Path) -> int:
    """Trials that are kept; 0 before there is a study."""
    if not (directory / FILE).exists():
        return 0
    try:
        with sqlite3.connect(f"file:{directory / FILE}?mode=ro", uri=True) as database:
            return int(database.execute("select count(*) from trials").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_search_goes_on_as_if_it_had_not_been_ended(number: signal.Signals, streams: Path, tmp_path: Path) -> None:
    """The same command again comes to the bytes of a search that was left alone."""
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    process = start("tune", str(streams), *QUICK, "--trials", "1000", "--out", str(cut))
    while count_trials(cut) < 3 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(number)
    _, told = process.communicate()
    done = count_trials(cut)
    if number == signal.SIGINT:
        assert process.returncode == 130
        kept = re.search(r"Stopped: (\d+) of 1000 trials are kept .*; go on with:\n  .* tune ", told)
        assert kept is not None
        assert int(kept[1]) == done
    assert 3 <= done < 1000
    assert not (cut / "driftline.toml").exists()
    for out in (cut, whole):
        assert tune(streams, *QUICK, "--trials", str(done + 4), "--out", out, "--quiet") == 0
    for name in ("tuning.json", "driftline.toml"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()
    assert len(results(cut)["trials"]) == done + 4


def test_another_search_needs_another_directory(
    streams: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told what differs; --overwrite begins afresh."""
    out = tmp_path / "out"
    assert tune(streams, *QUICK, "--trials", "2", "--out", out, "--quiet") == 0
    capsys.readouterr()
    assert tune(streams, "--search", "risk", "--jobs", "1", "--trials", "2", "--out", out, "--quiet") == 2
    assert "found a search with another search space; expected the same to go on with" in capsys.readouterr().err
    (streams / "s9.csv").write_text((streams / "s0.csv").read_text())
    assert tune(streams, *QUICK, "--trials", "2", "--out", out, "--quiet") == 2
    assert "found a search with another history; expected the same to go on with" in capsys.readouterr().err
    assert tune(streams, *QUICK, "--trials", "2", "--out", out, "--quiet", "--overwrite") == 0
    assert results(out)["history"]["files"] == 7


def test_an_edited_configuration_is_not_replaced(
    streams: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless that is asked for; one that is as it was written is."""
    out = tmp_path / "out"
    for trials in ("2", "3"):
        assert tune(streams, *QUICK, "--trials", trials, "--out", out, "--quiet") == 0
    (out / "driftline.toml").write_text("[detector]\nrisk = 0.5\n")
    assert tune(streams, *QUICK, "--trials", "4", "--out", out, "--quiet") == 2
    assert "found a configuration that was edited" in capsys.readouterr().err
    assert tune(streams, *QUICK, "--trials", "4", "--out", out, "--quiet", "--overwrite") == 2
    assert (out / "driftline.toml").read_text() == "[detector]\nrisk = 0.5\n"
    assert tune(streams, *QUICK, "--trials", "4", "--out", out, "--quiet", "--force") == 0
    assert "risk = 0.5" not in (out / "driftline.toml").read_text()


def test_what_was_set_is_kept_in_what_is_written(streams: Path, tmp_path: Path) -> None:
    """Keys of the file and of options stay, secrets stay out, and trials begin from them."""
    base = tmp_path / "base.toml"
    base.write_text('[episodes]\nwarm_up = 200\n[kafka]\ngroup = "mine"\npassword = "secret"\n')
    out = tmp_path / "out"
    arguments = (*QUICK, "--trials", "2", "--fix", "margin=0.5", "--time-field", "timestamp", "--config", base)
    assert tune(streams, *arguments, "--out", out, "--quiet") == 0
    written = (out / "driftline.toml").read_text()
    assert "password" not in written
    config = load_config(out / "driftline.toml", environ={}).config
    assert (config.episodes.warm_up, config.episodes.margin, config.kafka.group) == (200, 0.5, "mine")
    assert config.source.time_field == "timestamp"
    begun = load_config(base, environ={}).config
    begun = begun.model_copy(update={"episodes": begun.episodes.model_copy(update={"margin": 0.5})})
    assert results(out)["config_hash"] == config_hash(begun)


def test_a_benchmark_is_tuned_by_its_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Files of the Numenta Anomaly Benchmark, a part of them held out, both settings measured on either part."""
    chosen = [stream for stream in load_nab() if stream.name.startswith(("realTraffic", "realAdExchange"))]
    checkout = write_checkout(tmp_path / "nab", chosen)
    arguments = ("--labelled", "--search", "risk=0.2..3", "--trials", "6", "--jobs", "2", "--out", tmp_path / "out")
    assert tune(checkout, *arguments) == 0
    found, told = results(tmp_path / "out"), capsys.readouterr().out
    assert len(found["split"]["held_out"]) == 5
    assert not set(found["split"]["held_out"]) & set(found["split"]["tuning"])
    assert found["best"]["value"] == max(trial["value"] for trial in found["trials"])
    assert found["tuning"]["tuned"]["f1"] == found["best"]["value"]
    better = found["comparison"]["tuned"] > found["comparison"]["configured"]
    assert found["use"] == ("tuned" if better else "configured")
    expected = "Tuning was better on what had no part in it" if better else "What is configured is kept|They are kept"
    assert re.search(expected, " ".join(told.split()))
    assert ("detector" in (tmp_path / "out" / "driftline.toml").read_text()) == better


def test_tuned_settings_do_what_is_told_of_them(streams: Path, tmp_path: Path) -> None:
    """Whoever configures what was written finds on either part what the search has told."""
    arguments = ("--labels", write_labels(tmp_path / "labels.csv"), "--jobs", "1", "--quiet")
    (tmp_path / "alarming.toml").write_text("[detector]\nrisk = 9.0\n[episodes]\nmargin = 0.05\nrest = 20\n")
    search = ("--search", "risk", "--trials", "4", "--config", tmp_path / "alarming.toml")
    assert tune(streams, *arguments, *search, "--out", tmp_path / "first") == 0
    found = results(tmp_path / "first")
    assert found["best"]["number"] > 0
    assert found["use"] == "tuned"
    written = tmp_path / "first" / "driftline.toml"
    again = ("--config", written, "--search", "quiet", "--trials", "1")
    assert tune(streams, *arguments, *again, "--out", tmp_path / "second") == 0
    for part in ("tuning", "held_out"):
        assert found[part]["tuned"] != found[part]["configured"]
        assert results(tmp_path / "second")[part]["configured"] == found[part]["tuned"]


@pytest.mark.parametrize("option", ["--profile dense", "--fix profile=dense", "--fix detector.profile=dense"])
def test_what_is_held_is_not_searched(option: str, streams: Path, tmp_path: Path) -> None:
    """It is in every trial as it was given, and in what is written."""
    assert tune(streams, *option.split(), "--jobs", "1", "--trials", "1", "--out", tmp_path / "out", "--quiet") == 0
    assert "detector.profile" not in results(tmp_path / "out")["searched"]
    assert load_config(tmp_path / "out" / "driftline.toml", environ={}).config.detector.profile == "dense"


def test_a_limit_of_time_ends_the_search_with_results(streams: Path, tmp_path: Path) -> None:
    """What is configured is tried in any case."""
    assert tune(streams, *QUICK, "--time-limit", "1us", "--out", tmp_path / "out", "--quiet") == 0
    found = results(tmp_path / "out")
    assert len(found["trials"]) == 1
    assert found["use"] == "configured"


def test_json_alone_goes_to_stdout(streams: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For whoever takes it from there."""
    assert tune(streams, *QUICK, "--trials", "1", "--out", tmp_path / "out", "--json", "--quiet") == 0
    assert json.loads(capsys.readouterr().out) == results(tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.csv"], "found no 'nowhere.csv' in"),
        (["short.csv"], "found no stream of 250 records or more; expected at least one"),
        (["empty.csv"], "empty.csv"),
        (["text.csv"], "text.csv"),
        (["flat.csv"], "found too few records behind the warm-up, or none that change, to put a fault in"),
        (["good.csv", "--objective", "f1"], "found a history without labels; expected --labels FILE"),
        (["good.csv", "--objective", "recall"], "found no --alarms-per-day; expected one"),
        (["good.csv", "--labels", "other.csv"], "found no label of a stream of this history; expected some"),
        (["good.csv", "--labels", "early.csv"], "found no labelled anomaly behind the warm-up"),
        (["good.csv", "--labelled", "--labels", "other.csv"], "--labels: found it with --labelled"),
        (["good.csv", "--search", "riks"], "did you mean 'risk'"),
        (["good.csv", "--search", "risk", "--fix", "risk=1"], "found 'risk', which is held as well"),
        (["good.csv", "--fix", "risk"], "found 'risk'; expected a setting and its value, such as profile=dense"),
        (["good.csv", "--fix", "riks.x=1"], "found the unknown key 'riks.x'"),
        (["good.csv", "--fix", "risk=much"], "--fix risk: found 'much'; expected a valid number"),
        (["good.csv", "--time-limit", "soon"], "--time-limit: found 'soon'; expected a duration"),
        (["good.csv", "--split", "streams"], "found one stream; expected two or more"),
        (["good.csv", "--held-out", "1"], "held-out"),
        (["good.csv", "--out", "good.csv"], "found something that is not a search's"),
        (["good.csv", "--labels", "labels.txt"], "labels.txt"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit status 2, what was found and what was expected."""
    monkeypatch.chdir(tmp_path)
    write_stream(tmp_path / "good.csv", 1200)
    write_stream(tmp_path / "short.csv", 200, fault=None)
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "text.csv").write_text("to be, or\nnot to be\n")
    (tmp_path / "labels.txt").write_text("none")
    rows = [f"{START + n * STEP:%Y-%m-%d %H:%M:%S},3.5\n" for n in range(1200)]
    (tmp_path / "flat.csv").write_text("timestamp,value\n" + "".join(rows))
    (tmp_path / "other.csv").write_text("key,start,end\nelse,2024-01-01,2024-01-02\n")
    (tmp_path / "early.csv").write_text("key,start,end\ngood,2024-01-01T01:00:00,2024-01-01T02:00:00\n")
    assert tune(*arguments, "--jobs", "1", "--trials", "2", "--quiet") == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_several_fields_and_keys_of_one_file_are_tuned(tmp_path: Path) -> None:
    """Streams are told apart by a column, and each of their fields is a lane."""
    rng = np.random.default_rng(7)
    lines = ["time,host,cpu,disk\n"]
    for n in range(800):
        for host in range(5):
            cpu, disk = 50 + 5 * np.sin(n / 20 + host) + rng.normal(), 20 + rng.normal()
            lines.append(f"{START + n * STEP:%Y-%m-%dT%H:%M:%SZ},h{host},{cpu:.3f},{disk:.3f}\n")
    (tmp_path / "hosts.csv").write_text("".join(lines))
    arguments = ("--key-field", "host", *QUICK, "--trials", "3", "--out", tmp_path / "out", "--quiet")
    assert tune(tmp_path / "hosts.csv", *arguments) == 0
    found = results(tmp_path / "out")
    assert sorted(found["split"]["tuning"] + found["split"]["held_out"]) == [f"h{host}" for host in range(5)]
    assert found["tuning"]["configured"]["lanes"] == 2 * len(found["split"]["tuning"])
    assert 'key_field = "host"' in (tmp_path / "out" / "driftline.toml").read_text()
