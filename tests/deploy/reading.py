"""Reads the files of `deploy/`, and says what in them must be so wherever it stands."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from pipeline.cli import driftline
from pipeline.config import load_config

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
JOBS = {"driftline": 9464, "driftline-trainer": 9465}
"""Jobs of Prometheus, by compose as on Kubernetes, and the port of each."""
OWN_IMAGES = {"driftline": {VERSION}, "driftline-training": {f"{VERSION}-cpu", f"{VERSION}-cuda"}}
"""The images that the Dockerfile makes, and their tags."""


def read_yaml(path: Path) -> Any:
    """The one document of a file."""
    return yaml.safe_load(path.read_text())


def manifests() -> list[dict[str, Any]]:
    """Every object that the kustomization names, as it stands in its file."""
    names = read_yaml(KUBERNETES / "kustomization.yaml")["resources"]
    return [one for name in names for one in yaml.safe_load_all((KUBERNETES / name).read_text())]


def find(kind: str, name: str = "driftline") -> dict[str, Any]:
    """The manifest of a kind and name."""
    (found,) = [one for one in manifests() if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def refuse_unknown_options(arguments: Sequence[str]) -> None:
    """Raises AssertionError for a command of Driftline, or an option of it, that there is not."""
    name, *rest = arguments
    command: click.Command | None = driftline.get_command(click.Context(driftline), name)
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), rest.pop(0))
    assert command is not None, arguments
    known = {option for parameter in command.get_params(click.Context(command)) for option in parameter.opts}
    given = {argument for argument in rest if argument.startswith("--")}
    assert given <= known, arguments


def command_lines(text: str) -> Iterator[list[str]]:
    """The calls of `driftline` in a line of shell."""
    for part in re.split(r"\|\||&&|;|>\S+(?: 2>&1)?", text):
        words = part.replace('"', " ").split()
        if words[:1] == ["driftline"]:
            yield words[1:]


def refuse_unknown_keys(file: Path, environ: Iterable[tuple[str, str]]) -> None:
    """Raises ConfigError where file or environment say what the configuration does not understand."""
    load_config(file, environ=dict(environ))
