"""A step on torch's device `meta`, which has shapes but no values: whatever has to look at a value fails there.

On CUDA the same would have the host wait. What the host makes and sends is caught by looking at each operation.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from detectors.excerpts import Excerpts
from detectors.structure import Structure
from tests.detectors.training.test_staging import excerpts

pytestmark = pytest.mark.torch
FIELDS = ("flow", "pressure")
STRUCTURES = [Structure(), Structure("gru", 2, 3), Structure("layer-norm-lstm")]


def watch(*known: Any) -> AbstractContextManager[Any]:
    """Fails when values come onto the device otherwise than by copies that the host does not wait for.

    Args:
        known: tensors that are there already.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    def on_device(values: Any) -> list[torch.Tensor]:
        leaves = tree_leaves(values)
        return [one for one in leaves if isinstance(one, torch.Tensor) and one.device.type == "meta" and one.dim()]

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.seen = {one.untyped_storage()._cdata: one.untyped_storage() for one in known}

        def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            for one in on_device((args, kwargs)):
                if one.untyped_storage()._cdata not in self.seen:
                    raise AssertionError(f"found {operation} of what the host has put onto the device unseen")
            found = operation(*args, **kwargs)
            made = on_device(found)
            if made and not on_device((args, kwargs)) and not kwargs.get("non_blocking"):
                given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
                if any(one.dim() for one in given):
                    raise AssertionError(f"found {operation} onto the device; expected the host not to wait for it")
            self.seen |= {one.untyped_storage()._cdata: one.untyped_storage() for one in made}
            return found

    return Watch()


def new_run(structure: Structure, *, joint: bool, mixed: bool, fused: bool) -> Any:
    """A network on the device, ready for steps."""
    from detectors.training import Ranks, TrainingConfig
    from detectors.training.model import new_model
    from detectors.training.run import Run

    fields = FIELDS if joint else ()
    config = TrainingConfig(hidden=16, horizons=(1, 3), context=67, structure=structure, fields=fields)
    model = new_model(config, 8 * 2 + 3 if joint else 10).to("meta")
    model.is_mixed, model.is_fused = mixed, fused
    return Run(config, model, Ranks())


def staged(of: Excerpts) -> Any:
    """A source of excerpts whose history lies on the device."""
    import torch

    from detectors.training import ExcerptSource

    source = ExcerptSource(of, 7, 4)
    source._staged = tuple(each.to("meta") for each in source._stage(torch.device("cpu")))  # type: ignore[assignment]
    return source


@pytest.mark.parametrize(
    ("structure", "fused"), [(STRUCTURES[0], True), *((structure, False) for structure in STRUCTURES)], ids=str
)
@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("joint", [False, True])
def test_steps_do_not_wait(
    structure: Structure, fused: bool, mixed: bool, joint: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Excerpts are cut and steps are taken with no look at a value on the device."""
    import torch

    from detectors.training import Ranks
    from detectors.training import fused as layers

    class Kernels:
        """Starts nothing: there are no values to compute with."""

        def __getattr__(self, name: str) -> dict[Any, Callable[..., None]]:
            return Started()

    class Started(dict[Any, Callable[..., None]]):
        def __missing__(self, programs: Any) -> Callable[..., None]:
            return lambda *_given, **_options: None

    monkeypatch.setattr(layers, "_kernels", Kernels)
    run = new_run(structure, joint=joint, mixed=mixed, fused=fused)
    source = staged(replace(excerpts(joint=joint), context=67, length=5))
    batches = source.open(1, 4, torch.device("meta"), Ranks())
    with watch(*run.model.parameters(), *source._staged):
        for _ in range(2):
            inputs, targets = next(batches)
            loss = run.step(inputs, targets, 1e-3)
    assert inputs.shape[:2] == targets.shape[:2] == (4, 72)
    assert loss.device.type == "meta"


def test_what_waits_is_seen() -> None:
    """Reading a value, choosing by values, and sending what the host has made are caught, each by its own."""
    import torch

    values = torch.ones(4, device="meta")
    waits: dict[str, Callable[[], object]] = {
        "cannot be called on meta": lambda: values.sum().item(),
        "nonzero": lambda: values[values > 0],
        "Cannot copy out": values.cpu,
        "index.Tensor of what the host": lambda: values[[0, 2]],
        "_to_copy.default onto": lambda: torch.from_numpy(np.ones(4, np.float32)).to("meta"),
    }
    for told, wait in waits.items():
        with watch(values), pytest.raises((AssertionError, RuntimeError), match=told):
            wait()
    with watch(values):
        torch.ones(3).to("meta", non_blocking=True) + values[:3]
