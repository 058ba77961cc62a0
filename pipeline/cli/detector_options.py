"""Options that choose and set what judges, with the defaults of the configuration."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pipeline.cli.commands import option, together
from pipeline.cli.options import DETECT, keys_of
from pipeline.config import Config, Given

F = TypeVar("F", bound=Callable[..., Any])
_DEFAULTS = Config()

profile_option = option(
    "--profile",
    group=DETECT,
    metavar="NAME",
    help=f"accurate, balanced or dense.  [default: {_DEFAULTS.detector.profile}]",
)
detector_options = together(
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
    profile_option,
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
)
"""What judges, and how strictly; `detector_keys` takes them."""


def bundle_option(group: str) -> Callable[[F], F]:
    """Decorates a command with the bundle that it takes, where the detector itself cannot be chosen."""
    return option(
        "--bundle", group=group, metavar="DIR", help=f"Weights and thresholds.  [default: {_DEFAULTS.detector.bundle}]"
    )


def detector_keys(given: Mapping[str, Any]) -> dict[str, Given]:
    """What `detector_options` were given, by dotted key of the configuration."""
    keys = keys_of(given, {"detector": ("profile", "bundle", "risk", "risk_per_day")})
    if given["detector"] is not None:
        keys["detector.kind"] = Given("--detector", given["detector"])
    if given["detector_option"]:
        keys["detector.options"] = Given("--detector-option", given["detector_option"])
    return keys
