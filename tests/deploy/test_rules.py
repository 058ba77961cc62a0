"""Recording and alert rules, beside the catalogue of metrics, their pages, and what promtool says of them."""

import re
import subprocess

import pytest
import yaml

from tests.deploy.queries import ROOT, RULES, RUNBOOKS, Query, alerts, of_rules, of_runbooks, rules, unknown

TESTS = sorted((RULES.parent / "tests").glob("*.yml"))


@pytest.mark.parametrize("query", [*of_rules(), *of_runbooks()], ids=lambda query: query.where)
def test_rules_and_pages_name_what_there_is(query: Query) -> None:
    """A metric, a label or a value that the code renames is told here, before an alert falls silent."""
    assert unknown(query.expr) == []


def test_pages_name_events_and_words_that_there_are() -> None:
    """What a page names of the log, of labels and of statuses stands in the code, and so does each metric in prose."""
    code = "\n".join(path.read_text() for path in (ROOT / "pipeline").rglob("*.py"))
    for page in RUNBOOKS.glob("*.md"):
        for word in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", page.read_text()):
            if word.startswith("driftline_"):  # a histogram goes by its name, too
                assert not unknown(word) or not unknown(f"{word}_bucket"), (page.name, word)
            else:
                assert f'"{word}"' in code, (page.name, word)


def test_names_that_there_are_not_are_found() -> None:
    """The check sees a wrong metric, label, value, grouping, histogram suffix and recorded series."""
    assert unknown("rate(driftline_record_total[5m])") == ["metric driftline_record_total"]
    assert unknown('driftline_lag_records{key="a"}') == ["label key of driftline_lag_records"]
    assert unknown('driftline_lanes{phase=~"live|old"}') == ["value old of phase of driftline_lanes"]
    assert unknown("sum by (topic) (driftline_lanes)") == ["label topic"]
    assert unknown("driftline_commit_seconds") == ["metric driftline_commit_seconds"]
    assert unknown("job:driftline_made_up:sum") == ["metric job:driftline_made_up:sum"]
    assert unknown('job:driftline_state_bytes:ratio{topic="x"}') == ["label topic of job:driftline_state_bytes:ratio"]
    assert unknown('sum by (le, job) (rate(driftline_commit_seconds_bucket{le="1.0"}[5m]))') == []


def test_every_alert_has_a_page_that_names_it() -> None:
    """runbook_url leads to a page of this repository about that alert; the index has all, and no page is left."""
    index = (RUNBOOKS / "README.md").read_text()
    pages = set()
    for name, rule in alerts().items():
        page = ROOT / rule["annotations"]["runbook_url"]
        assert f"Alert `{name}`." in page.read_text(), name
        assert f"| `{name}` | [" in index
        for heading in ("What it means", "What to look at", "What to do", "How you know it is over"):
            assert f"## {heading}\n" in page.read_text(), page
        pages.add(page)
    assert pages == set(RUNBOOKS.glob("*.md")) - {RUNBOOKS / "README.md"}
    assert {query.where for query in of_runbooks()} == {page.stem for page in pages}


def test_every_alert_says_how_bad_it_is_and_what_it_is() -> None:
    """Severity, a summary and a description, each with an end."""
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}, name
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}, name
        assert all(rule["annotations"][text].endswith(".") for text in ("summary", "description")), name


def test_every_alert_is_seen_to_fire_and_to_stay_silent() -> None:
    """The tests for promtool name each alert, and have a time at which nothing fires."""
    fired = set()
    silent = 0
    for path in TESTS:
        for case in yaml.safe_load(path.read_text())["tests"]:
            for one in case.get("promql_expr_test", ()):
                fired |= {
                    re.findall(r'"(\w+)"', sample["labels"])[0]
                    for sample in one["exp_samples"]
                    if "Driftline" in sample["labels"]
                }
                silent += not one["exp_samples"]
    assert fired == alerts().keys()
    assert silent > len(fired)


def test_recorded_series_are_named_by_what_they_are_grouped_by() -> None:
    """labels:metric:operation, as Prometheus' own rules are."""
    for rule in rules():
        if "record" in rule:
            labels, metric, operation = rule["record"].split(":")
            grouped = {one.strip() for names in re.findall(r"by \(([^)]*)\)", rule["expr"]) for one in names.split(",")}
            assert grouped - {"le"} == set(labels.split("_")), rule["record"]
            assert metric.startswith("driftline_")
            assert operation


@pytest.mark.prometheus
def test_promtool_accepts_the_rules(promtool: str) -> None:
    """`promtool check rules` finds nothing to say."""
    done = subprocess.run([promtool, "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules())} rules found" in done.stdout


@pytest.mark.prometheus
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_alerts_fire_when_they_should_and_only_then(promtool: str, path: object) -> None:
    """`promtool test rules`: what each alert fires at, and six hours of a healthy service in which none does."""
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
