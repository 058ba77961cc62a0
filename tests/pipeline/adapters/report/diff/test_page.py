"""The page of a comparison, as a reader has it: in a browser, from a file."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.adapters.report.diff import compare, open_run, write_diff
from pipeline.adapters.report.diff.page import render_diff
from tests.browser import Browser
from tests.pipeline.adapters.report.samples import Fault, SampleLane, fleet, write_replay

_A = [
    SampleLane("<b>calm</b>"),
    SampleLane("pump", faults=[Fault(300, 310, 9, "low"), Fault(700, 730, 20, "critical", "level_shift")]),
    SampleLane("valve", faults=[Fault(500, 500, -10, "medium")], silent=(800, 860)),
]
_B = [_A[0], SampleLane("pump", faults=[Fault(300, 310, 9, "low")]), SampleLane("valve"), SampleLane("new")]
Opened = Callable[..., Browser]


def _write(folder: Path, a: list[SampleLane], b: list[SampleLane]) -> Path:
    runs = (
        open_run(write_replay(folder / name, lanes, {"bundle": name, "risk": 0.7, "config_hash": name}))
        for name, lanes in (("a", a), ("b", b))
    )
    path = folder / "diff.html"
    write_diff(compare(*runs), path)
    return path


@pytest.fixture
def opened(chrome: Browser, tmp_path: Path) -> Iterator[Opened]:
    """Opens the page of two runs, and at the end looks whether anything went wrong or was fetched."""

    def open_page(a: list[SampleLane] = _A, b: list[SampleLane] = _B, **window: int | bool) -> Browser:
        chrome.open(_write(tmp_path, a, b), **window)  # type: ignore[arg-type]
        return chrome

    chrome.errors.clear()
    chrome.requests.clear()
    yield open_page
    assert chrome.errors == []
    assert {address for address in chrome.requests if not address.startswith("file:")} <= {"about:blank"}


def _texts(page: Browser, selector: str) -> list[str]:
    return list(page.run(f"[...document.querySelectorAll({selector!r})].map((found) => found.textContent)"))


@pytest.mark.browser
def test_it_says_what_differs(opened: Opened) -> None:
    """Verdict, settings, alarms of one run alone, and a row and a drawing for each stream."""
    page = opened()
    assert _texts(page, "#verdict") == ["Different"]
    (told,) = _texts(page, ".headline")
    assert told.startswith("DifferentAnother configuration and another bundle; 3 alarms only in A, 0 only in B;")
    assert {"config_hash", "bundle"} <= set(_texts(page, "#settings td:nth-child(2)"))
    assert set(_texts(page, "#alarms .in")) == {"only A"}
    assert _texts(page, "#lanes td:first-child")[0] == "valve · value"
    assert len(_texts(page, "details.stream")) == 4
    assert page.run("document.querySelectorAll('#stream-0 .mark.a').length") >= 2
    assert page.run("document.querySelectorAll('#stream-0 .mark.b').length") == 0


@pytest.mark.browser
def test_names_of_streams_are_text(opened: Opened) -> None:
    """What looks like markup in a key is shown, not obeyed."""
    page = opened()
    assert page.run("document.querySelectorAll('main b').length") == 0
    assert any("<b>calm</b>" in one for one in _texts(page, "#lanes td:first-child"))


@pytest.mark.browser
def test_a_stream_is_opened_by_the_keyboard(opened: Opened) -> None:
    """A link of the table leads to the drawing, and Enter opens and closes it."""
    page = opened(fleet(24, 700), fleet(24, 900))
    assert page.run("document.querySelector('#stream-5').open") is False
    page.run("document.querySelector('#stream-5 summary').focus()")
    page.run("document.activeElement.click()")
    page.wait_for("document.querySelector('#stream-5').open")
    page.run("document.querySelector(\"#lanes a[href='#stream-1']\").focus()")
    assert page.run("document.activeElement.getAttribute('href')") == "#stream-1"
    assert page.run("document.querySelector('#stream-1') !== null")
    unreachable = page.run(
        "[...document.querySelectorAll('.scrolling')].filter((one) => one.scrollHeight > one.clientHeight + 1"
        " && one.tabIndex < 0).length"
    )
    assert unreachable == 0


@pytest.mark.browser
@pytest.mark.parametrize("window", [{"width": 390, "height": 844}, {"width": 1280, "height": 800, "dark": True}])
def test_it_fits_its_window(opened: Opened, window: dict[str, int | bool]) -> None:
    """On a phone and in the dark: nothing sticks out to the side, words stay whole, and drawings can be read."""
    page = opened(**window)
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    narrowest = "Math.min(...[...document.querySelectorAll('#settings td:nth-child(2)')].map((one) => one.clientWidth))"
    assert page.run(narrowest) > 60
    lowest = "Math.min(...[...document.querySelectorAll('svg text')].map((one) => one.getBoundingClientRect().height))"
    assert page.run(f"document.querySelectorAll('details').forEach((one) => (one.open = true)), {lowest}") > 8
    assert page.run(
        "[...document.querySelectorAll('#streams details[open] svg')].every((one) => one.clientWidth > 300)"
    )


def test_equal_runs_make_a_page_that_says_so(tmp_path: Path) -> None:
    """With the same figures on both sides, and no alarm that differs."""
    run = open_run(write_replay(tmp_path / "a", _A))
    page = render_diff(compare(run, open_run(tmp_path / "a")))
    assert re.search(r'id="verdict">Equal<', page)
    assert "No alarm differs." in page
    assert "No score differs." in page


def test_alarms_of_both_are_told_apart_and_shown_closely(tmp_path: Path) -> None:
    """A points down from the top, B up from the bottom; what one run has alone is drawn closely, too."""
    page = _write(
        tmp_path, [SampleLane("pump", faults=[Fault(300, 310)])], [SampleLane("pump", faults=[Fault(700, 710)])]
    )
    found = re.findall(r'class="mark ([ab])" d="M[\d.]+ ([\d.]+)h10L[\d.]+ ([\d.]+)Z"', page.read_text())
    places = {side: (float(edge), float(tip)) for side, edge, tip in found}
    assert places["a"][0] < places["a"][1] < places["b"][1] < places["b"][0]
    assert page.read_text().count("<h3>Around ") == 1
    assert [side for side, _, _ in found] in (["a", "b", "a"], ["a", "b", "b"])


def test_it_allows_nothing_but_its_own_style(tmp_path: Path) -> None:
    """The policy names no script, no image and no origin, and there is no style beside that of the head."""
    page = _write(tmp_path, _A, _B).read_text()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert re.fullmatch(r"default-src 'none'; style-src 'sha256-[\w+/=]+'", policy)
    assert "<script" not in page
    assert " style=" not in page
    assert not re.search(r'(?:src|href)="(?!#)', page)


def test_runs_without_points_or_alarms_make_a_page(tmp_path: Path) -> None:
    """Nothing to compare is no trouble."""
    page = _write(tmp_path, [], []).read_text()
    assert "Different" in page  # the bundles are
