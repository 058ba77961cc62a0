"""Options that all evaluations share."""

from pathlib import Path
from typing import Any, TypeVar

import click

from pipeline.cli.commands import option
from pipeline.cli.cpus import usable_cpus
from pipeline.config import Config, Given, environment, load_config

F = TypeVar("F")
DETECT, WRITE, RUN = "How to judge", "What to write", "How to run"
_DEFAULTS = Config()
_DETECTOR = ("profile", "bundle", "risk", "risk_per_day")
_OPTIONS = (
    option(
        "--detector",
        group=DETECT,
        metavar="KIND",
        help="lstm; or to compare with: windowed-gaussian, persistence, or a class path of river.  [default: lstm]",
    ),
    option(
        "--detector-option",
        group=DETECT,
        multiple=True,
        metavar="NAME=VALUE",
        help="Hyper-parameter of a detector to compare with; may be repeated.",
    ),
    option(
        "--profile",
        group=DETECT,
        metavar="NAME",
        help=f"accurate, balanced or dense.  [default: {_DEFAULTS.detector.profile}]",
    ),
    option(
        "--bundle",
        group=DETECT,
        metavar="BUNDLE",
        help=f"Weights and thresholds: a folder, champion, #ID or URL#ID.  [default: {_DEFAULTS.detector.bundle}]",
    ),
    option(
        "--risk",
        group=DETECT,
        metavar="NUMBER",
        help=f"Expected false alarms per 1,000 points of a stream.  [default: {_DEFAULTS.detector.risk}]",
    ),
    option(
        "--risk-per-day",
        group=DETECT,
        metavar="NUMBER",
        help="The same per stream and day instead, by the sampling interval of each stream.",
    ),
    option(
        "--out",
        group=WRITE,
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Directory for results.json and scores.  [default: none is written]",
    ),
    option("--overwrite", group=WRITE, is_flag=True, help="Replace the evaluation in the directory."),
    option("--json", "as_json", group=WRITE, is_flag=True, help="Print results.json, and nothing else, to stdout."),
    option(
        "--config",
        "file",
        group=RUN,
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Configuration in TOML.  [default: ./driftline.toml, if there is one]",
    ),
    option(
        "--jobs", group=RUN, type=click.IntRange(min=1), metavar="N", help="Scoring processes.  [default: one per CPU]"
    ),
    option("--quiet", group=RUN, is_flag=True, help="Show neither progress nor notices."),
)


def shared_options(command: F) -> F:
    """Decorates a command with the options that all evaluations have."""
    for decorate in reversed(_OPTIONS):
        command = decorate(command)
    return command


def config_of(given: dict[str, Any]) -> Config:
    """The configuration that the options ask for.

    Raises:
        ConfigError: an option or key out of range.
    """
    options = {
        f"detector.{key}": Given(f"--{key.replace('_', '-')}", given[key])
        for key in _DETECTOR
        if given[key] is not None
    }
    if given["detector"] is not None:
        options["detector.kind"] = Given("--detector", given["detector"])
    if given["detector_option"]:
        options["detector.options"] = Given("--detector-option", given["detector_option"])
    from pipeline.cli.opening import pin_bundle

    # every scoring process opens the bundle by itself, whatever is promoted meanwhile
    return pin_bundle(load_config(given["file"], options, environ=environment()).config)


def jobs_of(given: dict[str, Any]) -> int:
    """Scoring processes: as asked for, or one for each CPU that this process may use."""
    if given["jobs"] is not None:
        return int(given["jobs"])
    return usable_cpus()
