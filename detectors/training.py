"""Training of the forecasters; the only module that imports torch.

The loss is the negative log likelihood of the targets of `detectors.examples` under the forecasts, a Student-t
distribution per horizon. The state starts at zero with each series and is carried through to its end. A joint network
has the targets of each horizon of its first field, then of the next.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from detectors.examples import Examples
from detectors.network import FIELD_INPUTS, HORIZONS, LEAST_NU, LOG_SIGMA_RANGE, LOG_SIGMA_SHIFT, Network

LOSS_CAP = 20.0
LARGEST_GRADIENT = 1.0


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """How to train.

    Attributes:
        seed: of the initial weights, where there is nothing to start from.
        layers, hidden: size of the network.
        horizons: steps ahead to forecast, rising.
        fields: names of the fields of a joint network; none for a shared one.
        context: first steps of each series that only bring the state to where scoring would have it; no gradient flows
            through them, and their targets are not looked at.
        steps: most optimiser steps.
        peak_rate: learning rate (Adam), reached after the warm-up and then lowered along a half cosine.
        warm_up_steps: over which the rate rises from nearly 0.
        validate_every: steps between validations.
        patience: validations without a better one after which training ends.
        threads: of torch; weights are reproducible on one machine for the same number.
        device: 'auto' (CUDA where there is one), 'cpu' or 'cuda'.
    """

    seed: int = 1
    layers: int = 1
    hidden: int = 64
    horizons: tuple[int, ...] = HORIZONS
    fields: tuple[str, ...] = ()
    context: int = 0
    steps: int = 2500
    peak_rate: float = 2e-2
    warm_up_steps: int = 50
    validate_every: int = 50
    patience: int = 10
    threads: int = 1
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class StepReport:
    """One optimiser step; `fraction` of the run is done; `validation_loss` is None where the step was not judged."""

    step: int
    fraction: float
    loss: float
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
        torch_version: trained with.
    """

    network: Network
    curve: LearningCurve
    best_step: int
    loss_by_horizon: dict[int, float]
    error_by_horizon: dict[int, float]
    persistence_error_by_horizon: dict[int, float]
    device: str
    torch_version: str


