"""Tests of the kernels in Triton's interpreter, which `test_fused` runs in a process that has it from its beginning.

The interpreter knows no bfloat16: float16 stands for it.
"""

from typing import Any

import pytest

pytestmark = pytest.mark.torch


def outcome(run: Any, given: list[Any]) -> list[Any]:
    """What layers give, and the gradients of a mixture of all of it."""
    import torch

    hidden, (h, c) = run()
    mixture = (hidden * torch.sin(torch.arange(hidden.numel())).view_as(hidden)).sum() + (h * h).sum() + 1.3 * c.sum()
    return [hidden, h, c, *torch.autograd.grad(mixture, given)]


@pytest.mark.parametrize(("layers", "hidden", "inputs", "series", "steps"), [(1, 16, 5, 18, 5), (2, 32, 10, 3, 4)])
def test_fused_layers_are_those_of_torch(layers: int, hidden: int, inputs: int, series: int, steps: int) -> None:
    """States and all gradients are torch's to the last bits, with a state to begin with and a block not full."""
    import torch

    from detectors.training.fused import is_fusable, run_fused

    torch.manual_seed(7)
    cells = torch.nn.LSTM(inputs, hidden, layers, batch_first=True)
    x = torch.randn(series, steps, inputs, requires_grad=True)
    state = (
        torch.randn(layers, series, hidden, requires_grad=True),
        torch.randn(layers, series, hidden, requires_grad=True),
    )
    given = [x, *state, *cells.parameters()]
    assert is_fusable(cells)
    expected = outcome(lambda: cells(x, state), given)
    found = outcome(lambda: run_fused(cells, x, state), given)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-5, atol=2e-5)
    with torch.no_grad():
        torch.testing.assert_close(run_fused(cells, x, None)[0], cells(x, None)[0], rtol=2e-5, atol=2e-5)


def test_lower_precision_points_the_same_way() -> None:
    """With half the bits gradients point where they did, and c keeps all of them."""
    import torch

    from detectors.training.fused import run_fused

    torch.manual_seed(7)
    cells = torch.nn.LSTM(10, 16, batch_first=True)
    x, given = torch.randn(5, 8, 10), list(cells.parameters())
    expected = outcome(lambda: cells(x, None), given)
    found = outcome(lambda: run_fused(cells, x.half(), None), given)
    assert found[2].dtype == torch.float32
    for one, other in zip(found[3:], expected[3:], strict=True):
        assert torch.cosine_similarity(one.flatten(), other.flatten(), dim=0) > 0.999


def test_kernels_are_used_where_they_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that compute as torch does are taken; others, and such as do not run, are not, and that is told."""
    import torch

    from detectors.training import TrainingConfig, fused
    from detectors.training.devices import choose_kernels
    from detectors.training.model import new_model

    config = TrainingConfig(hidden=16, horizons=(1, 2))
    model = new_model(config, 3)
    sample = torch.randn(4, 9, 3), torch.randn(4, 9, 2)
    assert choose_kernels(model, *sample) == (True, "")
    assert not model.is_fused
    assert all(weight.grad is None for weight in model.parameters())

    right = fused.go_back
    monkeypatch.setattr(fused, "go_back", lambda *given: tuple(-each for each in right(*given)))
    is_used, told = choose_kernels(model, *sample)
    assert not is_used
    assert "gradients of fused kernels agree by" in told

    def broken() -> Any:
        raise OSError("found no C compiler")

    monkeypatch.setattr(fused, "_kernels", broken)
    is_used, told = choose_kernels(model, *sample)
    assert not is_used
    assert told == ("fused kernels do not run here (OSError: found no C compiler): training with those of cuDNN")
    assert choose_kernels(new_model(TrainingConfig(hidden=6, horizons=(1, 2)), 3), *sample) == (False, "")
