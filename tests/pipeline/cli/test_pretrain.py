import inspect
from pathlib import Path

import pytest

from detectors.normalise import CONSTANTS
from detectors.structure import PLAIN, Structure
from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.cli import run
from pipeline.cli.pretrain import command
from pipeline.cli.training_screen import learning_curve
from pipeline.cli.trainings import HIDDEN, LAYERS
from pipeline.cli.version import driftline_version
from tests.pipeline.cli.samples import start, write_stream

TINY = ("--hidden", "4", "--steps", "4", "--series", "4", "--length", "500", "--validation-series", "4")


@pytest.mark.slow
@pytest.mark.torch
def test_a_trained_bundle_can_replay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The bundle that is written says how it was made, is calibrated for every profile, and scores a stream."""
    bundle = tmp_path / "bundles" / "mine"
    assert run(["pretrain", "--out", str(bundle), *TINY, "--seed", "5", "--calibration-streams", "10"]) == 0
    out, err = capsys.readouterr()
    assert "validation loss" in out
    assert "step 4 of 4" in err
    manifest = load_bundle(bundle).manifest
    assert manifest.seed == 5
    assert manifest.training["training"]["hidden"] == 4
    assert set(manifest.calibration) == {"accurate", "balanced", "dense"}
    assert manifest.normaliser == CONSTANTS
    assert manifest.joint_calibration is not None
    assert set(manifest.joint_calibration) == {"accurate", "balanced", "dense"}
    assert (manifest.version, manifest.code_version, manifest.training_window) == (4, driftline_version(), None)
    stream = write_stream(tmp_path / "machine.csv")
    arguments = ["replay", str(stream), "--bundle", str(bundle), "--out", str(tmp_path / "o"), "--profile", "dense"]
    assert run(arguments) == 0


@pytest.mark.slow
@pytest.mark.torch
def test_a_structure_is_chosen_by_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The bundle that is written has the structure asked for, shows it, tells what it costs, and scores a stream."""
    bundle = tmp_path / "mine"
    asked = ("--cell", "gru", "--convolution", "3", "--attention", "16", "--hidden", "64")
    assert run(["pretrain", "--out", str(bundle), *TINY, *asked, "--calibration-streams", "10"]) == 0
    assert "a lane takes more bytes than with the shipped network: profile accurate" in capsys.readouterr().err
    manifest = load_bundle(bundle).manifest
    assert (manifest.version, manifest.network.structure) == (5, Structure("gru", 3, 16))
    assert manifest.training["training"]["structure"] == {"cell": "gru", "convolution": 3, "attention": 16}
    registry = ["--registry", str(tmp_path / "models")]
    assert run(["models", "add", str(bundle), *registry]) == 0
    assert run(["models", "show", manifest.id[:12], *registry]) == 0
    assert "gru behind a convolution over 3 steps, read out with attention over 16 states" in " ".join(
        capsys.readouterr().out.split()
    )
    stream = write_stream(tmp_path / "machine.csv")
    assert run(["replay", str(stream), "--bundle", str(bundle), "--out", str(tmp_path / "o")]) == 0


@pytest.mark.slow
def test_a_network_can_be_kept(tmp_path: Path) -> None:
    """Thresholds measured anew go with the weights of the bundle, which is named as parent, without any torch."""
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    shipped, out = shipped_bundle_path(), tmp_path / "b"
    here = Path(__file__).parents[3]
    measured = ("--calibration-streams", "10", "--seed", "8")
    path = f"{tmp_path}:{here}"
    process = start("pretrain", "--out", out, "--keep-network", shipped, *measured, PYTHONPATH=path)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    before, after = load_bundle(shipped).manifest, load_bundle(out).manifest
    assert after.lineage.parent == before.id
    assert (after.weights_sha256, after.metrics, after.seed) == (before.weights_sha256, before.metrics, before.seed)
    assert after.calibration.keys() == before.calibration.keys()
    assert after.calibration != before.calibration
    assert after.joint_calibration != before.joint_calibration
    assert (after.version, after.normaliser, after.code_version) == (4, None, None)


