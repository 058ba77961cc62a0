"""The recurrent layers as torch trains them: its own LSTM and GRU, and an LSTM with layer normalisation."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from detectors.layer_norm import EPSILON

State = Tensor | tuple[Tensor, Tensor]
"""What is carried: h of a GRU, (h, c) of an LSTM, each (layers, series, H)."""


def new_cells(cell: str, inputs: int, hidden: int, layers: int) -> nn.Module:
    """Layers of a cell of `detectors.structure.CELLS`; (series, steps, inputs) and a state to (..., H) and a state."""
    if cell == "lstm":
        return nn.LSTM(inputs, hidden, layers, batch_first=True)
    if cell == "gru":
        return nn.GRU(inputs, hidden, layers, batch_first=True)
    return LayerNormLSTM(inputs, hidden, layers)


class LayerNormLSTM(nn.Module):
    """The LSTM of `detectors.layer_norm`, with weights by its names and torch's order of the gates: i, f, g, o.

    Weights begin as those of torch's LSTM do, gains with 1.
    """

    def __init__(self, inputs: int, hidden: int, layers: int) -> None:
        super().__init__()
        self._layers = layers
        bound = hidden**-0.5
        for layer in range(layers):
            below = hidden if layer else inputs
            made = {
                "weight_ih": torch.empty(4 * hidden, below).uniform_(-bound, bound),
                "weight_hh": torch.empty(4 * hidden, hidden).uniform_(-bound, bound),
                "bias": torch.empty(4 * hidden).uniform_(-bound, bound),
                "gain_ih": torch.ones(4 * hidden),
                "gain_hh": torch.ones(4 * hidden),
                "gain_c": torch.ones(hidden),
                "bias_c": torch.zeros(hidden),
            }
            for name, value in made.items():
                self.register_parameter(f"{name}_l{layer}", nn.Parameter(value))

    def forward(self, inputs: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(series, steps, H) of the last layer, and (h, c) at the end."""
        last_h, last_c = [], []
        for layer in range(self._layers):
            weights = {
                name.removesuffix(f"_l{layer}"): weight
                for name, weight in self.named_parameters()
                if name.endswith(f"_l{layer}")
            }
            size = len(weights["gain_c"])
            none = inputs.new_zeros(len(inputs), size)
            h, c = (none, none) if state is None else (part[layer].to(inputs.dtype) for part in state)
            inputs, c = _run(inputs, h, c, weights)
            last_h.append(inputs[:, -1] if inputs.shape[1] else h)
            last_c.append(c)
        return inputs, (torch.stack(last_h), torch.stack(last_c))


def _run(inputs: Tensor, h: Tensor, c: Tensor, weights: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """(series, steps, H) of one layer, and c at the end."""
    size = h.shape[1]
    shape, inner = (4 * size,), (size,)
    fed = nn.functional.layer_norm(inputs @ weights["weight_ih"].T, shape, weights["gain_ih"], weights["bias"], EPSILON)
    recurrent = weights["weight_hh"].T
    states = []
    for of_step in fed.unbind(1):
        gates = of_step + nn.functional.layer_norm(h @ recurrent, shape, weights["gain_hh"], None, EPSILON)
        i, f, g, o = gates.chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        level = nn.functional.layer_norm(c, inner, weights["gain_c"], weights["bias_c"], EPSILON)
        h = torch.sigmoid(o) * torch.tanh(level)
        states.append(h)
    return torch.stack(states, 1), c
