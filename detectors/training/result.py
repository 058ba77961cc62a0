"""What a network is worth on what was held back."""

import torch
from torch import Tensor

from detectors.examples import Examples
from detectors.network import Network
from detectors.training.config import LearningCurve, Trained, TrainingConfig
from detectors.training.devices import Pieces
from detectors.training.model import Forecaster, export_network, import_network, new_model
from detectors.training.staging import send


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
        device_bytes=torch.cuda.max_memory_allocated(inputs.device) if inputs.device.type == "cuda" else 0,
        torch_version=str(torch.__version__),
    )


def judge_forecasts(network: Network, examples: Examples) -> dict[int, float]:
    """Mean loss of a network by horizon, over the targets of examples that are there; on the CPU."""
    config = TrainingConfig(
        layers=network.layers, hidden=network.hidden, horizons=network.horizons, fields=network.fields,
        structure=network.structure,
    )  # fmt: skip
    model = new_model(config, network.inputs)
    import_network(config, model, network)
    validation = send(examples, torch.device("cpu"))
    curve = LearningCurve()
    return result_of(
        config, model, validation, Pieces(), curve=curve, best_step=0, batch=0, processes=1
    ).loss_by_horizon


def _total(values: Tensor) -> Tensor:
    """By target, of what is there."""
    return values.nan_to_num().sum((0, 1))
