"""Options of the commands on feedback."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.cli.commands import option

if TYPE_CHECKING:
    from pipeline.config import Config

F = TypeVar("F", bound=Callable[..., Any])
WHERE = "Where it lies"
_OPTIONS = (
    option(
        "--feedback",
        group=WHERE,
        metavar="FILE|URL",
        help="A file of JSON lines, or kafka://host:port/topic.  [default: feedback.topic of the configuration]",
    ),
    option(
        "--config",
        "file",
        group=WHERE,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Configuration in TOML.  [default: ./driftline.toml, if there is one]",
    ),
)


def place_options(command: F) -> F:
    """Decorates a command with the options that say where feedback lies."""
    for decorate in reversed(_OPTIONS):
        command = decorate(command)
    return command


def config_of(given: dict[str, Any]) -> "Config":
    """The configuration that the options ask for.

    Raises:
        ConfigError: an option or key out of range.
    """
    from pipeline.config import environment, load_config

    return load_config(given["file"], environ=environment()).config
