"""Tests whose capability is missing are skipped, never silently where it is required."""

from pathlib import Path

import pytest

from tests.capabilities import LACKING, find_chromium, required

pytest_plugins = ["pytester"]

MODULE = """
import pytest

@pytest.mark.browser
def test_page():
    pass
"""


@pytest.fixture
def no_browser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without Chromium."""
    monkeypatch.setenv("DRIFTLINE_CHROMIUM", f"{tmp_path}/chromium")


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """One browser test beside the hooks of this test suite."""
    monkeypatch.delenv("DRIFTLINE_REQUIRE", raising=False)
    pytester.makeconftest("from tests.conftest import pytest_runtest_setup")
    pytester.makeini("[pytest]\nmarkers = browser: as in pyproject.toml")
    pytester.makepyfile(MODULE)
    return pytester


@pytest.mark.usefixtures("no_browser")
def test_missing_capability_skips(suite: pytest.Pytester) -> None:
    """Without a browser its tests are skipped with a reason."""
    result = suite.runpytest("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*found no Chromium; expected one on PATH*"])


@pytest.mark.usefixtures("no_browser")
def test_missing_required_capability_fails(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the browser is required its absence fails."""
    monkeypatch.setenv("DRIFTLINE_REQUIRE", "browser")
    result = suite.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*found no Chromium; expected one on PATH*"])


def test_present_capability_runs(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a browser its tests run."""
    monkeypatch.setenv("DRIFTLINE_CHROMIUM", "sh")
    suite.runpytest().assert_outcomes(passed=1)


@pytest.mark.usefixtures("no_browser")
def test_named_browser_is_not_replaced_by_another() -> None:
    """A DRIFTLINE_CHROMIUM that does not exist is not answered with whatever else is installed."""
    assert find_chromium() is None


def test_unknown_requirement_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt DRIFTLINE_REQUIRE requires nothing, so it is an error."""
    monkeypatch.setenv("DRIFTLINE_REQUIRE", "browser, chromuim")
    with pytest.raises(ValueError, match="found chromuim; expected names out of alertmanager, browser"):
        required()


def test_an_alertmanager_that_does_not_start_is_lacking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """That it is there is not enough; what it says of itself is the reason."""
    for name in ("prometheus-alertmanager", "amtool"):
        (tmp_path / name).write_text("#!/bin/sh\necho no templates >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("DRIFTLINE_PROMETHEUS", str(tmp_path))
    assert LACKING["alertmanager"]().endswith("which does not start; it told: no templates")
