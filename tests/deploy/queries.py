"""The queries of dashboards and rules, and what of the catalogue they name."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pipeline.catalogue.everything import CATALOGUE
from pipeline.catalogue.metric import Metric

ROOT = Path(__file__).parents[2]
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
RUNBOOKS = ROOT / "docs" / "runbooks"
RULES = ROOT / "deploy" / "prometheus" / "driftline.rules.yml"
OF_TARGETS = frozenset({"job", "instance", "worker"})
"""Labels that Prometheus and the supervisor add to every series."""
OF_PROMETHEUS = {"up": OF_TARGETS, "ALERTS": OF_TARGETS | {"alertname", "alertstate"}}
_SERIES: Mapping[str, Metric] = {series: metric for metric in CATALOGUE.values() for series in metric.series}
_SELECTOR = re.compile(r"\b((?:\w+:)?driftline_[\w:]+|process_\w+|up|ALERTS)\b(?!\s*\()(\{[^}]*\})?")
_BLOCK = re.compile(r"^```promql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")


class Query(NamedTuple):
    """A query, and where it stands."""

    where: str
    expr: str


class Selector(NamedTuple):
    """A part of a query that names series.

    Attributes:
        matchers: label to the values that it is compared with, a variable left out.
    """

    name: str
    text: str
    matchers: dict[str, list[str]]


def rules() -> list[dict[str, Any]]:
    """Recording and alert rules."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    """Alert rules by their names."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def of_rules() -> Iterator[Query]:
    """Queries of rules."""
    for rule in rules():
        yield Query(rule.get("record") or rule["alert"], rule["expr"])


def of_dashboards() -> Iterator[Query]:
    """Queries of panels, annotations and variables; the last two are the same in all dashboards."""
    for path in DASHBOARDS:
        page = json.loads(path.read_text())
        for panel in page["panels"]:
            for target in panel.get("targets", ()):
                yield Query(f"{page['uid']}: {panel['title']}", target["expr"])
        for annotation in page["annotations"]["list"]:
            yield Query(f"annotation: {annotation['name']}", annotation["expr"])
        for variable in page["templating"]["list"]:
            if found := re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]):
                yield Query(f"variable: {variable['name']}", f"count by ({found[2]}) ({found[1]})")


def of_runbooks() -> Iterator[Query]:
    """Queries that are told to who has been called, one a line."""
    for path in sorted(RUNBOOKS.glob("*.md")):
        for block in _BLOCK.findall(path.read_text()):
            yield from (Query(path.stem, line) for line in block.splitlines())


def selectors(expr: str) -> list[Selector]:
    """What a query names, `by (...)` and the like left out."""
    return [
        Selector(
            match[1],
            match[0],
            {
                label: [value for value in values.split("|") if value and not value.startswith(("$", "."))]
                for label, values in _MATCHER.findall(match[2] or "")
            },
        )
        for match in _SELECTOR.finditer(_GROUPING.sub(" ", expr))
    ]


def unknown(expr: str) -> list[str]:
    """What a query names that there is not: metrics, labels of metrics, values of labels."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    found, labels = [], set(OF_TARGETS)
    for one in selectors(expr):
        metric = _SERIES.get(one.name)
        if one.name in recorded:
            known = set(one.name.partition(":")[0].split("_"))
        elif one.name in OF_PROMETHEUS:
            known = set(OF_PROMETHEUS[one.name])
        elif metric is not None:
            known = set(OF_TARGETS | set(metric.label_names)) | ({"le"} if one.name.endswith("_bucket") else set())
        else:
            found.append(f"metric {one.name}")
            continue
        found += [f"label {label} of {one.name}" for label in one.matchers if label not in known]
        labels |= known
        listed = {} if metric is None else {label.name: label.values for label in metric.labels if label.values}
        found += [
            f"value {value} of {label} of {one.name}"
            for label, values in one.matchers.items()
            for value in values
            if label in listed and value not in listed[label]
        ]
    grouped = {label.strip() for names in _GROUPING.findall(expr) for label in names.split(",")} - {""}
    return found + [f"label {label}" for label in sorted(grouped - labels)]


def metrics_of(expr: str) -> set[str]:
    """Names of the metrics of the catalogue that a query names."""
    return {_SERIES[one.name].name for one in selectors(expr) if one.name in _SERIES}
