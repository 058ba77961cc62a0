"""The catalogue of metrics, beside what prometheus-client and docs/metrics.md make of it."""

import re

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from pipeline.catalogue.engine import RECORDS, SCORING_SECONDS
from pipeline.catalogue.everything import CATALOGUE, GROUPS
from pipeline.catalogue.metric import Label, Metric
from pipeline.catalogue.tables import PAGE, with_tables

_UNIT_WORDS = {"seconds": "seconds", "bytes": "bytes", "ratio": "ratio"}


def test_the_page_has_the_tables_of_the_catalogue() -> None:
    """docs/metrics.md is what `python -m pipeline.catalogue.tables` makes of it."""
    assert PAGE.read_text() == with_tables(PAGE.read_text())


def test_a_group_without_a_place_in_the_page_is_told() -> None:
    """Nobody can add a group and forget to document it."""
    page = PAGE.read_text()
    with pytest.raises(
        ValueError,
        match=r"found marks of \['engine', 'feedback', 'learning', 'process', 'service', 'trainer'\]; expected one",
    ):
        with_tables(page.replace("<!-- workers: generated -->", ""))


@pytest.mark.parametrize("metric", CATALOGUE.values(), ids=CATALOGUE)
def test_names_follow_the_conventions_of_prometheus(metric: Metric) -> None:
    """Base units, and last; no name tells its type; labels are words."""
    words = metric.stem.split("_")
    assert re.fullmatch(r"[a-z][a-z_]*[a-z]", metric.stem)
    assert not {"ms", "us", "milliseconds", "minutes", "hours", "days", "percent", "counter", "gauge"} & set(words)
    assert words[-1] not in {"count", "sum", "bucket", "total", "info"}
    assert "timestamp" not in words or words[-2:] == ["timestamp", "seconds"]
    if metric.unit in _UNIT_WORDS:
        assert words[-1] == _UNIT_WORDS[metric.unit] or metric.stem == "lanes"
    assert all(re.fullmatch(r"[a-z]+", name) for name in metric.label_names)
    assert len(set(metric.label_names)) == len(metric.labels)


def test_every_metric_is_in_the_catalogue_once() -> None:
    """Two groups cannot both claim a name."""
    assert sum(map(len, GROUPS.values())) == len(CATALOGUE)
    assert len({metric.family for metric in CATALOGUE.values()}) == len(CATALOGUE)


def test_an_instrument_of_another_kind_is_refused() -> None:
    """The kind is told in one place; who asks for another one is told."""
    with pytest.raises(ValueError, match="found a gauge asked for; expected the counter that the catalogue has"):
        RECORDS.gauge(CollectorRegistry())
    with pytest.raises(ValueError, match="expected the histogram"):
        SCORING_SECONDS.counter_family()


def test_an_entry_that_cannot_be_is_refused() -> None:
    """Labels without a bound, histograms without buckets, and texts that are no sentences."""
    with pytest.raises(ValueError, match="found neither values nor a bound"):
        Label("key")
    with pytest.raises(ValueError, match="of a histogram; expected a histogram's alone"):
        Metric("made_up", "histogram", "seconds", "Made up.", "Why?")
    with pytest.raises(ValueError, match="found 'Made up'; expected a sentence"):
        Metric("made_up", "gauge", "seconds", "Made up", "Why?")


def test_what_is_shown_of_the_process_is_what_the_library_shows() -> None:
    """prometheus-client's own names are in the catalogue, no fewer and no more."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    shown = set(re.findall(r"^(process_\w+) ", generate_latest(registry).decode(), re.MULTILINE))
    assert shown in (set(), {metric.name for metric in GROUPS["process"]})  # it looks at /proc, which not all have
