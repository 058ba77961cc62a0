"""What a network is worth on what was held back."""

import torch
from torch import Tensor

from detectors.training.config import LearningCurve, Trained, TrainingConfig
from detectors.training.devices import Pieces
from detectors.training.model import Forecaster, export_network


def result_of(
    config: TrainingConfig,
    model: Forecaster,
    validation: tuple[Tensor, Tensor],
    pieces: Pieces,
    *,
    curve: LearningCurve,
    best_step: int,
    batch: int,
    processes: int,
) -> Trained:
    """The model as it is, in float32, with its loss and errors.

    Args:
        config: of the training.
        model: with its best weights.
        validation: inputs and targets on its device.
        pieces: in which they go through it.
        curve, best_step, batch, processes: see `Trained`.
    """
    precision, model.is_mixed = "bfloat16" if model.is_mixed else "float32", False
    inputs, targets = validation[0], validation[1][:, config.context :]
    count = (~targets.isnan()).sum((0, 1))
    sums: list[tuple[Tensor, Tensor, Tensor]] = []

    def work(rows: slice) -> None:
        given, later = inputs[rows], targets[rows]
        errors = (model.forecast(given)[0] - later).abs()
        still = (model.level(given[:, config.context :]) - later).abs()
        losses = model(given, validation[1][rows])
        sums.append((_total(losses), _total(errors), _total(still)))

    with torch.no_grad():
        pieces.each(len(inputs), work, sums.clear)
    loss, error, persistence = (torch.stack(parts).sum(0) for parts in zip(*sums, strict=True))

    def by_horizon(total: Tensor) -> dict[int, float]:
        width = len(config.horizons)
        means = (total.reshape(-1, width).sum(0) / count.reshape(-1, width).sum(0)).tolist()
        return dict(zip(config.horizons, means, strict=True))

    return Trained(
        network=export_network(config, model, inputs.shape[2]),
        curve=curve,
        best_step=best_step,
        loss_by_horizon=by_horizon(loss),
        error_by_horizon=by_horizon(error),
        persistence_error_by_horizon=by_horizon(persistence),
        device=inputs.device.type,
        precision=precision,
        batch=batch,
        processes=processes,
        torch_version=str(torch.__version__),
    )


def _total(values: Tensor) -> Tensor:
    """By target, of what is there."""
    return values.nan_to_num().sum((0, 1))
