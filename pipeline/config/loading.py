"""From file, environment and command line to one checked configuration; the later of these wins."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipeline.config.models import Config
from pipeline.config.section import Section
from pipeline.errors import ConfigError, nearest

DEFAULT_FILE = Path("driftline.toml")
PREFIX = "DRIFTLINE_"
EITHER = (("detector.risk", "detector.risk_per_day"),)
"""Keys that say the same in two ways: of those given in different places the later wins."""


@dataclass(frozen=True, slots=True)
class Given:
    """A value that was given, and where, as shown in messages."""

    where: str
    value: Any


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """The configuration, and by dotted key whatever is not a default."""

    config: Config
    given: Mapping[str, Given]


def load_config(
    file: Path | None = None,
    options: Mapping[str, Given] | None = None,
    *,
    environ: Mapping[str, str],
) -> LoadedConfig:
    """What is set: defaults, then the file, then environment variables DRIFTLINE_<SECTION>__<KEY>, then `options`.

    Args:
        file: TOML; None takes ./driftline.toml if there is one.
        options: by dotted key, such as 'detector.profile'.
        environ: environment variables; of those with the prefix, only names with a double underscore are keys.

    Raises:
        ConfigError: an unknown section or key, a value out of range, or a file that cannot be read.
    """
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    given: dict[str, Given] = {}
    for later in ({} if file is None else _from_file(file), _from_environment(environ), options or {}):
        for pair in EITHER:
            if later.keys() & set(pair):
                given = {key: one for key, one in given.items() if key not in pair}
        given |= later
    tables: dict[str, dict[str, Any]] = {}
    for dotted, one in given.items():
        section, key = dotted.split(".")
        tables.setdefault(section, {})[key] = one.value
    try:
        return LoadedConfig(Config.model_validate(tables), given)
    except ValidationError as exc:
        raise ConfigError(_explain(exc.errors()[0], given)) from exc


def _from_file(path: Path) -> dict[str, Given]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"{path}: found no readable file ({exc.strerror}); expected a configuration in TOML") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: found no TOML ({exc}); expected lines such as [detector] and risk = 1.0") from exc
    given = {}
    for section, table in tables.items():
        _require_section(str(path), section)
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: found {section} = {table!r}; expected a section [{section}]")
        for key, value in table.items():
            where = f"{path}, [{section}] {key}"
            _require_key(where, section, key)
            given[f"{section}.{key}"] = Given(where, value)
    return given


def _from_environment(environ: Mapping[str, str]) -> dict[str, Given]:
    given = {}
    for name, value in sorted(environ.items()):
        section, separator, key = name.removeprefix(PREFIX).lower().partition("__")
        if not (name.startswith(PREFIX) and separator):
            continue
        where = f"environment variable {name}"
        _require_section(where, section)
        _require_key(where, section, key)
        given[f"{section}.{key}"] = Given(where, value)
    return given


def _require_section(where: str, section: str) -> None:
    known = Config.model_fields
    if section not in known:
        raise ConfigError(
            f"{where}: found the section {section!r}; expected one of {', '.join(known)}{nearest(section, known)}"
        )


def _require_key(where: str, section: str, key: str) -> None:
    kind = Config.model_fields[section].annotation
    if not (isinstance(kind, type) and issubclass(kind, Section)):
        raise TypeError(f"found {section} of {kind}; expected a section")
    if key not in kind.model_fields:
        known = kind.model_fields
        raise ConfigError(
            f"{where}: found the unknown key {key!r}; expected one of {', '.join(known)}{nearest(key, known)}"
        )


def _explain(error: ErrorDetails, given: Mapping[str, Given]) -> str:
    """One line: where, what was found, what was expected."""
    location = [str(part) for part in error["loc"]]
    dotted = ".".join(location[:2])
    if dotted in given:
        where = given[dotted].where
    else:
        # the fault is in how several keys of a section go together
        where = "; ".join(one.where for key, one in given.items() if key.startswith(f"{dotted}."))
    message = error["msg"].removeprefix("Value error, ")
    if message.startswith("found "):
        return f"{where}: {message}"
    expected, _, _ = message.removeprefix("Input should be ").partition(", unable")
    if dotted.endswith("password"):
        return f"{where}: found something else; expected {expected}"
    near = nearest(str(error["input"]), re.findall("'([^']+)'", expected))
    return f"{where}: found {error['input']!r}; expected {expected}{near}"
