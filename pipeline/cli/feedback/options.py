"""Options of the commands on feedback."""

from typing import TYPE_CHECKING, Any

from pipeline.cli.commands import option, together
from pipeline.cli.options import config_option

if TYPE_CHECKING:
    from pipeline.config import Config

WHERE = "Where it lies"
place_options = together(
    option(
        "--feedback",
        group=WHERE,
        metavar="FILE|URL",
        help="A file of JSON lines, or kafka://host:port/topic.  [default: feedback.topic of the configuration]",
    ),
    config_option(WHERE),
)
"""Decorates a command with the options that say where feedback lies."""


def config_of(given: dict[str, Any]) -> "Config":
    """The configuration that the options ask for.

    Raises:
        ConfigError: an option or key out of range.
    """
    from pipeline.config import environment, load_config

    return load_config(given["file"], environ=environment()).config
