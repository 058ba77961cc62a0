"""From the options of `driftline train --follow` to the follower."""

from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from pipeline.config import Given
from pipeline.config.loading import DEFAULT_FILE
from pipeline.errors import ConfigError

_TAKEN = {"file", "registry", "metrics_port", "beside", "follow"}


def follow_as_told(history: tuple[str, ...], given: Mapping[str, Any]) -> int:
    """Exit status of a follower.

    Raises:
        ConfigError: a history or an option that goes with a single training.
        DriftlineError: as the follower raises.
    """
    if history:
        raise ConfigError(f"found HISTORY ({history[0]}) with --follow; expected none: it reads the topics of [input]")
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in _TAKEN and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise ConfigError(
                f"found {parameter.opts[0]} with --follow; expected it without: [retrain] of the configuration tells "
                "what a trainer does"
            )
    from pipeline.cli.kernels import use_kernel_cache

    use_kernel_cache()
    from pipeline.cli.learning.follow import follow

    file = given["file"]
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    options = {} if given["registry"] is None else {"models.registry": Given("--registry", given["registry"])}
    return follow(file, options, metrics_port=given["metrics_port"], beside=given["beside"])
