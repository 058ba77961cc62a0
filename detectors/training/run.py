"""A model with its optimiser on a device: one step, one validation, and going back to a state."""

import torch
from torch import Tensor, nn

from detectors.training.config import TrainingConfig
from detectors.training.devices import Pieces
from detectors.training.model import Forecaster
from detectors.training.ranks import Ranks
from detectors.training.state import TrainingState, load_moments, load_weights

LARGEST_GRADIENT = 1.0


class Run:
    """What changes from step to step.

    Nothing here has the host wait for the device but `judge`.

    Args:
        config: of the training.
        model: on the device.
        ranks: processes that train together, each on its part of a step.

    Attributes:
        model: see above.
        optimiser: of its weights.
        pieces: in which series go through it; a step is the same, but for rounding, whatever they are.
    """

    def __init__(self, config: TrainingConfig, model: Forecaster, ranks: Ranks) -> None:
        self.model = model
        is_on_cuda = next(model.parameters()).is_cuda
        self.optimiser = torch.optim.Adam(model.parameters(), config.peak_rate, fused=is_on_cuda or None)
        self.pieces = Pieces()
        self._ranks = ranks

    def step(self, inputs: Tensor, targets: Tensor, rate: float) -> Tensor:
        """Change the weights by this process's part of a step and those of the others; its part of the mean loss, ().

        Raises:
            RuntimeError: of torch, where memory does not suffice for a single series.
        """
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        count = self._ranks.add_up(self.model.count(targets)).clamp(min=1)  # all may be masked
        losses: list[Tensor] = []

        def begin() -> None:
            losses.clear()
            self.optimiser.zero_grad()

        def work(rows: slice) -> None:
            loss = self.model(inputs[rows], targets[rows]).sum() / count
            loss.backward()
            losses.append(loss.detach())

        self.pieces.each(len(inputs), work, begin)
        if self._ranks.met:
            self._add_up_gradients()
        nn.utils.clip_grad_norm_(self.model.parameters(), LARGEST_GRADIENT)
        self.optimiser.step()
        return torch.stack(losses).sum() if len(losses) != 1 else losses[0]

    def judge(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Mean loss in float32, (); the same for all processes."""
        was_mixed, self.model.is_mixed = self.model.is_mixed, False
        loss = torch.zeros((), device=inputs.device)
        sums: list[Tensor] = []
        try:
            if self._ranks.leads:
                with torch.no_grad():
                    self.pieces.each(
                        len(inputs), lambda rows: sums.append(self.model(inputs[rows], targets[rows]).sum()), sums.clear
                    )
                    loss = torch.stack(sums).sum() / self.model.count(targets).clamp(min=1)
        finally:
            self.model.is_mixed = was_mixed
        return self._ranks.follow(loss)

    def restore(self, state: TrainingState) -> None:
        """Go back, or on, to a state.

        Raises:
            ValueError: it is that of another network.
        """
        load_weights(self.model, state.model)
        load_moments(self.model, self.optimiser, state.optimiser)
        self.model.is_mixed = state.is_mixed
        self.pieces.size = state.piece or None

    def _add_up_gradients(self) -> None:
        """Over the processes, at once: the network is too small to send parts of it while others are computed."""
        weights = list(self.model.parameters())
        gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
        flat = self._ranks.add_up(torch.cat([gradient.flatten() for gradient in gradients]))
        for weight, part in zip(weights, torch.split(flat, [weight.numel() for weight in weights]), strict=True):
            weight.grad = part.view_as(weight)
