"""Dashboards, beside the code that makes them and the catalogue of metrics."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.dashboards.everything import FOLDER, dashboards
from deploy.dashboards.page import metrics_in
from pipeline.catalogue.everything import CATALOGUE
from tests.deploy.queries import DASHBOARDS, Query, metrics_of, of_dashboards, unknown

NOT_DRAWN = {
    "driftline_accounting_consumed_records_total": "what is made of it, the imbalance, is",
    "driftline_accounting_records_total": "as above",
    "driftline_last_record_timestamp_seconds": "an alert goes by it",
    "process_virtual_memory_bytes": "says nothing where memory is mapped",
    "process_start_time_seconds": "Grafana's own panels of processes draw it",
    "process_max_fds": "as above",
}
"""Metrics that no panel shows, with the reason."""


def _load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def _panels(path: Path) -> list[dict[str, Any]]:
    return [panel for panel in _load(path)["panels"] if panel["type"] != "row"]


def test_the_dashboards_are_what_the_code_makes() -> None:
    """`make dashboards` would change nothing, and no file is left that nothing makes."""
    assert {path.name: path.read_text() for path in FOLDER.glob("*.json")} == dashboards()


@pytest.mark.parametrize("query", [*of_dashboards()], ids=lambda query: query.where)
def test_panels_name_what_there_is(query: Query) -> None:
    """A metric, a label or a value that the code renames is told here, before a panel is empty."""
    assert unknown(query.expr) == []


def test_a_query_of_an_unknown_metric_cannot_be_made() -> None:
    """The generator itself refuses it."""
    with pytest.raises(ValueError, match=r"found driftline_made_up in .*; expected a metric of the catalogue"):
        metrics_in("rate(driftline_made_up[5m])")


def test_every_metric_is_drawn_somewhere() -> None:
    """What is counted is shown, but for a list with reasons."""
    drawn = {name for query in of_dashboards() for name in metrics_of(query.expr)}
    assert CATALOGUE.keys() - drawn == NOT_DRAWN.keys()


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_can_be_imported_as_it_is(path: Path) -> None:
    """Nothing names a data source but by the variable, and there is no input to fill in."""
    page = _load(path)
    assert "__inputs" not in page
    assert page["uid"] == path.stem
    assert [one["name"] for one in page["templating"]["list"]] == ["datasource", "job", "topic"]
    text = path.read_text()
    assert text.count('"uid": "${datasource}"') == text.count('"type": "prometheus"')
    assert any("driftline_anomalies_total" in one["expr"] for one in page["annotations"]["list"])


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_says_what_to_make_of_it(path: Path) -> None:
    """A description with the meaning of each metric, a unit, thresholds, and ids and titles of its own."""
    panels = _panels(path)
    for panel in panels:
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["unit"], panel["title"]
        assert defaults["thresholds"]["steps"], panel["title"]
        told = panel["description"]
        assert told.splitlines()[0].endswith("."), panel["title"]
        for name in {name for target in panel["targets"] for name in metrics_of(target["expr"])}:
            assert f"`{name}`: {CATALOGUE[name].meaning}" in told, panel["title"]
    everything = _load(path)["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    assert len({panel["title"] for panel in panels}) == len(panels)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_do_not_lie_upon_one_another(path: Path) -> None:
    """Every cell of the grid belongs to one panel at most, and all are within its 24 columns."""
    cells: set[tuple[int, int]] = set()
    for panel in _load(path)["panels"]:
        at = panel["gridPos"]
        mine = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & mine, panel["title"]
        assert at["x"] + at["w"] <= 24
        cells |= mine
