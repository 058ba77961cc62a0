"""What the commands that train have in common: options of the machine, and the file that a training goes on from."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.cli.commands import option

if TYPE_CHECKING:
    from detectors.training import Ranks
    from pipeline.adapters.training_file import TrainingFile
    from pipeline.cli.screen import Screen

F = TypeVar("F")
_POSITIVE = click.IntRange(min=1)
RESUME_SUFFIX = ".resume"


class Count(click.ParamType[int | None]):
    """A whole number of at least 1, or 'auto', which comes out as None."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """The number."""
        return None if value == "auto" else _POSITIVE.convert(value, param, ctx)


def machine_options(group: str) -> Callable[[F], F]:
    """Decorates a command with the options that say where and how its training runs."""
    options = (
        option("--time-limit", group=group, metavar="TIME", help="End the training after this time, such as 10min, its "
               "rate lowered in time."),
        option("--threads", group=group, type=_POSITIVE, metavar="N", default=1, help="Threads of torch."),
        option("--nice", group=group, type=click.IntRange(0, 19), metavar="N", default=0,
               help="Be so nice to other processes of this machine, 19 at most."),
        option("--device", group=group, metavar="NAME", default="auto",
               help="auto (CUDA where there is one), cpu or cuda. Under `torchrun`, each process takes a device."),
        option("--precision", group=group, metavar="NAME", default="auto",
               help="Of the LSTM: float32, bfloat16, or auto, which is bfloat16 on CUDA where gradients agree."),
        option("--resume-file", group=group, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
               help="Where the training is kept at each validation, for the same command to go on after a kill; "
               "removed when the bundle is there.  [default: beside --out, with .resume behind its name]"),
        option("--fresh", group=group, is_flag=True, help="Begin anew, even if an interrupted training is kept."),
    )  # fmt: skip

    def decorate(command: F) -> F:
        for add in reversed(options):
            command = add(command)
        return command

    return decorate


def settle_in(given: dict[str, Any]) -> "Ranks":
    """Be as nice as asked, and meet the other processes that `torchrun` started.

    Raises:
        ConfigError: they cannot train together on this machine.
    """
    from detectors.training import join
    from pipeline.errors import ConfigError

    os.nice(given["nice"])
    try:
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
