"""What stands for a device here is the CPU: the same code runs on CUDA, where these tests have not been run."""

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.examples import validation_examples
from tests.detectors.training.runs import CONFIG, HORIZONS, run, waves

pytestmark = pytest.mark.torch


def weights(trained: Any) -> np.ndarray[Any, Any]:
    """All weights in a row."""
    return np.concatenate([trained.network.arrays[name].ravel() for name in sorted(trained.network.arrays)])


def run_with_room_for(series: int, monkeypatch: pytest.MonkeyPatch, error: Exception) -> tuple[Any, list[int]]:
    """A run on a device that can take so many series at a time, and how many were tried each time."""
    from detectors.training.model import Forecaster

    tried: list[int] = []
    forward = Forecaster.forecast

    def cramped(self: Any, inputs: Any) -> Any:
        tried.append(len(inputs))
        found = forward(self, inputs)  # memory is used up before it is found not to suffice
        if len(inputs) > series:
            raise error
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Forecaster, "forecast", cramped)
        return run(steps=10), tried


def test_out_of_memory_halves_what_is_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where series do not fit together they go through in pieces, and the weights are the same but for rounding."""
    import torch

    whole = run(steps=10)
    for error in (
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ):
        trained, tried = run_with_room_for(2, monkeypatch, error)
        assert tried[:3] == [8, 4, 2]
        assert max(tried[3:]) == 2
        np.testing.assert_allclose(weights(trained), weights(whole), atol=2e-5)
        assert trained.batch == 8


def test_other_errors_are_not_taken_for_want_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong otherwise, or still is with a single series, is told."""
    import torch

    with pytest.raises(RuntimeError, match="something else"):
        run_with_room_for(2, monkeypatch, RuntimeError("something else"))
    with pytest.raises(torch.OutOfMemoryError, match="much too little"):
        run_with_room_for(0, monkeypatch, torch.OutOfMemoryError("much too little"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by the system")
def test_a_machine_that_has_too_little_memory_is_trained_on_in_pieces() -> None:
    """A process that may take little memory trains with a batch that takes far more, in pieces."""
    done = subprocess.run(
        [sys.executable, "-m", __name__], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3]
    )
    assert done.returncode == 0, done.stderr
    piece, batch = map(int, done.stdout.split())
    assert 0 < piece <= batch // 2


def test_bfloat16_learns_the_same() -> None:
    """With the LSTM in bfloat16 the loss falls as far, and the weights stay float32."""
    exact, mixed = run(), run(precision="bfloat16")
    assert (exact.precision, mixed.precision) == ("float32", "bfloat16")
    assert mixed.curve.training != exact.curve.training
    assert mixed.curve.validation[-1] == pytest.approx(exact.curve.validation[-1], abs=0.05)
    assert mixed.network.arrays["head_weight"].dtype == np.float32


def test_bfloat16_that_goes_astray_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a loss is no number any more, the run goes back to its last validation and on in float32, and says so."""
    import torch

    from detectors.training.model import Forecaster

    recur, calls, notes = Forecaster._recur, [0], list[str]()

    def unstable(self: Any, inputs: Any, state: Any) -> Any:
        hidden, state = recur(self, inputs, state)
        calls[0] += self.is_mixed
        return (hidden * torch.nan if self.is_mixed and calls[0] > 30 else hidden), state

    monkeypatch.setattr(Forecaster, "_recur", unstable)
    trained = run(precision="bfloat16", hooks={"note": notes.append})
    assert notes == ["training in bfloat16 went astray before step 40: going on in float32 from step 20"]
    assert trained.precision == "float32"
    assert trained.curve.step == [20, 40, 60]
    assert np.isfinite(trained.curve.validation).all()


def test_a_lower_precision_has_to_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where gradients in bfloat16 are others, or there is no such LSTM, float32 is used, and that is told."""
    from detectors.training.model import Forecaster

    recur = Forecaster._recur
    for wrong, told in (("other", "training in float32"), ("none", "has no LSTM in bfloat16")):

        def unlike(self: Any, inputs: Any, state: Any, wrong: str = wrong) -> Any:
            if self.is_mixed and wrong == "none":
                raise RuntimeError("not implemented for 'BFloat16'")
            hidden, state = recur(self, inputs, state)
            return (-hidden if self.is_mixed else hidden), state

        monkeypatch.setattr(Forecaster, "_recur", unlike)
        notes: list[str] = []
        assert run(precision="bfloat16", steps=2, hooks={"note": notes.append}).precision == "float32"
        assert told in notes[0]


def test_unknown_precision_is_refused() -> None:
    """A precision that there is not is refused, with those that there are."""
    with pytest.raises(ValueError, match="found precision 'half'; expected one of auto, float32, bfloat16"):
        run(precision="half")


def test_a_missing_device_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where CUDA is asked for and not there, what torch says of it is told; without CUDA `auto` says nothing."""
    import warnings

    import torch

    from detectors.training.devices import pick_device

    def old_driver() -> bool:
        warnings.warn("CUDA initialization: The NVIDIA driver on your system is too old", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", old_driver)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(ValueError, match=r"one that is here: cpu \(CUDA initialization: .* is too old\)"):
        pick_device("cuda")
    assert pick_device("auto").type == "cpu"
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(ValueError, match="is built without CUDA: install a build that has it"):
        pick_device("cuda")


def test_batches_fit_into_memory() -> None:
    """As many series as free memory has room for, as a power of two, at least one and no more than make sense."""
    from detectors.training.devices import fitting_batch

    assert fitting_batch(10_000_000, 10_000, 10**6) == 512
    assert fitting_batch(9_000_000, 10_000, 10**6) == 512  # a little less free memory changes nothing
    assert fitting_batch(10**12, 10_000, 10**6) == 4096
    assert fitting_batch(10_000_000, 10_000, 100) == 100
    assert fitting_batch(10, 10_000, 100) == 1


def main() -> None:
    """Train with far more series than fit, and print the size of a piece and of the batch."""
    import torch

    from detectors.examples import Examples
    from detectors.training import Hooks, StreamSource, TrainingConfig, TrainingState, train

    small = validation_examples(*waves(7), HORIZONS)
    big = Examples(np.tile(small.inputs, (256, 1, 1)), np.tile(small.targets, (256, 1, 1)))
    torch.set_num_threads(1)
    train(TrainingConfig(**CONFIG | {"steps": 1}), StreamSource(lambda _step: iter([small]), 8), small)
    with open("/proc/self/statm") as file:  # noqa: PTH123
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 700_000_000, resource.RLIM_INFINITY))
    kept: list[TrainingState] = []
    config = TrainingConfig(**CONFIG | {"steps": 1, "hidden": 64})
    train(config, StreamSource(lambda _step: iter([big]), len(big.inputs)), small, hooks=Hooks(keep=kept.append))
    print(kept[0].piece, len(big.inputs))


if __name__ == "__main__":
    main()
