"""What a device can do: which to train on, in which precision, and how much fits into its memory."""

import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from detectors.training.config import PRECISIONS
from detectors.training.fused import is_fusable
from detectors.training.model import Forecaster
from detectors.training.ranks import Ranks

CPU_BATCH = 24
"""Series per step where memory does not decide: more of them teach a core nothing faster."""
LARGEST_BATCH = 4096
MEMORY_SHARE = 0.6
"""Of the free memory of a device that a step may take; the rest is for what torch keeps around."""
SAMPLE = 8
"""Series that are tried on a device before the first step."""
LEAST_AGREEMENT = 0.99
"""Cosine between gradients of each weight from which a lower precision, or faster kernels, will do."""
_OUT_OF_MEMORY = (
    "can't allocate memory", "CUDA error: out of memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED",
)  # fmt: skip


def pick_device(name: str) -> torch.device:
    """The device of a name; 'auto' is CUDA where there is one.

    Raises:
        ValueError: it is not here.
    """
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")  # by which torch says why there is none, such as a driver that is too old
        usable = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    if name not in {"auto", *usable}:
        raise ValueError(
            f"found device {name!r}; expected 'auto' or one that is here: {', '.join(usable)}"
            + (f" ({_why_no_cuda([str(each.message) for each in told])})" if name == "cuda" else "")
        )
    return torch.device(usable[-1] if name == "auto" else name)


def _why_no_cuda(told: list[str]) -> str:
    """What keeps torch from a CUDA device, of what it told."""
    if torch.version.cuda is None:
        return f"torch {torch.__version__} is built without CUDA: install a build that has it"
    if told:
        return " ".join(told[0].split()).rstrip(".")
    return "torch sees no CUDA device: look at nvidia-smi and CUDA_VISIBLE_DEVICES"


def is_fast(name: str) -> bool:
    """Whether the device of a name is so fast that a single core cannot make series for it."""
    return name != "cpu" and torch.cuda.is_available()


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device, its libraries or the machine had too little memory; of the latter two torch tells in words."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY)


