"""The tables of docs/metrics.md.

`python -m pipeline.catalogue.tables` writes them anew between the marks of that page.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.catalogue.everything import GROUPS
from pipeline.catalogue.metric import Metric

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
_MARKED = re.compile(r"<!-- (\w+): generated -->\n.*?<!-- end -->\n", re.DOTALL)


def with_tables(page: str) -> str:
    """A page with the table of each group between its marks.

    Raises:
        ValueError: a group that has no marks, or marks of no group.
    """
    if (found := sorted(_MARKED.findall(page))) != sorted(GROUPS):
        raise ValueError(f"found marks of {found}; expected one pair for each of {sorted(GROUPS)}")
    return _MARKED.sub(lambda match: f"<!-- {match[1]}: generated -->\n{table(GROUPS[match[1]])}<!-- end -->\n", page)


def table(metrics: tuple[Metric, ...]) -> str:
    """Markdown: the metrics, and the values of their labels."""
    lines = [
        "| name | type | unit | labels | meaning | question |",
        "|---|---|---|---|---|---|",
        *map(_row, metrics),
    ]
    if labels := list(_labels(metrics)):
        lines += ["", "| label | values |", "|---|---|", *labels]
    return "\n".join(["", *lines, "", ""])


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{name}`" for name in metric.label_names)
    meaning = metric.meaning.removesuffix(".").replace("|", "\\|")
    return f"| `{metric.name}` | {metric.kind} | {metric.unit} | {labels} | {meaning} | {metric.question} |"


def _labels(metrics: tuple[Metric, ...]) -> Iterator[str]:
    values: dict[str, list[str]] = {}
    bounds: dict[str, str] = {}
    for label in (label for metric in metrics for label in metric.labels):
        known = values.setdefault(label.name, [])
        known += [f"`{value}`" for value in label.values if f"`{value}`" not in known]
        known += ["others once they occur"] if label.is_open else []
        if label.bound:
            bounds[label.name] = label.bound
    for name, known in values.items():
        told = ", ".join(known) if known else f"bounded by: {bounds[name]}"
        yield f"| `{name}` | {told} |"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
    sys.exit(0)
