"""Options that several commands have: declared once, so that they read and mean the same wherever they are given."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.cli.commands import option

if TYPE_CHECKING:
    from pipeline.config import Given

F = TypeVar("F", bound=Callable[..., Any])
DETECT, WRITE, RUN = "How to judge", "What to write", "How to run"

labels_option = option(
    "--labels", group=DETECT, type=click.Path(path_type=Path), metavar="FILE", help="Known anomalies, to be judged by."
)
jobs_option = option(
    "--jobs", group=RUN, type=click.IntRange(min=1), metavar="N", help="Scoring processes.  [default: one per CPU]"
)
quiet_option = option("--quiet", group=RUN, is_flag=True, help="Show neither progress nor notices.")


def config_option(group: str = RUN, *, purpose: str = "") -> Callable[[F], F]:
    """Decorates a command with the file of its configuration, as `file`; `purpose` goes on after 'in TOML'."""
    return option(
        "--config",
        "file",
        group=group,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help=f"Configuration in TOML{purpose}.  [default: ./driftline.toml, if there is one]",
    )


def json_option(printed: str, group: str = WRITE) -> Callable[[F], F]:
    """Decorates a command with the wish for JSON alone on stdout, as `as_json`: what is `printed` then."""
    return option("--json", "as_json", group=group, is_flag=True, help=f"Print {printed}, and nothing else, to stdout.")


def keys_of(given: Mapping[str, Any], keys: Mapping[str, Sequence[str]]) -> "dict[str, Given]":
    """Options that are keys of the configuration and were given, by dotted key.

    Args:
        given: all options, by name.
        keys: those that have the name of their key, by section.
    """
    from pipeline.config import Given

    return {
        f"{section}.{key}": Given(f"--{key.replace('_', '-')}", given[key])
        for section, names in keys.items()
        for key in names
        if given[key] is not None
    }