class Pieces:
    """Has series go through a network a piece at a time, of half as many whenever memory does not suffice.

    Attributes:
        size: series of a piece; None for all that there are.
    """

    def __init__(self, size: int | None = None) -> None:
        self.size = size

    def each(self, count: int, work: Callable[[slice], None], begin: Callable[[], None]) -> None:
        """Call `work` for each piece of so many series, `begin` before the first, and anew with smaller ones.

        Raises:
            RuntimeError: of torch, where not even one has room.
        """
        while True:
            size = min(self.size or count, count)
            try:
                begin()
                for first in range(0, count, size or 1):
                    work(slice(first, first + size))
            except RuntimeError as error:
                if not is_out_of_memory(error) or size <= 1:
                    raise
            else:
                return
            self.size = -(-size // 2)  # outside the handler, whose traceback would keep the tensors alive
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def fitting_batch(free_bytes: int, bytes_each: int, most: int) -> int:
    """Series per step that fit into memory: a power of two, so that a little more or less free gives the same."""
    room = max(int(MEMORY_SHARE * free_bytes) // max(bytes_each, 1), 1)
    batch = 1 << (min(room, LARGEST_BATCH).bit_length() - 1)
    return max(min(batch, most), 1)


def choose_batch(model: Forecaster, inputs: Tensor, targets: Tensor, most: int) -> int:
    """Series per step for this process; on CUDA by what a few of them, tried, take of the free memory.

    Args:
        model: whose gradients are cleared.
        inputs, targets: a few series on the device.
        most: series that make sense.
    """
    if inputs.device.type != "cuda":
        return CPU_BATCH
    _gradient(model, inputs, targets)  # what is allocated once is not counted for each
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    _gradient(model, inputs, targets)
    each = (torch.cuda.max_memory_allocated() - before) // len(inputs)
    model.zero_grad()
    free, _ = torch.cuda.mem_get_info()
    return fitting_batch(free, each, most)


def choose_kernels(model: Forecaster, inputs: Tensor, targets: Tensor) -> tuple[bool, str]:
    """Whether the layers go through the kernels of `detectors.training.fused`, and what to tell of it.

    They are asked for gradients first, so that a device on which they do not run, or not well, has cuDNN's.

    Args:
        model: whose gradients are cleared.
        inputs, targets: a few series on the device.
    """
    if not is_fusable(model.cells):
        return False, ""

    def run() -> list[Tensor]:
        found = _gradient(model, inputs, targets)
        with torch.no_grad():
            model(inputs, targets)  # is compiled by itself
        return found

    tried = _try(model, "is_fused", run, _gradient(model, inputs, targets))
    if isinstance(tried, Exception):
        why = f"{type(tried).__name__}: {_first_line(tried)}"
        return False, f"fused kernels do not run here ({why}): training with those of cuDNN"
    if not tried >= LEAST_AGREEMENT:
        return False, f"gradients of fused kernels agree by {tried:.4f} with cuDNN's: training with those of cuDNN"
    return True, ""


def choose_precision(name: str, model: Forecaster, inputs: Tensor, targets: Tensor) -> tuple[bool, str]:
    """Whether the LSTM computes in bfloat16, and what to tell of it.

    Args:
        name: as in `TrainingConfig`.
        model: whose gradients are cleared.
        inputs, targets: a few series on the device.

    Raises:
        ValueError: no such precision.
    """
    if name not in PRECISIONS:
        raise ValueError(f"found precision {name!r}; expected one of {', '.join(PRECISIONS)}")
    if name == "float32" or (name == "auto" and inputs.device.type != "cuda"):
        return False, ""
    tried = _try(model, "is_mixed", lambda: _gradient(model, inputs, targets), _gradient(model, inputs, targets))
    if isinstance(tried, Exception):
        return False, f"this device has no LSTM in bfloat16 ({_first_line(tried)}): training in float32"
    if not tried >= LEAST_AGREEMENT:
        return False, f"gradients in bfloat16 agree by {tried:.4f} with those of float32: training in float32"
    return True, ""


def agree_on_batch(batch: int, ranks: Ranks, device: torch.device) -> int:
    """Series per step of all processes together, of what the first has found for itself."""
    if ranks.count == 1:
        return batch
    return ranks.count * int(ranks.follow(torch.tensor([batch], device=device)).item())


def _try(
    model: Forecaster, way: Literal["is_fused", "is_mixed"], run: Callable[[], list[Tensor]], expected: list[Tensor]
) -> float | Exception:
    """How well the gradients that `run` gives agree with those expected, or what it raised.

    Args:
        model: whose gradients are cleared.
        way: that the model goes meanwhile.

    Raises:
        RuntimeError: the memory did not suffice.
    """
    setattr(model, way, True)
    try:
        found = run()
    except Exception as error:  # what torch, Triton, its compiler and the linker raise has no class in common
        if is_out_of_memory(error):
            raise
        return error
    finally:
        setattr(model, way, False)
        model.zero_grad()
    return _agreement(found, expected)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]


def _agreement(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Least cosine between the gradients of a weight; NaN where one is no number.

    Of all weights together the cosine would be that of the head's, beside which those of the layers are small.
    """
    cosines = [
        torch.where(one.any() | other.any(), torch.nn.functional.cosine_similarity(one, other, dim=0), 1.0)
        for one, other in zip(found, expected, strict=True)
    ]
    return float(torch.stack(cosines).min().item())


def _gradient(model: Forecaster, inputs: Tensor, targets: Tensor) -> list[Tensor]:
    """Of the mean loss, by each weight in a row."""
    model.zero_grad()
    loss = model(inputs, targets).sum() / model.count(targets).clamp(min=1)
    loss.backward()
    return [weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]
