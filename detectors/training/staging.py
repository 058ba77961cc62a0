"""Where the series of each step come from, and how they come onto the device."""

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detectors.examples import Examples
from detectors.excerpts import Draw, Excerpts
from detectors.network import FIELD_INPUTS
from detectors.training.ranks import Ranks

STAGED_SHARE = 0.5
"""Of the free memory of a device that a history may take there; a larger one stays with the host."""

Batch = tuple[Tensor, Tensor]
"""Inputs (series, steps, inputs) and targets (series, steps, targets), float32."""


class Source(Protocol):
    """Series to train on, step by step.

    Attributes:
        batch: series per step of all processes together; None for as many as memory has room for.
        most: of them that make sense.
    """

    @property
    def batch(self) -> int | None:
        """See above."""

    @property
    def most(self) -> int:
        """See above."""

    def sample(self, count: int, device: torch.device) -> Batch:
        """A few series to try a device with."""

    def open(self, first_step: int, batch: int, device: torch.device, ranks: Ranks) -> Iterator[Batch]:
        """This process's part of the series of each step from `first_step` on; may be called more than once."""


class StreamSource:
    """Series that are made as they are needed.

    Args:
        make: gives the examples of each step from the one given on, the same whenever it is called.
        batch: series per step.
    """

    def __init__(self, make: Callable[[int], Iterator[Examples]], batch: int) -> None:
        self._make = make
        self.batch: int | None = batch
        self.most = batch

    def sample(self, count: int, device: torch.device) -> Batch:
        """See `Source`."""
        return send(next(self._make(1)).rows(0, count), device)

    def open(self, first_step: int, batch: int, device: torch.device, ranks: Ranks) -> Iterator[Batch]:  # noqa: ARG002
        """See `Source`."""
        for examples in self._make(first_step):
            yield send(Examples(examples.inputs[ranks.part], examples.targets[ranks.part]), device)


class ExcerptSource:
    """Excerpts of a history, which is put onto the device once and cut there.

    What a step is given depends on seed and step alone, so that any step can be gone on with.

    Args:
        excerpts: of the history.
        seed: at least 0.
        batch: excerpts per step; None for as many as memory has room for.
    """

    def __init__(self, excerpts: Excerpts, seed: int, batch: int | None) -> None:
        self._excerpts = excerpts
        self._seed = seed
        self.batch = batch
        self.most = max(sum(series.split for series in excerpts.series) // excerpts.length, 1)
        lengths = [len(series.inputs) for series in excerpts.series]
        self._first = np.cumsum([0, *lengths[:-1]])  # of each series in those that are staged
        self._staged: Batch | None = None

    def sample(self, count: int, device: torch.device) -> Batch:
        """See `Source`."""
        return send(self._excerpts.draw(np.random.default_rng([self._seed, 0]), count), device)

    def open(self, first_step: int, batch: int, device: torch.device, ranks: Ranks) -> Iterator[Batch]:
        """See `Source`."""
        if self._staged is None:
            self._staged = self._stage(device)
        step = first_step
        while True:
            draw = self._excerpts.choose(np.random.default_rng([self._seed, step]), batch)
            yield self._cut(draw.of(ranks.part), *self._staged, device)
            step += 1

    def _stage(self, device: torch.device) -> Batch:
        """The whole history in a row, on the device where it has room there."""
        inputs, targets = (
            torch.from_numpy(np.concatenate(arrays))
            for arrays in (
                [series.inputs for series in self._excerpts.series],
                [series.targets for series in self._excerpts.series],
            )
        )
        if device.type == "cuda" and inputs.nbytes + targets.nbytes < STAGED_SHARE * torch.cuda.mem_get_info()[0]:
            inputs, targets = inputs.to(device), targets.to(device)
        return inputs, targets

    def _cut(self, draw: Draw, inputs: Tensor, targets: Tensor, device: torch.device) -> Batch:
        """The excerpts of a draw, on the device; as `Excerpts.cut` gives them."""
        steps, context = self._excerpts.steps, self._excerpts.context
        starts = send_array(self._first[draw.index] + draw.stop - steps, inputs.device)
        places = starts[:, None] + torch.arange(steps, device=inputs.device)
        cut, later = (_arrive(staged[places], device) for staged in (inputs, targets))
        later[:, :context] = torch.nan
        self._excerpts.forget(cut, send_array(draw.is_rebuilt.nonzero()[0], device))
        if len(draw.dropped):
            width = later.shape[2] // self._excerpts.fields
            gone = send_array(draw.gone(steps, self._excerpts.fields), device)
            there = cut[..., : self._excerpts.fields * FIELD_INPUTS]
            there.masked_fill_(gone.repeat_interleave(FIELD_INPUTS, -1), 0.0)
            later.masked_fill_(gone.repeat_interleave(width, -1), torch.nan)
        return cut, later


def send(examples: Examples, device: torch.device) -> Batch:
    """Examples on the device; on the way to CUDA the host does not wait for them to arrive."""
    return send_array(examples.inputs, device), send_array(examples.targets, device)


def send_array(array: NDArray[np.generic], device: torch.device) -> Tensor:
    """An array on the device, likewise."""
    return _arrive(torch.from_numpy(np.ascontiguousarray(array)), device)


def _arrive(values: Tensor, device: torch.device) -> Tensor:
    if values.device.type == device.type:
        return values
    pinned = values.pin_memory() if device.type == "cuda" else values
    return pinned.to(device, non_blocking=True)
