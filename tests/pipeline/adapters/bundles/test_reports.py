"""Reports that are kept with the bundles of a registry."""

from datetime import timedelta

import pytest

from pipeline.adapters.bundles.collection import Rule
from pipeline.adapters.bundles.history import Act
from pipeline.adapters.bundles.reading import RegistryView
from pipeline.adapters.bundles.registry import Registry
from pipeline.errors import RegistryError
from tests.pipeline.adapters.bundles.bench import act, fill

STRICT = Rule(ancestors=0, events=0, younger_than=timedelta(0))


def test_a_report_is_kept_with_its_bundle(url: str) -> None:
    """It is listed and read, leaves bundle and history as they are, and is never written over."""
    registry = Registry(url)
    first, second = fill(registry, 2)
    registry.attach_report(first, "20261126T052056Z-gate.json", b"{}")
    registry.attach_report(first, "20261125T052056Z-gate.json", b"[]")
    view = RegistryView(url)
    assert view.reports(first) == ["20261125T052056Z-gate.json", "20261126T052056Z-gate.json"]
    assert view.report(first, "20261126T052056Z-gate.json") == b"{}"
    assert view.reports(second) == []
    assert len(view.history()) == 2
    assert view.verify() == {first: None, second: None}
    with pytest.raises(RegistryError, match=r"found a report 20261126T052056Z-gate\.json of"):
        registry.attach_report(first, "20261126T052056Z-gate.json", b"other")
    assert view.report(first, "20261126T052056Z-gate.json") == b"{}"
    with pytest.raises(RegistryError, match=r"found no report other\.json"):
        view.report(first, "other.json")


def test_only_bundles_that_are_there_have_reports(url: str) -> None:
    """And only names of files lead to one."""
    registry = Registry(url)
    (first,) = fill(registry, 1)
    with pytest.raises(RegistryError, match="found no bundle 0123456789abcdef"):
        registry.attach_report("0123456789abcdef" * 4, "gate.json", b"{}")
    for name in ("../gate.json", "a/b", "", ".hidden"):
        with pytest.raises(ValueError, match="of a report"):
            registry.attach_report(first, name, b"{}")


def test_reports_go_with_their_bundle(url: str) -> None:
    """A collection removes them; those of a bundle that is gone otherwise go once they are a day old."""
    registry = Registry(url)
    first, second = fill(registry, 2)
    for name in (first, second):
        registry.attach_report(name, "gate.json", b"{}")
    registry.promote(second, act(50))
    registry._blobs.put("reports/stray/gate.json", b"{}")
    now = registry._blobs.newest("reports/stray")
    assert now is not None
    assert registry.collect(STRICT, Act("ann", now + timedelta(hours=1))).going == (first,)
    assert registry._blobs.names("reports") == sorted([second, "stray"])
    assert registry.collect(STRICT, Act("ann", now + timedelta(days=2))).strays == ("reports/stray",)
    assert registry._blobs.names("reports") == [second]
