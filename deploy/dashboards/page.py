"""A dashboard as plain values, and what Grafana imports of it.

What a panel shows is told by the catalogue of metrics: its description ends with the meaning of each metric that its
queries name. A query that names none that there is cannot be made.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common, dashboard

from pipeline.catalogue.everything import CATALOGUE
from pipeline.catalogue.metric import Metric

_NAME = re.compile(r"\b(?:driftline|process)_\w+")
_SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")
_WIDTH, _HEIGHT = 8, 8
_NUMBER_WIDTH, _NUMBER_HEIGHT = 4, 4
Unit = Literal["short", "s", "bytes", "percentunit", "cps", "ops", "dateTimeFromNow", "none"]


@dataclass(frozen=True, slots=True)
class Query:
    """A query of Prometheus, and how each of its series is called: a template of labels."""

    expr: str
    legend: str = "{{job}}"


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel.

    Attributes:
        says: what to make of it.
        orange, red: values from which it is worth a look, and is bad; None for none.
        is_number: whether only the newest value is shown, in large.
        is_stacked: whether series lie upon one another.
        has_exemplars: whether the ids of anomalies are shown as points.
    """

    title: str
    says: str
    unit: Unit
    queries: tuple[Query, ...]
    orange: float | None = None
    red: float | None = None
    is_number: bool = False
    is_stacked: bool = False
    has_exemplars: bool = False
    width: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """A dashboard: rows of panels."""

    uid: str
    title: str
    says: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]


def number(title: str, says: str, unit: Unit, expr: str, legend: str = "{{job}}", **given: float | None) -> Panel:
    """A panel of the newest value."""
    return Panel(title, says, unit, (Query(expr, legend),), given.get("orange"), given.get("red"), is_number=True)


def metrics_in(expr: str) -> list[Metric]:
    """The metrics that a query names, in order.

    Raises:
        ValueError: it names one that is not in the catalogue.
    """
    by_series = {series: metric for metric in CATALOGUE.values() for series in metric.series}
    found: dict[str, Metric] = {}
    for name in _NAME.findall(re.sub(r'"[^"]*"', "", expr)):
        if name not in by_series:
            raise ValueError(f"found {name} in {expr!r}; expected a metric of the catalogue")
        found.setdefault(by_series[name].name, by_series[name])
    return list(found.values())


def to_json(page: Page) -> str:
    """What Grafana imports."""
    made = (
        builders.Dashboard(page.title)
        .uid(page.uid)
        .description(page.says)
        .tags(["driftline"])
        .editable()
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .link(
            builders.DashboardLink("Driftline")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags(["driftline"])
            .include_vars(include_vars=True)
            .keep_time(keep_time=True)
        )
    )
    for variable in _variables():
        made.with_variable(variable)
    for annotation in _annotations():
        made.annotation(annotation)
    numbers = count(1)
    for title, panels in page.rows:
        made.with_row(builders.Row(title).id(next(numbers)))
        for panel in panels:
            made.with_panel(_panel(panel).id(next(numbers)))
    return json.dumps(made.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _panel(panel: Panel) -> stat.Panel | timeseries.Panel:
    made: stat.Panel | timeseries.Panel
    if panel.is_number:
        made = (
            stat.Panel()
            .color_mode(common.BigValueColorMode.VALUE)
            .graph_mode(common.BigValueGraphMode.AREA)
            .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
            .span(panel.width or _NUMBER_WIDTH)
            .height(_NUMBER_HEIGHT)
        )
    else:
        made = (
            timeseries.Panel()
            .fill_opacity(10)
            .legend(
                common_builders.VizLegendOptions()
                .show_legend(show_legend=True)
                .display_mode(common.LegendDisplayMode.LIST)
                .placement(common.LegendPlacement.BOTTOM)
            )
            .tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
            .span(panel.width or _WIDTH)
            .height(_HEIGHT)
        )
        if panel.is_stacked:
            made.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
        if panel.orange is not None or panel.red is not None:
            made.thresholds_style(
                common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
            )
    made.title(panel.title).description(_description(panel)).datasource(_SOURCE).unit(panel.unit)
    made.thresholds(_thresholds(panel))
    for at, query in enumerate(panel.queries):
        target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(chr(ord("A") + at))
        made.with_target(target.range().exemplar(panel.has_exemplars))
    return made


def _description(panel: Panel) -> str:
    named = {metric.name: metric for query in panel.queries for metric in metrics_in(query.expr)}
    told = [f"- `{metric.name}`: {metric.meaning} *{metric.question}*" for metric in named.values()]
    return "\n".join([panel.says, *([""] if told else []), *told])


def _thresholds(panel: Panel) -> builders.ThresholdsConfig:
    steps = [dashboard.Threshold(value=None, color="green")]
    for value, color in ((panel.orange, "orange"), (panel.red, "red")):
        if value is not None:
            steps.append(dashboard.Threshold(value=value, color=color))
    return builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


def _variables() -> Iterator[builders.DatasourceVariable | builders.QueryVariable]:
    everything = dashboard.VariableOption(selected=True, text="All", value="$__all")
    yield builders.DatasourceVariable("datasource").label("Data source").type("prometheus")
    for name, label, query in (
        ("job", "Job", "label_values(driftline_build_info, job)"),
        ("topic", "Topic", 'label_values(driftline_lag_records{job=~"$job"}, topic)'),
    ):
        yield (
            builders.QueryVariable(name)
            .label(label)
            .datasource(_SOURCE)
            .query(query)
            .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
            .multi(multi=True)
            .include_all(include_all=True)
            .all_value(".*")
            .current(everything)
        )


def _annotations() -> Iterator[builders.AnnotationQuery]:
    for name, color, expr in (
        (
            "High and critical anomalies",
            "red",
            'sum by (job, severity) (increase(driftline_anomalies_total{job=~"$job", severity=~"high|critical"}[2m])) > 0',
        ),
        (
            "Swaps of the bundle",
            "blue",
            'sum by (job) (increase(driftline_swaps_total{job=~"$job"}[2m])) > 0',
        ),
        ("Alerts", "purple", 'ALERTS{alertname=~"Driftline.*", alertstate="firing", job=~"$job|"}'),
    ):
        metrics_in(expr)
        yield builders.AnnotationQuery().name(name).datasource(_SOURCE).enable(enable=True).icon_color(color).expr(expr)
