"""The forecaster as torch trains it: the network of `detectors.network`, and the loss of what it forecasts."""

import math
import warnings

import torch
from torch import Tensor, nn

from detectors.examples import REBUILT_STEPS
from detectors.network import FIELD_INPUTS, LEAST_NU, LOG_SIGMA_RANGE, LOG_SIGMA_SHIFT, Network
from detectors.training.cells import State, new_cells
from detectors.training.config import TrainingConfig
from detectors.training.fused import run_fused

LOSS_CAP = 20.0


class Forecaster(nn.Module):
    """Recurrent layers and head; the head starts small, so that the first forecasts are 'no change'.

    Args:
        config: sizes and structure, and steps of the context.
        inputs: per step.

    Attributes:
        is_mixed: whether the recurrent layers compute in bfloat16.
        is_fused: whether they go through the kernels of `detectors.training.fused`.
    """

    def __init__(self, config: TrainingConfig, inputs: int) -> None:
        super().__init__()
        self.is_mixed = self.is_fused = False
        self._horizons = len(config.horizons)
        self._context = config.context
        self._attention = config.structure.attention
        fields = len(config.fields) or 1
        self._levels = slice(0, fields * FIELD_INPUTS, FIELD_INPUTS)  # inputs that are the fields' own values
        self._is_joint = fields > 1
        recalled = config.hidden if self._attention else 0
        self.head = nn.Linear(config.hidden + inputs + recalled, 3 * self._horizons * fields)
        with torch.no_grad():
            self.head.weight.mul_(0.1)
            self.head.bias.zero_()
        self.cells = new_cells(config.structure.cell, inputs, config.hidden, config.layers)
        steps = config.structure.convolution
        self.convolution = nn.Conv1d(inputs, inputs, steps) if steps else None

    def level(self, inputs: Tensor) -> Tensor:
        """The value that each target will be a later one of; (series, steps, 1) where all are of one field."""
        if not self._is_joint:
            return inputs[..., :1]
        return inputs[..., self._levels].repeat_interleave(self._horizons, -1)

    def forecast(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """mu, log_sigma and nu, each (series, steps behind the context, targets)."""
        state, before = None, None
        fed = self._convolve(inputs)
        if self._context:
            with torch.no_grad():
                before, state = self._lead_up(inputs[:, : self._context], fed[:, : self._context])
            inputs, fed = inputs[:, self._context :], fed[:, self._context :]
        hidden, _ = self._recur(fed, state)
        seen = [hidden, inputs]
        if self._attention:
            seen.append(recall(hidden, before, self._attention))
        mu, log_sigma, nu = self.head(torch.cat(seen, -1)).chunk(3, -1)
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

    def _convolve(self, inputs: Tensor) -> Tensor:
        """What the first layer is fed, of each step and those before it."""
        if self.convolution is None:
            return inputs
        before = self.convolution.kernel_size[0] - 1
        padded = nn.functional.pad(inputs.transpose(1, 2), (before, 0))
        return torch.tanh(self.convolution(padded)).transpose(1, 2)

    def _lead_up(self, inputs: Tensor, fed: Tensor) -> tuple[Tensor, State]:
        """(series, steps, H) of the last layer over a context, and the state behind it.

        A series that has no steps at first, all of whose inputs are 0 there, has a state of zeros before the steps that
        a state is rebuilt from.
        """
        first = fed.shape[1] - REBUILT_STEPS
        if first <= 0:
            return self._recur(fed, None)
        is_there = inputs[:, 0].ne(0).any(-1)
        earlier, state = self._recur(fed[:, :first], None)
        kept = is_there[:, None]
        state = (state[0] * kept, state[1] * kept) if isinstance(state, tuple) else state * kept
        hidden, state = self._recur(fed[:, first:], state)
        return torch.cat([earlier * kept[:, None], hidden], 1), state

    def _recur(self, inputs: Tensor, state: State | None) -> tuple[Tensor, State]:
        if self.is_fused and isinstance(self.cells, nn.LSTM) and not isinstance(state, Tensor):
            hidden, state = run_fused(self.cells, inputs.to(torch.bfloat16) if self.is_mixed else inputs, state)
            return hidden.float(), state
        if not self.is_mixed:
            found: tuple[Tensor, State] = self.cells(inputs, state)
            return found
        # cast by hand, since autocast runs cuDNN's LSTM in float16 whatever it is asked for, where gradients vanish
        weights = {name: weight.to(torch.bfloat16) for name, weight in self.cells.named_parameters()}
        with warnings.catch_warnings():
            # that copies of weights do not lie in a row for cuDNN, which puts them there: they are few
            warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")
            hidden, state = torch.func.functional_call(self.cells, weights, (inputs.to(torch.bfloat16), state))
        return hidden.float(), state


def recall(hidden: Tensor, before: Tensor | None, count: int) -> Tensor:
    """What attention recalls at each step, see `detectors.attention`.

    Args:
        hidden: (series, steps, H) of the last layer.
        before: (series, ..., H) of the steps before the first; None where there are none.
        count: states that are looked back on.
    """
    none = hidden.new_zeros(hidden.shape[0], count, hidden.shape[2])
    earlier = torch.cat([none, none[:, :0] if before is None else before], 1)[:, -count:]
    states = torch.cat([earlier, hidden[:, :-1]], 1).unfold(1, count, 1)  # (series, steps, H, count)
    likeness = torch.einsum("sth,sthw->stw", hidden, states) / math.sqrt(hidden.shape[2])
    return torch.einsum("stw,sthw->sth", torch.softmax(likeness, -1), states)


def new_model(config: TrainingConfig, inputs: int) -> Forecaster:
    """A forecaster whose random weights the seed decides; torch's own random state stays as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return Forecaster(config, inputs)


def export_network(config: TrainingConfig, model: Forecaster, inputs: int) -> Network:
    """The weights as arrays; the two biases that torch's LSTM has in a layer become one."""
    state = {name: value.cpu().numpy() for name, value in model.state_dict().items()}
    arrays = {_NAMES.get(name, name.removeprefix("cells.")): array for name, array in state.items()}
    if config.structure.cell == "lstm":
        for layer in range(config.layers):
            arrays[f"bias_l{layer}"] = arrays.pop(f"bias_ih_l{layer}") + arrays.pop(f"bias_hh_l{layer}")
    return Network(config.layers, config.hidden, inputs, config.horizons, arrays, config.fields, config.structure)


def import_network(config: TrainingConfig, model: Forecaster, network: Network) -> None:
    """Have `model` begin with the weights of `network`; the second bias that torch's LSTM has in a layer stays 0.

    Raises:
        ValueError: they are of other sizes, or of another structure, than those of `config`.
    """
    found = (network.layers, network.hidden, network.horizons, network.fields)
    expected = (config.layers, config.hidden, config.horizons, config.fields)
    if found != expected:
        raise ValueError(f"found layers, hidden, horizons, fields {found} to start from; expected {expected}")
    if network.structure != config.structure:
        raise ValueError(f"found a network of structure {network.structure} to start from; expected {config.structure}")
    state = {name: torch.from_numpy(array.copy()) for name, array in network.arrays.items()}
    if config.structure.cell == "lstm":
        for layer in range(config.layers):
            state[f"bias_ih_l{layer}"] = state.pop(f"bias_l{layer}")
            state[f"bias_hh_l{layer}"] = torch.zeros_like(state[f"bias_ih_l{layer}"])
    of_torch = {name: name_of_torch for name_of_torch, name in _NAMES.items()}
    model.load_state_dict({of_torch.get(name, f"cells.{name}"): array for name, array in state.items()})


_NAMES = {
    "head.weight": "head_weight",
    "head.bias": "head_bias",
    "convolution.weight": "convolution_weight",
    "convolution.bias": "convolution_bias",
}
"""What the arrays of a network are called that are not of a recurrent layer, by torch's names."""
