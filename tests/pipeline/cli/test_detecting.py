import json
import math
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from detectors.baselines import WINDOW, Persistence, WindowedGaussian
from pipeline.cli import run
from pipeline.cli.detecting import choose_detector, require_lstm
from pipeline.config import DEFAULT_RISK, Config
from pipeline.errors import ConfigError
from tests.pipeline.cli.samples import configured, write_stream
from tests.pipeline.cli.test_replay import OUTPUTS, replay, same_outputs, start_slowly, stream, summary_in

__all__ = ["stream"]  # a fixture

TREES = "river.anomaly.HalfSpaceTrees"


def test_the_detector_is_the_one_configured() -> None:
    """The LSTM unless another is named; risk, episodes and options go to it."""
    assert choose_detector(Config()).bundle == "6911901f8c7846d2"
    chosen = choose_detector(configured(detector__kind="windowed-gaussian", detector__risk=0.1, episodes__rest=7))
    assert isinstance(chosen.detector, WindowedGaussian)
    assert chosen.detector.window == WINDOW
    assert chosen.bundle == chosen.detector.name == "windowed-gaussian"
    decision = chosen.detector.ranking.decision
    assert decision.thresholds.tolist() == [[4.0], [4.0]]
    assert (decision.rest, decision.warm_up) == (7, 150)
    short = choose_detector(configured(detector__kind="windowed-gaussian", detector__options={"window": 100}))
    assert short.detector.lane_dtype["values"].shape == (100,)
    wide = choose_detector(configured(detector__kind="persistence", windows__size=300))
    assert isinstance(wide.detector, Persistence)
    assert wide.detector.ranking.window == 300
    assert choose_detector(configured(detector__kind=TREES)).detector.name == TREES


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        ("persistence", {"window": 7}, "found 'window' for persistence; expected none"),
        ("windowed-gaussian", {"windw": 7}, "found 'windw' for windowed-gaussian; expected window; did you mean"),
        ("windowed-gaussian", {"window": 1}, "found window=1; expected a whole number from 2 to 1000000"),
        ("windowed-gaussian", {"window": True}, "found window=True; expected a whole number"),
    ],
)
def test_options_that_there_are_not_are_told(kind: str, options: dict[str, object], told: str) -> None:
    """With those that there are."""
    with pytest.raises(ConfigError, match=rf"^\[detector\] options: {told}"):
        choose_detector(configured(detector__kind=kind, detector__options=options))


def test_the_service_is_for_the_lstm(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A baseline is refused by `serve` and `check` before anything is connected to."""
    require_lstm(Config())
    file = tmp_path / "driftline.toml"
    file.write_text('[input]\ntopics = ["metrics"]\n[detector]\nkind = "persistence"\n')
    told = "[detector] kind: found 'persistence'; expected 'lstm' for the service"
    for arguments in (["serve"], ["serve", "--workers", "2"], ["check"]):
        assert run([*arguments, "--config", str(file)]) == 2
        printed = capsys.readouterr()
        assert told in " ".join((printed.out + printed.err).split())


@pytest.mark.parametrize("kind", ["windowed-gaussian", "persistence", TREES])
def test_a_baseline_is_one_flag_away(
    stream: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The outputs are those of any replay, and say what scored them; every record is accounted for."""
    options = ["--detector-option", "window_size=100"] if kind == TREES else []
    assert replay(stream, "--detector", kind, *options) == 0
    out = tmp_path / "driftline-replay"
    assert {path.name for path in out.iterdir()} == {*OUTPUTS, "summary.json", "report.html"}
    summary = summary_in(out)
    assert summary["records"]["scored"], summary["records"]["warming"] == (450, 150)
    assert summary["detector"] == {"kind": kind, "options": {"window_size": 100} if options else {}}
    assert (summary["profile"], summary["bundle"]) == (None, None)
    table = pq.read_table(out / "verdicts.parquet").to_pydict()
    assert table["threshold"][-1] == pytest.approx(math.log10(1000 / DEFAULT_RISK))
    if kind != TREES:
        assert table["is_anomaly"][450]
        events = [json.loads(line) for line in (out / "anomalies.jsonl").read_text().splitlines()]
        assert events[0]["bundle"] == kind
        (spoke,) = events[0]["streams"]
        assert (spoke["name"], spoke["horizon"], spoke["side"]) == ("score", None, "above")
        assert spoke["exact"]
        assert events[0]["once_in"] == pytest.approx((spoke["among"] + 1) / (spoke["seen"] + 1), rel=0.05)
        assert events[0]["reason"].startswith("raw score of the detector: ")
    told = capsys.readouterr().out
    assert f"Detector  {kind}{' (window_size=100)' if options else ''}, risk 0.7" in told
    assert f"<dt>Detector</dt><dd>{kind}</dd>" in (out / "report.html").read_text()


def test_micro_batches_and_interruptions_do_not_show(stream: Path, tmp_path: Path) -> None:
    """An interrupted replay by a baseline goes on, in other micro-batches, to the bytes of one that was not."""
    kind = "windowed-gaussian"
    assert replay(stream, "--detector", kind, "--out", "whole", "--no-report", "--micro-batch", "77") == 0
    out = tmp_path / "stopped"
    process, _ = start_slowly(stream, "--detector", kind, "--out", out, "--no-report")
    process.terminate()
    _, told = process.communicate(timeout=60)
    assert process.returncode == 143, told
    assert 0 < pq.read_table(out / "verdicts.parquet").num_rows < 600
    assert replay(stream, "--detector", kind, "--out", out, "--no-report", "--resume") == 0
    assert same_outputs(tmp_path / "whole", out)


def test_a_replay_by_river_is_not_gone_on_with(
    stream: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Interrupted, its outputs are whole and it says to start afresh; --resume is refused, for any detector."""
    out = tmp_path / "stopped"
    process, _ = start_slowly(stream, "--detector", TREES, "--out", out, "--no-report")
    process.terminate()
    _, told = process.communicate(timeout=60)
    assert process.returncode == 143, told
    assert f"what {TREES} has learned is not saved: to go on, start afresh with --overwrite" in told
    assert 0 < pq.read_table(out / "verdicts.parquet").num_rows < 600
    assert replay(stream, "--detector", TREES, "--out", out, "--no-report", "--resume") == 2
    assert "expected one whose state is saved" in capsys.readouterr().err
    assert replay(stream, "--out", out, "--no-report", "--resume") == 2
    assert replay(stream, "--detector", TREES, "--out", out, "--no-report", "--overwrite") == 0


def test_each_file_has_models_of_its_own(tmp_path: Path) -> None:
    """What a detector of river says of a file does not depend on the files before it."""
    for name in ("a.csv", "b.csv"):
        write_stream(tmp_path / name)
    path = "river.anomaly.StandardAbsoluteDeviation"
    assert replay(tmp_path, "--detector", path, "--out", tmp_path / "out", "--no-report") == 0
    table = pq.read_table(tmp_path / "out" / "verdicts.parquet").to_pydict()
    assert len(table["score"]) == 1200
    assert table["score"][150:600] == table["score"][750:]
