"""Writes the manifest of the rules for Prometheus' operator from those that Prometheus itself reads.

`python -m tests.deploy.rendering` does it; a test compares.
"""

from typing import Any

import yaml

from tests.deploy.reading import DEPLOY, KUBERNETES, read_yaml

RULES = DEPLOY / "prometheus"
MANIFEST = KUBERNETES / "prometheus-rule.yaml"
_HEAD = "# Made from ../prometheus/*.rules.yml by `make manifests`; change those.\n"


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # a package without types
    """Long text as blocks, so that expressions stay readable."""


def _text(dumper: yaml.SafeDumper, value: str) -> Any:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def render() -> str:
    """The manifest, of all groups of all files of rules in order of their names."""
    groups = [group for path in sorted(RULES.glob("*.rules.yml")) for group in read_yaml(path)["groups"]]
    manifest = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "driftline"},
        "spec": {"groups": groups},
    }
    written: str = yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return _HEAD + written


if __name__ == "__main__":
    MANIFEST.write_text(render())
