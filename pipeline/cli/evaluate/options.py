"""Options that all evaluations share."""

from pathlib import Path
from typing import Any

import click

from pipeline.cli.commands import option, together
from pipeline.cli.cpus import usable_cpus
from pipeline.cli.detector_options import detector_keys, detector_options
from pipeline.cli.options import (
    WRITE,
    config_option,
    jobs_option,
    json_option,
    quiet_option,
)
from pipeline.config import Config, environment, load_config

shared_options = together(
    detector_options,
    option(
        "--out",
        group=WRITE,
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Directory for results.json and scores.  [default: none is written]",
    ),
    option("--overwrite", group=WRITE, is_flag=True, help="Replace the evaluation in the directory."),
    json_option("results.json"),
    config_option(),
    jobs_option,
    quiet_option,
)
"""Decorates a command with the options that all evaluations have."""


def config_of(given: dict[str, Any]) -> Config:
    """The configuration that the options ask for.

    Raises:
        ConfigError: an option or key out of range.
    """
    from pipeline.cli.opening import pin_bundle

    # every scoring process opens the bundle by itself, whatever is promoted meanwhile
    return pin_bundle(load_config(given["file"], detector_keys(given), environ=environment()).config)


def jobs_of(given: dict[str, Any]) -> int:
    """Scoring processes: as asked for, or one for each CPU that this process may use."""
    if given["jobs"] is not None:
        return int(given["jobs"])
    return usable_cpus()
