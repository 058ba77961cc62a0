"""What a network is besides its sizes: the kind of its cell, what stands in front of it, and what it is read out by."""

from dataclasses import dataclass

LSTM, GRU, LAYER_NORM_LSTM = 0, 1, 2
CELLS = {"lstm": LSTM, "gru": GRU, "layer-norm-lstm": LAYER_NORM_LSTM}
"""Cells by name, each with the number by which the kernel knows it."""
CONVOLUTIONS = range(2, 9)
"""Steps that a convolution may see."""
ATTENTIONS = range(2, 17)
"""Hidden states that attention may look back on."""


@dataclass(frozen=True, slots=True)
class Structure:
    """What the kernel can score with, which is what training can produce.

    Attributes:
        cell: 'lstm', 'gru' or 'layer-norm-lstm'; see `detectors.lstm`, `detectors.gru` and `detectors.layer_norm`.
        convolution: K, steps that a causal convolution in front of the first layer sees; 0 for none. See
            `detectors.convolution`.
        attention: W, hidden states of the last layer that the read-out looks back on; 0 for none. See
            `detectors.attention`.

    Raises:
        ValueError: an unknown cell, or a number out of its range.
    """

    cell: str = "lstm"
    convolution: int = 0
    attention: int = 0

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise ValueError(f"found cell {self.cell!r}; expected one of {', '.join(CELLS)}")
        for name, found, known in (
            ("convolution", self.convolution, CONVOLUTIONS),
            ("attention", self.attention, ATTENTIONS),
        ):
            if found and found not in known:
                raise ValueError(f"found {name} {found}; expected {known[0]} to {known[-1]} steps, or 0 for no {name}")

    @property
    def is_plain(self) -> bool:
        """Whether it is an LSTM and nothing else."""
        return self == PLAIN

    def state_size(self, layers: int, hidden: int, inputs: int) -> int:
        """Numbers that are carried from step to step."""
        parts = 1 if self.cell == "gru" else 2
        return parts * layers * hidden + max(self.convolution - 1, 0) * inputs + self.attention * hidden

    def __str__(self) -> str:
        told = self.cell
        if self.convolution:
            told += f" behind a convolution over {self.convolution} steps"
        if self.attention:
            told += f", read out with attention over {self.attention} states"
        return told


PLAIN = Structure()
"""The structure of the shipped network."""
