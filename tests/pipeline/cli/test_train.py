from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from detectors.normalise import CONSTANTS
from pipeline.adapters.bundles import TrainingWindow, load_bundle, save_bundle, shipped_bundle_path
from pipeline.adapters.bundles.registry import Registry
from pipeline.cli import run
from pipeline.cli.version import driftline_version
from tests.pipeline.cli.bundles import variant
from tests.pipeline.cli.samples import START, STEP, start, write_stream

TINY = ("--steps", "3", "--excerpts", "4", "--length", "32")
RECORDS = 1000


def write_plants(path: Path) -> Path:
    """Two keys of two fields that follow each other, five minutes apart."""
    rng = np.random.default_rng(7)
    lines = ["time,key,flow,power\n"]
    for n in range(RECORDS):
        for key in ("one", "two"):
            flow = np.sin(n / 20) + 0.1 * rng.normal()
            lines.append(
                f"{START + n * STEP:%Y-%m-%dT%H:%M:%SZ},{key},{flow:.4f},{3 * flow + 0.1 * rng.normal():.4f}\n"
            )
    path.write_text("".join(lines))
    return path


@pytest.mark.slow
@pytest.mark.torch
def test_a_joint_bundle_scores_without_torch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A joint bundle says how it was made, is the same again, and scores its fields, but no others, without torch."""
    plants = write_plants(tmp_path / "plants.csv")
    arguments = ["train", str(plants), "--key-field", "key", "--joint", "--hidden", "4", *TINY]
    for name in ("one", "two"):
        assert run([*arguments, "--out", str(tmp_path / name)]) == 0
    told = capsys.readouterr()
    assert "training on 4,000 points of 2 keys" in told.err
    assert "alarms per 1,000 points in what was held back, 0.7 being asked for" in told.out.replace("\n", " ")
    bundle, again = load_bundle(tmp_path / "one"), load_bundle(tmp_path / "two")
    assert again.manifest.id == bundle.manifest.id
    assert bundle.network.fields == ("flow", "power")
    assert bundle.manifest.lineage.parent == load_bundle(shipped_bundle_path()).manifest.id
    assert bundle.manifest.metrics["alarms_per_1000_points"]["points"] == 800
    assert bundle.manifest.training_window == TrainingWindow(
        START, START + (RECORDS - 1) * STEP + timedelta(microseconds=1)
    )
    assert bundle.manifest.normaliser == CONSTANTS
    assert bundle.manifest.code_version == driftline_version()
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    path = f"{tmp_path}:{Path(__file__).parents[3]}"
    replay = ("replay", plants, "--key-field", "key", "--bundle", tmp_path / "one", "--json", "--quiet")
    process = start(*replay, "--out", tmp_path / "o", PYTHONPATH=path)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert msgspec.json.decode(out)["bundle"] == bundle.short_id
    assert run(["replay", str(write_stream(tmp_path / "m.csv")), "--bundle", str(tmp_path / "one")]) == 2
    assert "found the fields value; expected those that the joint network was fitted for: flow, power" in (
        capsys.readouterr().err
    )


@pytest.mark.slow
@pytest.mark.torch
def test_tuning_goes_on_from_the_bundle(tmp_path: Path) -> None:
    """Without --joint the shipped network is tuned, and never comes out worse on what was held back."""
    history = write_stream(tmp_path / "m.csv", 1000, fault=None)
    assert run(["train", str(history), "--out", str(tmp_path / "b"), "--quiet", *TINY]) == 0
    shipped, tuned = load_bundle(shipped_bundle_path()), load_bundle(tmp_path / "b")
    assert tuned.manifest.version == shipped.manifest.version
    assert (tuned.network.hidden, tuned.network.fields) == (shipped.network.hidden, ())
    assert tuned.manifest.calibration == shipped.manifest.calibration
    curve = tuned.manifest.metrics["learning_curve"]
    assert curve["step"][0] == 0
    assert min(curve["validation"]) <= curve["validation"][0]


@pytest.mark.slow
@pytest.mark.torch
def test_the_champion_is_trained_on_and_what_comes_of_it_published(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It begins with the champion of the registry, is put beside it, and is promoted by the command that is told."""
    history, registry = write_stream(tmp_path / "m.csv", 1000, fault=None), tmp_path / "models"
    where = ["--registry", str(registry)]
    first = variant()
    save_bundle(first, tmp_path / "first")
    assert run(["models", "add", str(tmp_path / "first"), "--promote", *where]) == 0
    assert run(["train", str(history), "--start-from", "champion", "--publish", *where, "--quiet", *TINY]) == 0
    told = capsys.readouterr().out
    opened = Registry(str(registry))
    (made,) = set(opened.standing().published) - {first.manifest.id}
    assert opened.champion() == first.manifest.id
    assert opened.load(made).manifest.lineage.parent == first.manifest.id
    assert f"driftline models diff champion {made[:16]} --registry {registry}" in told
    (line,) = (line for line in told.splitlines() if line.startswith("Promote it: driftline "))
    assert run(line.removeprefix("Promote it: driftline ").split()) == 0
    assert opened.champion() == made


@pytest.mark.torch
@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--joint"], "--joint: found the one field 'value'; expected two or more"),
        (["--time-limit", "soon"], "--time-limit: found 'soon'; expected a duration"),
        (["--peak-rate", "0"], "--peak-rate: found 0.0; expected a number in the range 0<x<=1"),
        (["--feedback", "s3://b/said"], "s3://b/said: found a URL of 's3'; expected a path of this machine"),
        (["--hidden", "8"], "expected --scratch, to make a network of another size or structure"),
        (["--cell", "gru", "--attention", "4"], "--cell, --attention: found weights to begin with, of 1 x 64, lstm"),
        (["--start-from", "nowhere"], "nowhere"),
        (["--start-from", "champion", "--registry", "empty"], "registry empty: found no champion; expected one"),
        (["--publish", "--registry", "gopher://x/y"], "gopher"),
        ([], "found a history of at most 600 records a key; expected at least 681 to learn from"),
    ],
)
def test_what_cannot_be_trained_on_gets_one_line(
    tmp_path: Path, arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong is told in one line, and nothing is written."""
    history = write_stream(tmp_path / "m.csv", 600)
    assert run(["train", str(history), "--out", str(tmp_path / "b"), "--quiet", *TINY, *arguments]) == 2
    assert part in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


@pytest.mark.torch
@pytest.mark.parametrize("arguments", [["--time-limit", "soon"], ["--device", "cuda"]])
def test_what_the_machine_cannot_do_is_told_before_the_history_is_read(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody waits for a long history only to learn that an option is wrong."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert run(["train", "nothing.csv", "--out", "b", *arguments]) == 2
    assert f"{arguments[0]}: found " in capsys.readouterr().err


def test_a_bundle_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory that is there is refused before anything is read."""
    assert run(["train", "nothing.csv", "--out", str(tmp_path)]) == 2
    assert "expected a directory that is not there yet" in capsys.readouterr().err


def test_a_bundle_has_to_go_somewhere(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a folder nor the registry is refused before anything is read."""
    assert run(["train", "nothing.csv"]) == 2
    assert "found neither --out nor --publish; expected one of them, or both" in capsys.readouterr().err
