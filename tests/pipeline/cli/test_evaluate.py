import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.evaluation.nab import PROFILES, NabFile, score_corpus
from detectors.evaluation.nab_published import PUBLISHED
from detectors.profiles import PROFILES as LANE_PROFILES
from detectors.thresholds import ThresholdTable, make_decision
from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.cli import run
from pipeline.config import DEFAULT_RISK
from tests.nab import NabStream, load_nab, write_checkout
from tests.pipeline.cli.samples import STEP, write_stream
from tests.test_nab_scores import Engines, nab_scores

CHOSEN = (
    "realAWSCloudwatch/rds_cpu_utilization_e47b3b.csv",
    "realAdExchange/exchange-2_cpc_results.csv",
    "realAdExchange/exchange-2_cpm_results.csv",
    "realKnownCause/cpu_utilization_asg_misconfiguration.csv",
    "realTraffic/occupancy_t4013.csv",
    "realTraffic/speed_7578.csv",
)
"""Two of a category where halves are drawn; few rows; one is of a file that the detector is good at."""


@pytest.fixture(scope="module")
def chosen() -> list[NabStream]:
    """A few files of the benchmark."""
    return [stream for stream in load_nab() if stream.name in CHOSEN]


@pytest.fixture(scope="module")
def checkout(chosen: list[NabStream], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with these files."""
    return write_checkout(tmp_path_factory.mktemp("nab"), chosen)


def evaluate(*arguments: str | Path) -> int:
    """Exit status of `driftline evaluate`."""
    return run(["evaluate", *(str(argument) for argument in arguments)])


def without_times(results: dict[str, Any]) -> dict[str, Any]:
    """Results without what the clock has a part in."""
    return {
        name: [without_times(one) for one in value]
        if name == "per_file"
        else {key: without_times(one) for key, one in value.items()}
        if name == "categories"
        else value
        for name, value in results.items()
        if name not in {"scoring_s", "points_per_s"}
    }


def test_the_benchmark_is_scored_and_left_as_its_scorer_reads_it(
    checkout: Path, chosen: list[NabStream], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scores are those of the engine by NAB's rules; results.json is what is printed; a file of scores per file."""
    out = tmp_path / "out"
    assert evaluate("nab", checkout, "--json", "--out", out, "--jobs", "1") == 0
    printed, told = capsys.readouterr()
    assert printed.encode() == (out / "results.json").read_bytes()
    results = json.loads(printed)
    assert set(results["scores"]) == set(results["held_out"]) == set(PROFILES)
    bundle = load_bundle(shipped_bundle_path())
    decision = make_decision(ThresholdTable(**bundle.manifest.calibration["balanced"]), DEFAULT_RISK)
    assert results["scores"] == pytest.approx(
        nab_scores(Engines(bundle.network, LANE_PROFILES["balanced"], decision), chosen)
    )
    assert results["files"] == len(CHOSEN)
    assert results["rows"] == results["points"] == sum(len(stream.value) for stream in chosen)
    assert results["detection"]["windows"] == sum(len(stream.windows) for stream in chosen)
    assert results["bytes_per_lane"] < 4096
    assert all(0 < results["event"][name] < 1 for name in ("vus_pr", "auc_pr"))
    assert [one["name"] for one in results["per_file"]] == [name.removesuffix(".csv") for name in sorted(CHOSEN)]
    table = re.findall(r"^ ([> ] \S.*?)  +(-?\d+\.\d\d) ", told, re.MULTILINE)
    assert len(table) == 1 + len(PUBLISHED)
    assert [name for name, _ in table if name.startswith(">")] == ["> Driftline, balanced"]
    assert [float(score) for _, score in table] == sorted((float(score) for _, score in table), reverse=True)
    assert "notice: found 6 files with" in told

    thresholds = json.loads((out / "thresholds.json").read_text())["driftline"]
    assert {profile: one["threshold"] for profile, one in thresholds.items()} == results["thresholds"]
    written = sorted(path.relative_to(out / "driftline").as_posix() for path in (out / "driftline").rglob("*.csv"))
    assert written == sorted(f"{Path(name).parent}/driftline_{Path(name).name}" for name in CHOSEN)
    files = []
    for stream in chosen:
        with (out / "driftline" / Path(stream.name).with_name(f"driftline_{Path(stream.name).name}")).open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len(stream.value)
        scores = np.array([float(row["anomaly_score"]) for row in rows])
        assert ((scores >= 0) & (scores <= 1)).all()
        files.append(NabFile(stream.name, stream.time_us, scores, stream.windows))
    assert {profile: one.score for profile, one in score_corpus(files).items()} == results["scores"]


def test_the_number_of_processes_does_not_show(
    checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Results but for times, and files of scores, are the same bytes."""
    for jobs in ("1", "2"):
        assert evaluate("nab", checkout, "--json", "--quiet", "--jobs", jobs, "--out", tmp_path / jobs) == 0
    printed, told = capsys.readouterr()
    assert not told
    one, other = (json.loads((tmp_path / jobs / "results.json").read_text()) for jobs in ("1", "2"))
    assert without_times(one) == without_times(other)
    for path in (tmp_path / "1" / "driftline").rglob("*.csv"):
        assert path.read_bytes() == (tmp_path / "2" / path.relative_to(tmp_path / "1")).read_bytes()
    assert printed.count('"benchmark"') == 2


def test_settings_are_those_of_a_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Options and configuration reach the engine, and the results name them."""
    (tmp_path / "d.toml").write_text("[detector]\nrisk = 0.1\n")
    one_file = tmp_path / "nab"
    write_checkout(one_file, [stream for stream in load_nab() if stream.name == CHOSEN[0]])
    assert evaluate("nab", one_file, "--json", "--quiet", "--profile", "dense", "--config", tmp_path / "d.toml") == 0
    strict = json.loads(capsys.readouterr().out)
    assert (strict["profile"], strict["risk"]) == ("dense", 0.1)
    assert strict["bytes_per_lane"] < 1500
    assert strict["held_out"] is None
    assert evaluate("nab", one_file, "--json", "--quiet", "--risk", "5") == 0
    loose = json.loads(capsys.readouterr().out)
    assert (loose["profile"], loose["risk"]) == ("balanced", 5.0)
    assert loose["detection"]["alerts"] > strict["detection"]["alerts"]
    assert evaluate("nab", one_file, "--json", "--quiet", "--risk-per-day", "0.02") == 0
    daily = json.loads(capsys.readouterr().out)
    assert (daily["risk"], daily["risk_per_day"], strict["risk_per_day"]) == (None, 0.02, None)
    assert loose["detection"]["alerts"] > daily["detection"]["alerts"]


@pytest.mark.parametrize("kind", ["persistence", "river.anomaly.HalfSpaceTrees"])
def test_another_detector_is_measured_in_the_same_way(
    checkout: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is named by --detector is scored instead, with its options, and the results say so."""
    options = ("--detector-option", "n_trees=2") if kind.startswith("river") else ()
    assert evaluate("nab", checkout, "--json", "--quiet", "--detector", kind, *options) == 0
    results = json.loads(capsys.readouterr().out)
    assert (results["detector"], results["profile"], results["bundle"]) == (kind, None, kind)
    assert evaluate("nab", checkout, "--json", "--quiet") == 0
    ours = json.loads(capsys.readouterr().out)
    assert ours["detector"] == "lstm"
    assert ours["scores"] != results["scores"]


def make_folder(directory: Path) -> Path:
    """A table with a labelled spike, and arrays of two fields with one in the second."""
    directory.mkdir()
    stream = write_stream(directory / "machine.csv")
    header, *lines = stream.read_text().splitlines()
    rows = [f"{line},{int(450 <= row < 460)}" for row, line in enumerate(lines)]
    stream.write_text("\n".join([f"{header},label", *rows]) + "\n")
    rng = np.random.default_rng(7)
    values = rng.normal(0, 0.1, (700, 2))
    values[600:603, 1] += 9
    np.save(directory / "pair.npy", values)
    np.save(directory / "pair_labels.npy", np.isin(np.arange(700), range(600, 610)))
    return directory


def test_a_folder_of_labelled_files_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Faults are found, each file and all together are told, and scores of every row are written."""
    folder, out = make_folder(tmp_path / "in"), tmp_path / "out"
    assert evaluate("folder", folder, "--json", "--out", out, "--jobs", "1", "--interval", "5min") == 0
    printed, told = capsys.readouterr()
    assert printed.encode() == (out / "results.json").read_bytes()
    results = json.loads(printed)
    assert (results["files"], results["labelled_files"], results["points"]) == (2, 2, 600 + 2 * 700)
    assert (results["detection"]["detected"], results["detection"]["windows"]) == (2, 2)
    assert results["detection"]["lanes"] == 3
    assert results["event"]["vus_pr"] > 0.3
    machine, pair = results["per_file"]
    assert (machine["name"], machine["fields"]) == ("machine", ["value"])
    assert machine["read"] == "time timestamp; values value; label label"
    assert (pair["name"], pair["fields"]) == ("pair", ["value_0", "value_1"])
    assert machine["detection"]["detection_delay_s"]["median"] == 0
    assert re.search(r"^ machine +600 +1 +0\.\d+ +0\.\d+ +1 of 1 ", told, re.MULTILINE)
    assert re.search(r"Labelled +2 of 2 windows found: recall 100%", told)

    with (out / "scores" / "pair.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [*rows[0]] == ["time", "label", "event_score", "segment_score", "alert_score"]
    assert len(rows) == 700
    assert float(rows[600]["alert_score"]) > 0
    assert {row["label"] for row in rows[600:610]} == {"1"}
    first, second = (np.datetime64(row["time"].removesuffix("Z")) for row in rows[:2])
    assert second - first == np.timedelta64(STEP)


def test_history_is_learned_from_and_not_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a history beyond its fault a file has no labelled row left, and a notice says so."""
    folder = make_folder(tmp_path / "in")
    (folder / "pair.npy").unlink()
    (folder / "pair_labels.npy").unlink()
    assert evaluate("folder", folder, "--json", "--jobs", "1", "--history", "500") == 0
    printed, told = capsys.readouterr()
    results = json.loads(printed)
    assert results["labelled_files"] == 0
    assert results["event"] == {"vus_pr": None, "auc_pr": None}
    assert results["detection"]["recall"] is None
    assert "notice: found no row labelled as anomalous" in told


def test_an_evaluation_that_failed_is_in_nobodys_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it left is replaced without further ado."""
    folder, out = make_folder(tmp_path / "in"), tmp_path / "out"
    arguments = ("folder", folder, "--json", "--quiet", "--jobs", "1", "--out", out)
    table = folder / "machine.csv"
    good = table.read_text()
    table.write_text(good.replace(",0\n", ",maybe\n", 1))
    assert evaluate(*arguments) == 2
    assert "machine.csv, row 1, column 'label': found 'maybe'; expected 0 or 1" in capsys.readouterr().err
    table.write_text(good)
    assert evaluate(*arguments) == 0


def test_outputs_are_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is there stays, unless it is an evaluation and --overwrite is given; then nothing of it remains."""
    folder, out = make_folder(tmp_path / "in"), tmp_path / "out"
    arguments = ("folder", folder, "--json", "--quiet", "--jobs", "1", "--out", out)
    assert evaluate(*arguments) == 0
    assert evaluate(*arguments) == 2
    assert "found an evaluation; expected a new or empty directory" in capsys.readouterr().err
    (folder / "pair.npy").unlink()
    (folder / "pair_labels.npy").unlink()
    (out / "mine.txt").touch()
    assert evaluate(*arguments, "--overwrite") == 0
    assert [path.name for path in (out / "scores").iterdir()] == ["machine.csv"]
    assert (out / "mine.txt").exists()
    assert evaluate("folder", folder, "--out", folder, "--overwrite") == 2
    assert "found something that is not an evaluation's" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("nab", "."), "found no data there; expected a checkout of"),
        (("nab",), "missing argument 'DIR'"),
        (("folder", "."), "found no files; expected tables"),
        (("folder", ".", "--interval", "soon"), "--interval: found 'soon'; expected a duration"),
        (("folder", ".", "--jobs", "0"), "--jobs: found 0; expected a number in the range x>=1"),
        (("nab", ".", "--profile", "tiny"), "--profile"),
        (("nb", "."), "found the unknown command 'nb'; `driftline evaluate --help` shows what there is; did you mean"),
    ],
)
def test_what_cannot_be_used_gets_one_line(
    arguments: tuple[str, ...],
    part: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On stderr, with what was expected, and exit status 2."""
    monkeypatch.chdir(tmp_path)
    assert evaluate(*arguments) == 2
    out, err = capsys.readouterr()
    assert not out
    assert part in err
    assert err.count("\n") == 1


def test_a_checkout_without_windows_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is scored."""
    calm = next(stream for stream in load_nab() if not len(stream.windows))
    assert evaluate("nab", write_checkout(tmp_path / "nab", [calm])) == 2
    assert "found no labelled window for its files; expected at least one" in capsys.readouterr().err
