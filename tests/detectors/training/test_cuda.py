"""What only a CUDA device shows: `make gpu` runs these, beside the benchmarks of training."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.examples import Examples, validation_examples
from detectors.structure import Structure
from tests.detectors.training.runs import CONFIG, HORIZONS, run, same, waves
from tests.detectors.training.test_staging import excerpts

pytestmark = [
    pytest.mark.torch,
    pytest.mark.cuda,
    pytest.mark.filterwarnings("default"),  # what torch, Triton and cuDNN warn of on a device is theirs
]
ON_CUDA: dict[str, Any] = {"device": "cuda", "hidden": 16}
STRUCTURES = [Structure(), Structure("gru", 2, 3), Structure("layer-norm-lstm")]


def weights(trained: Any) -> np.ndarray[Any, Any]:
    """All weights in a row."""
    return np.concatenate([trained.network.arrays[name].ravel() for name in sorted(trained.network.arrays)])


@contextmanager
def without_waiting() -> Iterator[None]:
    """What has the host wait for the device raises."""
    import torch

    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@contextmanager
def room_for(size_bytes: int) -> Iterator[None]:
    """Little memory for this process."""
    import torch

    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + size_bytes) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


@pytest.mark.parametrize(("layers", "hidden", "series", "steps"), [(1, 64, 24, 300), (2, 32, 1000, 40), (1, 16, 1, 5)])
def test_fused_layers_are_those_of_torch(layers: int, hidden: int, series: int, steps: int) -> None:
    """States and gradients are those of torch on the CPU: in float32 but for rounding, in bfloat16 in direction."""
    import torch

    from detectors.training.fused import is_fusable, run_fused

    torch.manual_seed(7)
    cells = torch.nn.LSTM(10, hidden, layers, batch_first=True)
    assert is_fusable(cells)
    x = torch.randn(series, steps, 10)
    state = torch.randn(layers, series, hidden), torch.randn(layers, series, hidden)

    def outcome(run: Any) -> list[torch.Tensor]:
        hidden, (_, c) = run()
        weight = 1.0 + 0.5 * torch.cos(torch.arange(steps, device=hidden.device))
        mixture = (hidden.float() * weight[:, None]).sum() + c.sum()
        gradients = torch.autograd.grad(mixture, list(cells.parameters()))
        return [each.float().cpu() for each in (hidden, c, *gradients)]

    expected = outcome(lambda: cells(x, state))
    cells.cuda()
    x, state = x.cuda(), (state[0].cuda(), state[1].cuda())
    exact = outcome(lambda: run_fused(cells, x, state))
    rough = outcome(lambda: run_fused(cells, x.bfloat16(), state))
    for one, other, wanted in zip(exact, rough, expected, strict=True):
        torch.testing.assert_close(one, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))
        assert torch.cosine_similarity(other.flatten(), wanted.flatten(), dim=0) > 0.999


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("joint", [False, True])
def test_steps_do_not_wait(structure: Structure, precision: str, joint: bool) -> None:
    """Excerpts are cut and steps are taken while the host waits for nothing, as CUDA itself sees it."""
    import torch

    from detectors.training import ExcerptSource, Ranks, TrainingConfig
    from detectors.training.devices import choose_kernels
    from detectors.training.model import new_model
    from detectors.training.run import Run

    fields, device = ("flow", "pressure") if joint else (), torch.device("cuda")
    config = TrainingConfig(hidden=16, horizons=(1, 3), context=70, structure=structure, fields=fields)
    model = new_model(config, 8 * 2 + 3 if joint else 10).to(device)
    source = ExcerptSource(excerpts(joint=joint), 7, 8)
    model.is_fused, told = choose_kernels(model, *source.sample(4, device))
    assert (model.is_fused, told) == (structure.cell == "lstm", "")
    model.is_mixed = precision == "bfloat16"
    steps, batches = Run(config, model, Ranks()), source.open(1, 8, device, Ranks())
    steps.step(*next(batches), 1e-3)
    with without_waiting():
        losses = [steps.step(*next(batches), 1e-3) for _ in range(5)]
    assert np.isfinite([loss.item() for loss in losses]).all()


def test_series_made_by_the_host_arrive_without_waiting() -> None:
    """Series that are made as they are needed come onto the device while the host goes on."""
    import torch

    from detectors.examples import training_examples
    from detectors.training import Ranks, StreamSource

    made = training_examples(*waves(7), HORIZONS)
    batches = StreamSource(lambda _step: iter([made] * 9), 8).open(1, 8, torch.device("cuda"), Ranks())
    next(batches)
    with without_waiting():
        arrived = [next(batches) for _ in range(5)]
    for inputs, targets in arrived:
        np.testing.assert_array_equal(inputs.cpu().numpy(), made.inputs)
        np.testing.assert_array_equal(targets.cpu().numpy(), made.targets)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "auto"])
def test_the_loss_is_that_of_the_cpu(precision: str) -> None:
    """The same run has the losses that it has on the CPU, within noise, and its errors are those of its weights."""
    notes: list[str] = []
    expected, found = run(hidden=16), run(precision=precision, hooks={"note": notes.append}, **ON_CUDA)
    assert notes == []
    assert found.device == "cuda"
    assert found.precision == ("float32" if precision == "float32" else "bfloat16")
    within = 2e-3 if precision == "float32" else 0.05
    np.testing.assert_allclose(found.curve.validation, expected.curve.validation, atol=within)
    from detectors.training import judge_forecasts

    judged = judge_forecasts(found.network, validation_examples(*waves(7), HORIZONS))
    np.testing.assert_allclose(list(found.loss_by_horizon.values()), list(judged.values()), atol=2e-3)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_run_gives_the_same_bits(precision: str) -> None:
    """Fused layers sum in a fixed order, so that a run again, and one gone on with, give its weights to the bit."""
    from detectors.training import TrainingState

    kept: list[TrainingState] = []
    changes = ON_CUDA | {"precision": precision}
    whole = run(hooks={"keep": kept.append}, **changes)
    assert same(run(**changes).network, whole.network)
    again = run(resume=TrainingState.from_arrays(kept[0].to_arrays()), **changes)
    assert same(again.network, whole.network)
    assert again.curve == whole.curve


def test_out_of_memory_halves_what_is_computed_at_once() -> None:
    """Where a step does not fit it goes through in pieces, and the weights are the same but for rounding."""
    from detectors.training import Hooks, StreamSource, TrainingConfig, TrainingState, train

    judged = validation_examples(*waves(7), HORIZONS)
    big = Examples(np.tile(judged.inputs, (512, 1, 1)), np.tile(judged.targets, (512, 1, 1)))
    config = TrainingConfig(**CONFIG | ON_CUDA | {"steps": 2, "hidden": 64, "precision": "float32"})
    kept: list[TrainingState] = []

    def trained() -> Any:
        source = StreamSource(lambda _step: iter([big] * 2), len(big.inputs))
        return train(config, source, judged, hooks=Hooks(keep=kept.append))

    whole = trained()
    with room_for(1 << 30):
        pieces = trained()
    assert kept[0].piece == 0
    assert 0 < kept[-1].piece <= len(big.inputs) // 2
    np.testing.assert_allclose(weights(pieces), weights(whole), atol=1e-3)


def test_excerpts_per_step_fit() -> None:
    """As many excerpts as are chosen, a power of two, go through a step at once, on less memory than there is."""
    import torch

    from detectors.training import ExcerptSource, Ranks, TrainingConfig
    from detectors.training.devices import choose_batch
    from detectors.training.model import new_model
    from detectors.training.run import Run

    device, few = torch.device("cuda"), excerpts(joint=False)
    source = ExcerptSource(replace(few, series=list(few.series) * 400), 7, None)
    model = new_model(TrainingConfig(hidden=64, horizons=(1, 3), context=70), 10).to(device)
    batch = choose_batch(model, *source.sample(8, device), source.most)
    steps = Run(TrainingConfig(), model, Ranks())
    steps.step(*next(source.open(1, batch, device, Ranks())), 1e-3)
    assert steps.pieces.size is None
    assert 8 < batch < source.most
    assert batch.bit_count() == 1


def test_one_process_of_torchrun_trains_over_nccl(tmp_path: Path) -> None:
    """Started by torchrun, a process alone sums by nccl, and gives the weights that it gives without."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "1", "-m", __name__]
    done = subprocess.run(
        [sys.executable, "-m", *launcher, str(tmp_path / "weights.npz")],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3], timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found, alone = np.load(tmp_path / "weights.npz"), run(**ON_CUDA)
    assert str(found["backend"]) == "nccl"
    for name, array in alone.network.arrays.items():
        np.testing.assert_allclose(found[name], array, atol=1e-3)


def main(out: str) -> None:
    """Train as `torchrun` started this process, and keep the weights."""
    from torch import distributed

    from detectors.training import join

    assert join("cuda").met
    backend = distributed.get_backend()
    np.savez(Path(out), backend=np.array(str(backend)), **run(**ON_CUDA).network.arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
