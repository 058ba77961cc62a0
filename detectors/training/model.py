"""The forecaster as torch trains it: the LSTM and head of `detectors.network`, and the loss of what they forecast."""

import math

import torch
from torch import Tensor, nn

from detectors.network import FIELD_INPUTS, LEAST_NU, LOG_SIGMA_RANGE, LOG_SIGMA_SHIFT, Network
from detectors.training.config import TrainingConfig

LOSS_CAP = 20.0


class Forecaster(nn.Module):
    """LSTM and head; the head starts small, so that the first forecasts are 'no change'.

    Args:
        config: sizes, and steps of the context.
        inputs: per step.

    Attributes:
        is_mixed: whether the LSTM computes in bfloat16.
    """

    def __init__(self, config: TrainingConfig, inputs: int) -> None:
        super().__init__()
        self.is_mixed = False
        self._horizons = len(config.horizons)
        self._context = config.context
        fields = len(config.fields) or 1
        self._levels = list(range(0, fields * FIELD_INPUTS, FIELD_INPUTS))  # inputs that are the fields' own values
        self.head = nn.Linear(config.hidden + inputs, 3 * self._horizons * fields)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()
        self.lstm = nn.LSTM(inputs, config.hidden, config.layers, batch_first=True)

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
                _, state = self._recur(inputs[:, : self._context], None)
            inputs = inputs[:, self._context :]
        hidden, _ = self._recur(inputs, state)
        mu, log_sigma, nu = self.head(torch.cat([hidden, inputs], -1)).chunk(3, -1)
        return (
            mu + self.level(inputs),
            log_sigma.clamp(*LOG_SIGMA_RANGE) + LOG_SIGMA_SHIFT,
            nn.functional.softplus(nu) + LEAST_NU,
        )

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
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

    def count(self, targets: Tensor) -> Tensor:
        """Number of targets behind the context, ()."""
        return (~targets[:, self._context :].isnan()).sum()

    def _recur(self, inputs: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if not self.is_mixed:
            found: tuple[Tensor, tuple[Tensor, Tensor]] = self.lstm(inputs, state)
            return found
        # cast by hand, since autocast runs cuDNN's LSTM in float16 whatever it is asked for, where gradients vanish
        weights = {name: weight.to(torch.bfloat16) for name, weight in self.lstm.named_parameters()}
        hidden, state = torch.func.functional_call(self.lstm, weights, (inputs.to(torch.bfloat16), state))
        return hidden.float(), state


def new_model(config: TrainingConfig, inputs: int) -> Forecaster:
    """A forecaster whose random weights the seed decides; torch's own random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return Forecaster(config, inputs)


def export_network(config: TrainingConfig, model: Forecaster, inputs: int) -> Network:
    """The weights as arrays; torch's two biases of a layer become one."""
    state = {name: value.cpu().numpy() for name, value in model.state_dict().items()}
    arrays = {"head_weight": state["head.weight"], "head_bias": state["head.bias"]}
    for layer in range(config.layers):
        for kind in ("weight_ih", "weight_hh"):
            arrays[f"{kind}_l{layer}"] = state[f"lstm.{kind}_l{layer}"]
        arrays[f"bias_l{layer}"] = state[f"lstm.bias_ih_l{layer}"] + state[f"lstm.bias_hh_l{layer}"]
    return Network(config.layers, config.hidden, inputs, config.horizons, arrays, config.fields)


def import_network(config: TrainingConfig, model: Forecaster, network: Network) -> None:
    """Have `model` begin with the weights of `network`; the second of torch's two biases of a layer stays 0.

    Raises:
        ValueError: they are of other sizes than those of `config`.
    """
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
