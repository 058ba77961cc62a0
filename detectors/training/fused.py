"""Layers of torch's LSTM on CUDA with one kernel per pass instead of several per step; see `fused_kernels`.

What all steps are fed is one product, and so is the gradient of each weight; the kernels do what is left, h into the
gates and the gates into h. Weights, inputs and hidden states are float32 or bfloat16; c, and sums within a step, are
float32 always.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

SIZES = (16, 32, 64)
"""Cells of a layer that the kernels take: powers of two whose weights fit into the memory of a multiprocessor."""
ROWS = 16
"""Series of a program, the fewest that tensor cores take: so few series keep several multiprocessors busy."""
_SETTINGS = {"ROWS": ROWS, "num_warps": 4}


def is_fusable(cells: nn.Module) -> bool:
    """Whether the kernels take such layers, and Triton is here, which comes with torch for CUDA on Linux."""
    return isinstance(cells, nn.LSTM) and cells.hidden_size in SIZES and find_spec("triton") is not None


def run_fused(
    cells: nn.LSTM, inputs: Tensor, state: tuple[Tensor, Tensor] | None
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """What the layers give, by the type of `inputs`: (series, steps, H) of the last one, and (h, c) at the end."""
    last_h, last_c = [], []
    for layer in range(cells.num_layers):
        weight_ih, weight_hh, bias_ih, bias_hh = (
            getattr(cells, f"{name}_l{layer}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        fed = nn.functional.linear(inputs, weight_ih.to(inputs.dtype), (bias_ih + bias_hh).to(inputs.dtype))
        none = fed.new_zeros(len(fed), cells.hidden_size)
        h, c = (none, none) if state is None else (part[layer] for part in state)
        keep = torch.is_grad_enabled()
        inputs, c = _Layer.apply(  # type: ignore[no-untyped-call]
            fed, weight_hh.to(fed.dtype), h.to(fed.dtype), c.float(), keep
        )
        last_h.append(inputs[:, -1])
        last_c.append(c)
    return inputs, (torch.stack(last_h), torch.stack(last_c))


class _Layer(torch.autograd.Function):
    """h and c of a layer, of what its gates are fed from below."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, fed: Tensor, weight: Tensor, h: Tensor, c: Tensor, keep: bool
    ) -> tuple[Tensor, Tensor]:
        """Hidden states (series, steps, H) and the last c (series, H)."""
        fed, weight, h, c = fed.contiguous(), weight.contiguous(), h.contiguous(), c.contiguous()
        hidden, c_last, gates, cells = go_forward(fed, weight, h, c, keep)
        ctx.save_for_backward(weight, h, c, hidden, gates, cells)
        ctx.set_materialize_grads(False)
        return hidden, c_last

    @staticmethod
    def backward(
        ctx: Any, of_hidden: Tensor | None, of_c_last: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        """Gradients of what `forward` was given."""
        weight, h, c, hidden, gates, cells = ctx.saved_tensors
        of_hidden = torch.zeros_like(hidden) if of_hidden is None else of_hidden.contiguous()
        of_c_last = torch.zeros_like(c) if of_c_last is None else of_c_last.contiguous()
        of_fed, of_h, of_c = go_back(of_hidden, of_c_last, weight, gates, cells, c)
        before = torch.cat([h[:, None], hidden[:, :-1]], 1)
        of_weight = of_fed.flatten(0, 1).T @ before.flatten(0, 1)
        return of_fed, of_weight, of_h, of_c, None


def go_forward(fed: Tensor, weight: Tensor, h: Tensor, c: Tensor, keep: bool) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Hidden states, the last c and, if they are to be kept, gates and c of each step; else nothing of worth."""
    series, steps, _ = fed.shape
    hidden, c_last = fed.new_empty(series, steps, weight.shape[1]), torch.empty_like(c)
    gates, cells = (torch.empty_like(fed), c.new_empty(hidden.shape)) if keep else (hidden, c_last)
    _kernels().forward_kernel[_programs(series)](
        fed, weight, h, c, hidden, c_last, gates, cells, series, steps,
        H=weight.shape[1], PRECISION=_precision(fed), SAVE=keep, num_stages=1, **_SETTINGS,
    )  # fmt: skip
    return hidden, c_last, gates, cells


def go_back(
    of_hidden: Tensor, of_c_last: Tensor, weight: Tensor, gates: Tensor, cells: Tensor, c: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of what each step was fed, and of h and c before the first."""
    series, steps, _ = gates.shape
    found = torch.empty_like(gates), of_hidden.new_empty(c.shape), torch.empty_like(c)
    _kernels().backward_kernel[_programs(series)](
        of_hidden, of_c_last, weight, gates, cells, c, *found, series, steps,
        H=weight.shape[1], PRECISION=_precision(gates), num_stages=_stages(gates), **_SETTINGS,
    )  # fmt: skip
    return found


def _kernels() -> Any:
    """Imported when they are needed, since Triton is not everywhere."""
    return import_module("detectors.training.fused_kernels")


def _programs(series: int) -> tuple[int]:
    return (-(-series // ROWS),)


def _precision(values: Tensor) -> str:
    """How products are computed: float32 as three products in TF32, which gives float32 but for the last bits."""
    return "tf32x3" if values.dtype == torch.float32 else "tf32"


def _stages(values: Tensor) -> int:
    """Steps that the way back has under way at once, for which there has to be room beside the weights."""
    return 2 if values.dtype == torch.float32 else 3