@pytest.mark.slow
def test_measuring_again_gives_the_same_bundle(tmp_path: Path) -> None:
    """Thresholds that come out as they were make no new bundle, whatever the threads: it is the same to the byte."""
    first, again = tmp_path / "first", tmp_path / "again"
    measured = ("--calibration-streams", "8", "--seed", "8")
    assert run(["pretrain", "--out", str(first), "--keep-network", str(shipped_bundle_path()), *measured]) == 0
    more = ("--jobs", "3")
    assert run(["pretrain", "--out", str(again), "--keep-network", str(first), *measured, *more]) == 0
    for name in ("manifest.json", "weights.safetensors"):
        assert (again / name).read_bytes() == (first / name).read_bytes()


@pytest.mark.torch
def test_the_defaults_are_those_of_the_training() -> None:
    """What the help shows as default is what the training takes by itself."""
    from detectors.calibration import calibrate
    from detectors.training import TrainingConfig
    from pipeline.pretrain import PretrainConfig

    shown = {parameter.name: parameter.default for parameter in command.params}
    training = TrainingConfig()
    assert (training.layers, training.hidden, training.structure) == (LAYERS, HIDDEN, PLAIN)
    for name in ("seed", "steps", "peak_rate", "patience", "threads", "device"):
        assert shown[name] == getattr(training, name)
    config = PretrainConfig(training)
    assert shown["series"] == config.batch
    assert (shown["length"], shown["validation_series"]) == (config.length, config.validation_series)
    assert shown["calibration_streams"] == inspect.signature(calibrate).parameters["streams"].default


@pytest.mark.torch
@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--device", "abacus"], "--device: found 'abacus'; expected one of 'auto', 'cpu', 'cuda'"),
        (["--precision", "float8"], "--precision: found 'float8'; expected one of 'auto', 'float32', 'bfloat16'"),
        (["--seed", "-1"], "--seed: found -1; expected a number in the range x>=0"),
        (["--peak-rate", "nan"], "--peak-rate: found nan; expected a number in the range 0<x<=1"),
        (["--peak-rate", "0"], "--peak-rate: found 0.0; expected a number in the range 0<x<=1"),
        (["--time-limit", "soon"], "--time-limit: found 'soon'; expected a duration"),
        (["--keep-network", "b", "--cell", "gru"], "--hidden, --cell: found with --keep-network"),
        (["--cell", "rnn"], "--cell: found 'rnn'; expected one of 'lstm', 'gru', 'layer-norm-lstm'"),
        (["--convolution", "1"], "--convolution: found 1; expected a number in the range 2<=x<=8"),
        (["--attention", "17"], "--attention: found 17; expected a number in the range 2<=x<=16"),
    ],
)
def test_what_cannot_be_trained_with_gets_one_line(
    tmp_path: Path, arguments: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong option is told before any training, and nothing is written."""
    assert run(["pretrain", "--out", str(tmp_path / "b"), *TINY, *arguments]) == 2
    assert part in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


def test_a_bundle_is_not_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A directory that is there is refused before any training."""
    assert run(["pretrain", "--out", str(tmp_path)]) == 2
    assert "expected a directory that is not there yet" in capsys.readouterr().err


def test_without_torch_the_extra_is_named(tmp_path: Path) -> None:
    """Where torch is not installed, one line says how to install it."""
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    here = Path(__file__).parents[3]
    process = start("pretrain", "--out", tmp_path / "b", PYTHONPATH=f"{tmp_path}:{here}")
    _, told = process.communicate(timeout=180)
    assert process.returncode == 2
    assert told == "driftline: error: found no torch; expected it for training: pip install 'driftline[train]'\n"


def test_the_learning_curve_is_drawn() -> None:
    """A falling loss is a falling row of bars, with its first, best and last value below."""
    text = learning_curve({"step": [10, 20, 30, 40], "training": [], "validation": [1.7, 1.0, 0.3, 0.4]})
    assert text == "validation loss █▅▁▂\nfirst 1.700, best 0.300 at step 30, last 0.400"
    long = learning_curve({"step": list(range(500)), "validation": [float(500 - n) for n in range(500)]})
    bars = long.splitlines()[0].removeprefix("validation loss ")
    assert (len(bars), bars[0], bars[-1]) == (60, "█", "▁")
