"""What the commands that train have in common: options of the machine, and the file that a training goes on from."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from detectors.structure import ATTENTIONS, CELLS, CONVOLUTIONS, PLAIN, Structure
from pipeline.cli.commands import F, Number, option, together

if TYPE_CHECKING:
    from detectors.network import Network
    from detectors.training import Ranks
    from pipeline.adapters.training_file import TrainingFile
    from pipeline.cli.screen import Screen

_POSITIVE = click.IntRange(min=1)
RATE = Number(0, 1, min_open=True)
"""Of learning."""
RESUME_SUFFIX = ".resume"
LAYERS, HIDDEN = 1, 64
"""Size of a network unless told."""
TUNING_RATE, SCRATCH_RATE = 2e-3, 1e-2
"""Highest learning rates, from given and from random weights."""


class Count(click.ParamType[int | None]):
    """A whole number of at least 1, or 'auto', which comes out as None."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """The number."""
        return None if value == "auto" else _POSITIVE.convert(value, param, ctx)


def network_options(group: str, of_what: str = "") -> Callable[[F], F]:
    """Decorates a command with the options that say what network it makes; they are None where not given.

    Args:
        group: of the options.
        of_what: which networks they are of, for the help.
    """
    behind = f" {of_what}" if of_what else ""
    options = (
        option("--layers", group=group, type=click.IntRange(1, 2), metavar="1|2",
               help=f"Recurrent layers{behind}.  [default: {LAYERS}]"),
        option("--hidden", group=group, type=_POSITIVE, metavar="N",
               help=f"Cells of a layer{behind}.  [default: {HIDDEN}]"),
        option("--cell", group=group, type=click.Choice([*CELLS]), metavar="|".join(CELLS),
               help=f"Kind of cell{behind}.  [default: {PLAIN.cell}]"),
        option("--convolution", group=group, type=_up_to(CONVOLUTIONS), metavar="K",
               help=f"Steps that a causal convolution in front sees, {CONVOLUTIONS[0]} to {CONVOLUTIONS[-1]}{behind}.  "
               "[default: no convolution]"),
        option("--attention", group=group, type=_up_to(ATTENTIONS), metavar="W",
               help=f"Hidden states that the forecasts look back on, {ATTENTIONS[0]} to {ATTENTIONS[-1]}{behind}.  "
               "[default: no attention]"),
    )  # fmt: skip
    return together(*options)


def told_of_network(given: dict[str, Any]) -> list[str]:
    """Which of the options of `network_options` were given."""
    return [f"--{name}" for name in ("layers", "hidden", "cell", "convolution", "attention") if given[name] is not None]


def structure_of(given: dict[str, Any]) -> Structure:
    """The structure that the options ask for."""
    return Structure(given["cell"] or PLAIN.cell, given["convolution"] or 0, given["attention"] or 0)


def tell_bytes(network: "Network", screen: "Screen") -> None:
    """A note where a lane takes more bytes than it does with the shipped network.

    Args:
        network: that was made.
        screen: shows it.
    """
    from detectors.layout import lane_dtype
    from detectors.profiles import PROFILES

    sizes, sharing = (network.layers, network.hidden), max(len(network.fields), 1)
    more = []
    for name, profile in PROFILES.items():
        usual = lane_dtype(profile, LAYERS, HIDDEN).itemsize
        needed = lane_dtype(profile, *sizes, sharing, network.structure, network.inputs).itemsize
        if needed > usual:
            more.append(f"profile {name} {needed:,} instead of {usual:,}")
    if more:
        screen.note(
            f"a lane takes more bytes than with the shipped network: {', '.join(more)}; state.budget has room for "
            "fewer of them"
        )


def _up_to(known: range) -> click.IntRange:
    return click.IntRange(known[0], known[-1])


def machine_options(group: str) -> Callable[[F], F]:
    """Decorates a command with the options that say where and how its training runs."""
    options = (
        option("--time-limit", group=group, metavar="TIME", help="End the training after this time, such as 10min, its "
               "rate lowered in time."),
        option("--threads", group=group, type=_POSITIVE, metavar="N", default=1, help="Threads of torch."),
        option("--nice", group=group, type=click.IntRange(0, 19), metavar="N", default=0,
               help="Be so nice to other processes of this machine, 19 at most."),
        option("--device", group=group, type=click.Choice(["auto", "cpu", "cuda"]), metavar="NAME", default="auto",
               help="auto (CUDA where there is one), cpu or cuda. Under `torchrun`, each process takes a device."),
        option("--precision", group=group, type=click.Choice(["auto", "float32", "bfloat16"]), metavar="NAME",
               default="auto",
               help="Of the layers: float32, bfloat16, or auto, which is bfloat16 on CUDA where gradients agree."),
        option("--resume-file", group=group, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
               help="Where the training is kept at each validation, for the same command to go on after a kill; "
               "removed when the bundle is there.  [default: beside --out, with .resume behind its name]"),
        option("--fresh", group=group, is_flag=True, help="Begin anew, even if an interrupted training is kept."),
    )  # fmt: skip
    return together(*options)


def settle_in(given: dict[str, Any]) -> "Ranks":
    """Be as nice as asked, and meet the other processes that `torchrun` started.

    Raises:
        ConfigError: the device is not here, or they cannot train together on this machine.
    """
    from detectors.training import join, pick_device
    from pipeline.errors import ConfigError

    os.nice(given["nice"])
    try:
        pick_device(given["device"])
        return join(given["device"])
    except (ValueError, RuntimeError) as exc:
        raise ConfigError(f"--device: {' '.join(str(exc).split())}") from exc


def resume_file(given: dict[str, Any], out: Path, screen: "Screen") -> "TrainingFile":
    """The file that the training is kept in, of which the screen tells.

    Args:
        given: options of the command.
        out: where the bundle goes, beside which the file is unless told.
        screen: shows it.
    """
    from pipeline.adapters.training_file import TrainingFile

    path = given["resume_file"] or out.with_name(f"{out.name}{RESUME_SUFFIX}")
    screen.note(f"keeping the training in {path}: after an interruption the same command goes on from there")
    return TrainingFile(path, fresh=given["fresh"])
