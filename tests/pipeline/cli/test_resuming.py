import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.adapters.bundles import load_bundle
from pipeline.adapters.training_file import TrainingFile
from pipeline.cli import run
from pipeline.cli.pretrain import _config, command
from tests.pipeline.cli.samples import start, write_stream

SMALL = ("--scratch", "--hidden", "4", "--steps", "300", "--excerpts", "2", "--length", "16")
TINY_PRIOR = (
    "--hidden", "4", "--steps", "200", "--series", "2", "--length", "700", "--validation-series", "2",
)  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.torch]


def kill_along_the_way(arguments: list[str], file: Path, seed: int) -> int:
    """Run a command again and again, killed at random moments behind its next validation; how often it went on."""
    rng = np.random.default_rng(seed)
    went_on = 0
    for _ in range(3):
        process, before = start(*arguments), file.stat().st_mtime_ns if file.exists() else 0
        while process.poll() is None and (not file.exists() or file.stat().st_mtime_ns == before):
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.2))
        process.kill()
        _, told = process.communicate(timeout=60)
        went_on += "going on behind step" in told
        if not file.exists():  # it came to its end on a machine that had other things to do than to kill it
            break
    return went_on


def test_a_killed_training_goes_on_to_the_same_bundle(tmp_path: Path) -> None:
    """Killed at random moments and given again, a command writes the bundle of an undisturbed run, to the byte."""
    history = write_stream(tmp_path / "m.csv", 900, fault=None)
    whole = ["train", str(history), *SMALL]
    assert run([*whole, "--out", str(tmp_path / "whole")]) == 0
    file, arguments = tmp_path / "killed.resume", [*whole, "--out", str(tmp_path / "killed")]
    assert kill_along_the_way(arguments, file, 7) >= 1
    assert file.exists() or (tmp_path / "killed").exists()
    assert (tmp_path / "killed").exists() or run(arguments) == 0
    for name in ("weights.safetensors", "manifest.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not file.exists()


def test_a_killed_pretraining_goes_on_to_the_same_prior(tmp_path: Path) -> None:
    """The same of a training from nothing: weights, curve and hash of the streams are those of an undisturbed run."""
    from pipeline.pretrain import pretrain

    arguments = ["pretrain", *TINY_PRIOR, "--out", str(tmp_path / "b")]
    file = tmp_path / "b.resume"
    assert kill_along_the_way(arguments, file, 7) >= 1
    config = _config(command.make_context("pretrain", arguments[1:]).params)
    whole = pretrain(config, clock=time.monotonic, progress=lambda _report: None)
    told: list[str] = []
    is_interrupted = file.exists()
    again = pretrain(
        config, clock=time.monotonic, progress=lambda _report: None, note=told.append, store=TrainingFile(file)
    )
    assert not is_interrupted or told[0].startswith("going on behind step")
    for name, array in whole.network.arrays.items():
        assert again.network.arrays[name].tobytes() == array.tobytes()
    assert replace(again, network=whole.network) == whole


def test_another_training_is_not_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another history or option is refused while one is interrupted, until it is begun anew or kept elsewhere."""
    history = write_stream(tmp_path / "m.csv", 900, fault=None)
    arguments = ["train", str(history), *SMALL, "--out", str(tmp_path / "b")]
    process, file = start(*arguments), tmp_path / "b.resume"
    while process.poll() is None and not file.exists():
        time.sleep(0.005)
    process.kill()
    process.communicate(timeout=60)
    shutil.copy(file, tmp_path / "copy")
    assert run([*arguments, "--seed", "2"]) == 2
    assert "b.resume: found an interrupted training of another history or with other options" in capsys.readouterr().err
    write_stream(tmp_path / "m.csv", 901, fault=None)
    assert run(arguments) == 2
    capsys.readouterr()
    assert run([*arguments, "--seed", "2", "--resume-file", str(tmp_path / "other"), "--steps", "2"]) == 0
    shutil.rmtree(tmp_path / "b")
    assert run([*arguments, "--fresh"]) == 0
    told = capsys.readouterr().err
    assert f"keeping the training in {file}" in told.replace("\n", "")
    assert "going on behind" not in told
    assert load_bundle(tmp_path / "b").manifest.metrics["best_step"] > 0
    assert not file.exists()
