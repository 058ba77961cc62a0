"""How to train, and what comes of it."""

from dataclasses import asdict, dataclass, field
from typing import Any

from detectors.network import HORIZONS, Network
from detectors.structure import PLAIN, Structure

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How to train.

    Attributes:
        seed: of the initial weights, where there is nothing to start from.
        layers, hidden: size of the network.
        horizons: steps ahead to forecast, rising.
        fields: names of the fields of a joint network; none for a shared one.
        structure: kind of cell, and what is around it.
        context: first steps of each series that only bring the state to where scoring would have it; no gradient flows
            through them, and their targets are not looked at.
        steps: most optimiser steps.
        peak_rate: learning rate (Adam), reached after the warm-up and then lowered along a half cosine.
        warm_up_steps: over which the rate rises from nearly 0.
        validate_every: steps between validations.
        patience: validations without a better one after which training ends.
        threads: of torch; weights are reproducible on one machine for the same number.
        device: 'auto' (CUDA where there is one), 'cpu' or 'cuda'.
        precision: of the recurrent layers in training: 'float32', 'bfloat16', or 'auto', which is bfloat16 on CUDA
            where its gradients agree with those of float32. Weights, head, loss and validation are float32 always.
    """

    seed: int = 1
    layers: int = 1
    hidden: int = 64
    horizons: tuple[int, ...] = HORIZONS
    fields: tuple[str, ...] = ()
    structure: Structure = PLAIN
    context: int = 0
    steps: int = 2500
    peak_rate: float = 2e-2
    warm_up_steps: int = 50
    validate_every: int = 50
    patience: int = 10
    threads: int = 1
    device: str = "auto"
    precision: str = "auto"

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values; a structure that is plain goes without saying."""
        told = asdict(self)
        return told if not self.structure.is_plain else {name: told[name] for name in told if name != "structure"}


@dataclass(frozen=True, slots=True)
class StepReport:
    """One optimiser step.

    Attributes:
        step: from 1 up.
        fraction: of the run that is done.
        loss: mean over the steps since the last validation; None where the step was not judged, since reading a loss
            would have the device wait.
        validation_loss: None likewise.
    """

    step: int
    fraction: float
    loss: float | None
    validation_loss: float | None


@dataclass(slots=True)
class LearningCurve:
    """Losses at each validation; `training` is the mean over the steps since the one before, NaN before the first."""

    step: list[int] = field(default_factory=list)
    training: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trained:
    """Result of a run: the network of the best validation, and how it came about.

    Attributes:
        network: the best weights.
        curve: losses along the run.
        best_step: whose weights these are.
        loss_by_horizon: validation loss of `network`.
        error_by_horizon: its mean absolute validation error in normalised units.
        persistence_error_by_horizon: that of forecasting no change.
        device: trained on.
        precision: of the LSTM, as it was at the end.
        batch: series per optimiser step, of all processes together.
        processes: that trained together.
        device_bytes: most memory of its own that the device had in use; 0 for a CPU, whose memory is the machine's.
        torch_version: trained with.
    """

    network: Network
    curve: LearningCurve
    best_step: int
    loss_by_horizon: dict[int, float]
    error_by_horizon: dict[int, float]
    persistence_error_by_horizon: dict[int, float]
    device: str
    precision: str
    batch: int
    processes: int
    device_bytes: int
    torch_version: str
