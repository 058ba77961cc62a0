"""Options of the commands on models, and from options to the registry and to what is done to it."""

import os
import platform
import pwd
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pipeline.cli.commands import option, together
from pipeline.cli.options import config_option, json_option

if TYPE_CHECKING:
    from pipeline.adapters.bundles import Bundle
    from pipeline.adapters.bundles.history import Act
    from pipeline.adapters.bundles.registry import Registry
    from pipeline.config import Config

_WHERE, _WHO, _RUN = "Registry", "For the history", "Run"
reading_options = together(
    option(
        "--registry",
        group=_WHERE,
        metavar="URL",
        help="Its folder or URL.  [default: models.registry of the configuration, driftline-models]",
    ),
    config_option(_WHERE),
    json_option("JSON", _RUN),
)
"""Decorates a command with the options of all that reads a registry."""

acting_options = together(
    option("--reason", group=_WHO, default="", metavar="TEXT", help="Why; it is kept with what is done."),
    option("--by", group=_WHO, metavar="NAME", help="Who does it.  [default: USER@HOST]"),
    reading_options,
)
"""Decorates a command with the options of all that changes a registry."""


def config_of(given: dict[str, Any]) -> "Config":
    """The configuration that the options ask for.

    Raises:
        ConfigError: an option or key out of range.
    """
    from pipeline.config import Given, environment, load_config

    options = {} if given["registry"] is None else {"models.registry": Given("--registry", given["registry"])}
    return load_config(given["file"], options, environ=environment()).config


def open_registry(given: dict[str, Any]) -> "Registry":
    """The registry that the options name; raises as `config_of` and `Registry`."""
    from pipeline.adapters.bundles.registry import Registry

    return Registry(config_of(given).models.registry)


def require_usable(bundle: "Bundle", given: dict[str, Any]) -> None:
    """Refuse a bundle that a service with this configuration could not start with.

    Raises:
        BundleError: no calibration for the profile, trained with another normaliser, or a joint network of other fields
            than the configuration names.
    """
    from pipeline.cli.kernels import use_kernel_cache

    use_kernel_cache()
    from pipeline.cli.wiring import make_detector, require_fields

    config = config_of(given)
    make_detector(config, bundle)
    if config.source.value_fields is not None:
        require_fields(bundle, config.source.value_fields)


def act_of(given: dict[str, Any]) -> "Act":
    """Who does it, now, and why."""
    from pipeline.adapters.bundles.history import Act

    return Act(given["by"] or _user(), datetime.now(UTC).replace(microsecond=0), given["reason"])


def _user() -> str:
    user = os.getuid()
    try:
        name = pwd.getpwuid(user).pw_name
    except KeyError:  # as in containers
        name = str(user)
    return f"{name}@{platform.node()}"
