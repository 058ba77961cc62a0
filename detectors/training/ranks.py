"""Processes that train one network together, as `torchrun` starts them."""

from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

PATIENCE = timedelta(hours=2)
"""Waited for another process, which may be reading a longer history still."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those that train together; alone unless told.

    Attributes:
        rank: of this process, from 0; the first leads: it judges, reports and writes.
        count: of processes.
        met: whether `torchrun` started them, be it one alone.
    """

    rank: int = 0
    count: int = 1
    met: bool = False

    @property
    def leads(self) -> bool:
        """Whether this process is the one that judges, reports and writes."""
        return self.rank == 0

    @property
    def part(self) -> slice:
        """What is this process's of things that are dealt out in turn."""
        return slice(self.rank, None, self.count)

    def add_up(self, values: Tensor) -> Tensor:
        """The sum over processes, in place."""
        if self.met:
            distributed.all_reduce(values)
        return values

    def follow(self, values: Tensor) -> Tensor:
        """What the first process has, in place."""
        if self.met:
            distributed.broadcast(values, 0)
        return values


def join(device: str) -> Ranks:
    """The processes that `torchrun` started, met once; this one alone where it was not started so.

    Args:
        device: as in `TrainingConfig`; each process of a machine takes a CUDA device of its own.

    Raises:
        ValueError: there are fewer CUDA devices than processes on this machine.
    """
    if not (distributed.is_available() and distributed.is_torchelastic_launched()):
        return Ranks()
    if not distributed.is_initialized():
        own = None
        if device != "cpu" and torch.cuda.is_available():
            place, devices = distributed.get_node_local_rank(), torch.cuda.device_count()
            if place >= devices:
                raise ValueError(
                    f"found process {place + 1} of this machine and {devices} CUDA devices; expected one device for "
                    "each: lower --nproc-per-node"
                )
            torch.cuda.set_device(place)
            own = torch.device("cuda", place)
        distributed.init_process_group("nccl" if own else "gloo", timeout=PATIENCE, device_id=own)
    return Ranks(distributed.get_rank(), distributed.get_world_size(), met=True)


def leave() -> None:
    """Part from the other processes, if there are any."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
