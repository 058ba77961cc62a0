"""The configuration as TOML text: an example of every key, and what is in effect."""

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.config.loading import LoadedConfig
from pipeline.config.models import Config
from pipeline.errors import without_secrets

_WIDTH = 100


def example() -> str:
    """Every key with its default and what it means; keys without a default are commented out."""
    plain = Config().plain()
    parts = []
    for section, table in Config.model_fields.items():
        kind = table.annotation
        lines = [_comment(kind.__doc__ or ""), f"[{section}]"]
        for key, field in kind.model_fields.items():  # type: ignore[union-attr]
            value = plain[section][key]
            lines.append(_comment(field.description or ""))
            if value is None:
                lines.append(f"# {key} = {_toml((field.examples or [''])[0])}")
            else:
                lines.append(f"{key} = {_toml(value)}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def show(loaded: LoadedConfig) -> str:
    """Every key that has a value, with where it is from unless it is the default."""
    parts = []
    for section, table in loaded.config.plain().items():
        lines = [f"[{section}]"]
        for key, value in table.items():
            if value is not None:
                given = loaded.given.get(f"{section}.{key}")
                lines.append(f"{key} = {_toml(_shown(value))}" + (f"  # {given.where}" if given else ""))
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _shown(value: Any) -> Any:
    return without_secrets(value) if isinstance(value, str) else value


def write_keys(head: Sequence[str], entries: Mapping[str, tuple[Any, str]]) -> str:
    """A configuration of some keys.

    Args:
        head: lines of comment to begin with.
        entries: value, as TOML can hold it, and what to say of it, by dotted key.
    """
    parts = ["\n".join(f"# {line}" for line in head)]
    for section in Config.model_fields:
        own = {dotted: entry for dotted, entry in entries.items() if dotted.startswith(f"{section}.")}
        lines = [f"{dotted.split('.')[1]} = {_toml(value)}  # {why}" for dotted, (value, why) in own.items()]
        if lines:
            parts.append("\n".join([f"[{section}]", *lines]))
    return "\n\n".join(parts) + "\n"


def _comment(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _toml(value: Any) -> str:
    """Strings, numbers and lists of them are written alike in JSON and in TOML; tables are not."""
    if isinstance(value, dict):
        inner = ", ".join(f"{_toml_key(name)} = {_toml(one)}" for name, one in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