def train(
    config: TrainingConfig,
    batches: Iterator[Examples],
    validation: Examples,
    *,
    start: Network | None = None,
    elapsed_fraction: Callable[[], float] = lambda: 0.0,
    progress: Callable[[StepReport], None] = lambda _report: None,
) -> Trained:
    """Train a network until its steps are done, its time is up or validation has stopped improving.

    Args:
        config: how.
        batches: one per step; as many as `config.steps`.
        validation: judged every `config.validate_every` steps and after the last.
        start: weights to begin with, of the sizes of `config`; they are judged first, so that what comes of it is never
            worse on `validation`. None begins with random ones.
        elapsed_fraction: part of the time allowed that has passed; at 1 the run ends, its rate lowered as at the end of
            its steps. The weights of a run that this shortens depend on the machine's speed.
        progress: called after each step.

    Raises:
        ValueError: the device is unknown or not here, or `start` has other sizes.
    """
    device = torch.device(_device(config.device))
    threads = torch.get_num_threads()
    torch.set_num_threads(config.threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            model = _new_model(config, validation.inputs.shape[2]).to(device)
        if start is not None:
            _import(config, model, start)
        hooks = (elapsed_fraction, progress)
        curve, best_step = _fit(config, model, batches, validation, device, hooks, judge_first=start is not None)
        return _result(config, model, validation, curve, best_step, device)
    finally:
        torch.set_num_threads(threads)


def judge_forecasts(network: Network, examples: Examples) -> dict[int, float]:
    """Mean loss of a network by horizon, over the targets of examples that are there; on the CPU."""
    config = TrainingConfig(
        layers=network.layers, hidden=network.hidden, horizons=network.horizons, fields=network.fields
    )
    with torch.random.fork_rng(devices=[]):
        model = _new_model(config, network.inputs)
    _import(config, model, network)
    return _result(config, model, examples, LearningCurve(), 0, torch.device("cpu")).loss_by_horizon


def _device(name: str) -> str:
    usable = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    if name not in {"auto", *usable}:
        raise ValueError(f"found device {name!r}; expected 'auto' or one that is here: {', '.join(usable)}")
    return usable[-1] if name == "auto" else name


def _new_model(config: TrainingConfig, inputs: int) -> nn.ModuleDict:
    """LSTM and head; the head starts small, so that the first forecasts are 'no change'."""
    head = nn.Linear(config.hidden + inputs, 3 * len(config.horizons) * (len(config.fields) or 1))
    with torch.no_grad():
        head.weight.mul_(0.1)
        head.bias.zero_()
    lstm = nn.LSTM(inputs, config.hidden, config.layers, batch_first=True)
    return nn.ModuleDict({"lstm": lstm, "head": head})


def _fit(
    config: TrainingConfig,
    model: nn.ModuleDict,
    batches: Iterator[Examples],
    validation: Examples,
    device: torch.device,
    hooks: tuple[Callable[[], float], Callable[[StepReport], None]],
    *,
    judge_first: bool,
) -> tuple[LearningCurve, int]:
    """Optimise `model` and leave it with the weights of the best validation; gives the curve and the best step."""
    elapsed_fraction, progress = hooks
    forecaster = _Forecaster(model, config)
    optimiser = torch.optim.Adam(model.parameters(), config.peak_rate)
    judged = _to(validation, device)
    curve, recent = LearningCurve(), list[float]()
    best_loss, best_step, best_state, waited = math.inf, 0, model.state_dict(), 0
    fraction = 0.0

    def judge() -> float:
        with torch.no_grad():
            return float(_mean(forecaster.losses(*judged), judged[1]).item())

    if judge_first:
        best_loss = judge()
        best_state = {name: value.clone() for name, value in model.state_dict().items()}
        curve.step.append(0)
        curve.training.append(math.nan)
        curve.validation.append(best_loss)
    for step in range(1, config.steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = _rate(config, step, fraction)
        inputs, targets = _to(next(batches), device)
        loss = _mean(forecaster.losses(inputs, targets), targets)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT)
        optimiser.step()
        recent.append(loss.item())

        fraction = min(max(step / config.steps, elapsed_fraction()), 1.0)
        validation_loss = None
        if step % config.validate_every == 0 or fraction >= 1:
            validation_loss = judge()
            curve.step.append(step)
            curve.training.append(float(np.mean(recent)))
            curve.validation.append(validation_loss)
            recent.clear()
            waited += 1
            if validation_loss < best_loss:
                best_loss, best_step, waited = validation_loss, step, 0
                best_state = {name: value.clone() for name, value in model.state_dict().items()}
        progress(StepReport(step, fraction, loss.item(), validation_loss))
        if fraction >= 1 or waited >= config.patience:
            break
    model.load_state_dict(best_state)
    return curve, best_step


def _rate(config: TrainingConfig, step: int, fraction: float) -> float:
    """Learning rate: linear warm-up, then a half cosine over the run down to a fiftieth of the peak."""
    warm = min(1.0, step / max(config.warm_up_steps, 1))
    return config.peak_rate * warm * (0.5 * (1.0 + math.cos(math.pi * fraction)) + 0.02)


def _to(examples: Examples, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(examples.inputs).to(device), torch.from_numpy(examples.targets).to(device)


class _Forecaster:
    """A model with what its outputs are; see `detectors.network`."""

    def __init__(self, model: nn.ModuleDict, config: TrainingConfig) -> None:
        self._model = model
        self._horizons = len(config.horizons)
        self._context = config.context
        fields = len(config.fields) or 1
        self._levels = list(range(0, fields * FIELD_INPUTS, FIELD_INPUTS))  # inputs that are the fields' own values

    def level(self, inputs: Tensor) -> Tensor:
        """The value that each target will be a later one of; (series, steps, 1) where all are of one field."""
        if len(self._levels) == 1:
            return inputs[..., :1]
        return inputs[..., self._levels].repeat_interleave(self._horizons, -1)

    def forecast(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """mu, log_sigma and nu, each (series, steps behind the context, targets)."""
        state = None
        if self._context:
            with torch.no_grad():
                _, state = self._model["lstm"](inputs[:, : self._context])
            inputs = inputs[:, self._context :]
        hidden, _ = self._model["lstm"](inputs, state)
        mu, log_sigma, nu = self._model["head"](torch.cat([hidden, inputs], -1)).chunk(3, -1)
        return (
            mu + self.level(inputs),
            log_sigma.clamp(*LOG_SIGMA_RANGE) + LOG_SIGMA_SHIFT,
            nn.functional.softplus(nu) + LEAST_NU,
        )

    def losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Negative log likelihood of each target behind the context, at most LOSS_CAP; 0 where the target is NaN."""
        targets = targets[:, self._context :]
        mu, log_sigma, nu = self.forecast(inputs)
        residual = (torch.nan_to_num(targets) - mu) * torch.exp(-log_sigma)
        half = 0.5 * (nu + 1.0)
        loss = (
            torch.lgamma(0.5 * nu)
            - torch.lgamma(half)
            + 0.5 * torch.log(math.pi * nu)
            + log_sigma
            + half * torch.log1p(residual * residual / nu)
        )
        return torch.where(targets.isnan(), 0.0, loss.clamp(max=LOSS_CAP))


def _mean(losses: Tensor, targets: Tensor) -> Tensor:
    return losses.sum() / (~targets[:, targets.shape[1] - losses.shape[1] :].isnan()).sum()


def _result(
    config: TrainingConfig,
    model: nn.ModuleDict,
    validation: Examples,
    curve: LearningCurve,
    best_step: int,
    device: torch.device,
) -> Trained:
    forecaster = _Forecaster(model, config)
    inputs, targets = whole = _to(validation, device)
    inputs, targets = inputs[:, config.context :], targets[:, config.context :]
    count = (~targets.isnan()).sum((0, 1))
    with torch.no_grad():
        losses = forecaster.losses(*whole)
        mu = forecaster.forecast(whole[0])[0]

    def by_horizon(values: Tensor) -> dict[int, float]:
        sums = values.nan_to_num().sum((0, 1)).reshape(-1, len(config.horizons)).sum(0)
        means = (sums / count.reshape(-1, len(config.horizons)).sum(0)).tolist()
        return dict(zip(config.horizons, means, strict=True))

    return Trained(
        network=_export(config, model, inputs.shape[2]),
        curve=curve,
        best_step=best_step,
        loss_by_horizon=by_horizon(losses),
        error_by_horizon=by_horizon((mu - targets).abs()),
        persistence_error_by_horizon=by_horizon((forecaster.level(inputs) - targets).abs()),
        device=device.type,
        torch_version=str(torch.__version__),
    )


def _export(config: TrainingConfig, model: nn.ModuleDict, inputs: int) -> Network:
    """The weights as arrays; torch's two biases of a layer become one."""
    state = {name: value.cpu().numpy() for name, value in model.state_dict().items()}
    arrays = {"head_weight": state["head.weight"], "head_bias": state["head.bias"]}
    for layer in range(config.layers):
        for kind in ("weight_ih", "weight_hh"):
            arrays[f"{kind}_l{layer}"] = state[f"lstm.{kind}_l{layer}"]
        arrays[f"bias_l{layer}"] = state[f"lstm.bias_ih_l{layer}"] + state[f"lstm.bias_hh_l{layer}"]
    return Network(config.layers, config.hidden, inputs, config.horizons, arrays, config.fields)


def _import(config: TrainingConfig, model: nn.ModuleDict, network: Network) -> None:
    """Have `model` begin with the weights of `network`; the second of torch's two biases of a layer stays 0."""
    found = (network.layers, network.hidden, network.horizons, network.fields)
    expected = (config.layers, config.hidden, config.horizons, config.fields)
    if found != expected:
        raise ValueError(f"found layers, hidden, horizons, fields {found} to start from; expected {expected}")
    arrays = {name: torch.from_numpy(array.copy()) for name, array in network.arrays.items()}
    state = {"head.weight": arrays["head_weight"], "head.bias": arrays["head_bias"]}
    for layer in range(config.layers):
        state |= {f"lstm.{kind}_l{layer}": arrays[f"{kind}_l{layer}"] for kind in ("weight_ih", "weight_hh")}
        state |= {f"lstm.bias_ih_l{layer}": arrays[f"bias_l{layer}"]}
        state |= {f"lstm.bias_hh_l{layer}": torch.zeros_like(arrays[f"bias_l{layer}"])}
    model.load_state_dict(state)
