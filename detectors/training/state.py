"""What a training needs to go on as if it had never stopped."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from detectors.training.config import LearningCurve
from detectors.training.model import Forecaster

Arrays = Mapping[str, NDArray[Any]]
_COUNTS = ("step", "best_step", "waited", "batch", "piece", "is_mixed")
_MEASURES = ("fraction", "time_fraction", "best_loss")
_PARTS = ("model", "best", "optimiser")


@dataclass(frozen=True, slots=True)
class TrainingState:
    """A training behind a validation; what comes next follows from it, the configuration and the data alone.

    Attributes:
        step: last one done.
        fraction: of the run.
        time_fraction: of the time allowed.
        best_loss, best_step: of the best validation.
        waited: validations since.
        batch: series per step of all processes.
        piece: of which so many go through the network at once; 0 for all.
        is_mixed: whether the LSTM computes in bfloat16.
        curve: losses so far.
        model, best: weights by name, now and of the best validation.
        optimiser: Adam's two moments and number of steps of each weight, by 'name.kind'.
    """

    step: int
    fraction: float
    time_fraction: float
    best_loss: float
    best_step: int
    waited: int
    batch: int
    piece: int
    is_mixed: bool
    curve: LearningCurve
    model: Arrays
    best: Arrays
    optimiser: Arrays

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as arrays by name."""
        made: dict[str, NDArray[Any]] = {
            "counts": np.array([int(getattr(self, name)) for name in _COUNTS], np.int64),
            "measures": np.array([getattr(self, name) for name in _MEASURES], np.float64),
            "curve.step": np.array(self.curve.step, np.int64),
            "curve.training": np.array(self.curve.training, np.float64),
            "curve.validation": np.array(self.curve.validation, np.float64),
        }
        for part in _PARTS:
            made |= {f"{part}.{name}": array for name, array in getattr(self, part).items()}
        return made

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> "TrainingState":
        """What `to_arrays` was made of.

        Raises:
            KeyError, ValueError: it is something else.
        """
        curve = LearningCurve(*(arrays[f"curve.{name}"].tolist() for name in ("step", "training", "validation")))
        told: dict[str, Any] = dict(zip(_COUNTS, arrays["counts"].tolist(), strict=True))
        told |= dict(zip(_MEASURES, arrays["measures"].tolist(), strict=True))
        for part in _PARTS:
            names = [name for name in arrays if name.startswith(f"{part}.")]
            told[part] = {name.removeprefix(f"{part}."): arrays[name] for name in names}
        return cls(**(told | {"is_mixed": bool(told["is_mixed"])}), curve=curve)

    def in_float32(self) -> "TrainingState":
        """The same, to go on from in float32."""
        return replace(self, is_mixed=False)


def weights_of(model: Forecaster) -> dict[str, NDArray[np.float32]]:
    """Copies of the weights by name."""
    return {name: value.detach().cpu().numpy().copy() for name, value in model.state_dict().items()}


def load_weights(model: Forecaster, weights: Arrays) -> None:
    """Give the model the weights.

    Raises:
        ValueError: they are those of another one.
    """
    try:
        model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})
    except RuntimeError as error:
        raise ValueError(f"found weights of another network: {' '.join(str(error).split())}") from error


def moments_of(model: Forecaster, optimiser: torch.optim.Adam) -> dict[str, NDArray[np.float32]]:
    """What the optimiser remembers of each weight, by 'name.kind'; nothing before its first step."""
    return {
        f"{name}.{kind}": value.detach().cpu().numpy().copy()
        for name, weight in model.named_parameters()
        for kind, value in optimiser.state.get(weight, {}).items()
    }


def load_moments(model: Forecaster, optimiser: torch.optim.Adam, moments: Arrays) -> None:
    """Give the optimiser back what it remembered."""
    kept = optimiser.state_dict()
    names = [name for name, _ in model.named_parameters()]
    kept["state"] = {
        place: {
            found.removeprefix(f"{name}."): torch.from_numpy(array.copy())
            for found, array in moments.items()
            if found.rpartition(".")[0] == name
        }
        for place, name in enumerate(names)
        if moments
    }
    optimiser.load_state_dict(kept)
