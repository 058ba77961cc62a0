"""The live page in a browser: what it shows and goes on showing, by keyboard, on a phone, in the dark, to axe-core."""

import json
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.adapters.live.merged import MergedView
from pipeline.adapters.live.source import Wanted
from pipeline.records import Suppression
from tests.browser import Browser, browser
from tests.capabilities import find_chromium
from tests.fakes import make_batch
from tests.pipeline.adapters.live.samples import Told, fleet_batches, looping, served

pytestmark = pytest.mark.browser


class Run(Told):
    """A fleet with faults of which the last batches are still to come."""

    def __init__(self) -> None:
        super().__init__()
        *first, self.next = fleet_batches(16, size=800)
        for batch in first:
            self.process(batch)
            self.commit()
            self.round()
        self.health.set_unready("")


@pytest.fixture(scope="module")
def told() -> Iterator[Run]:
    """A view whose loop goes round."""
    made = Run()
    with looping(made):
        yield made


@pytest.fixture(scope="module")
def url(told: Run) -> Iterator[str]:
    """Address of the page."""
    with served(told.view, told) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser for all tests."""
    chromium = find_chromium()
    assert chromium is not None
    with browser(chromium, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def _open(page: Browser, url: str, **how: Any) -> None:
    page.open_url(url, **how)
    page.wait_for("document.querySelectorAll('#events li').length > 3")
    page.wait_for("!document.getElementById('lane').hidden && !document.getElementById('why').hidden")


def _text(page: Browser, selector: str) -> str:
    return str(page.run(f"document.querySelector({json.dumps(selector)}).textContent"))


def test_it_shows_how_things_are(told: Run, page: Browser, url: str) -> None:
    """State, figures, phases, anomalies with their reason, a plot, keys, networks and partitions, without an error."""
    _open(page, url)
    now = told.view.overview()
    assert _text(page, "#state") == "Ready"
    tiles = _text(page, "#tiles")
    assert f"{sum(now.records.values()):,}" in tiles
    assert f"{now.keys}" in tiles
    assert "16 provisional" in _text(page, "#phase-names")
    (newest,) = told.view.anomalies(Wanted(limit=1)).anomalies
    assert newest.reason in _text(page, "#events li")
    assert newest.key in _text(page, "#lane-title")
    assert newest.reason[1:] in _text(page, "#why-reason")
    assert "metrics/0" in _text(page, "#partitions tbody")
    assert "promoted" in _text(page, "#models tbody")
    assert "0.9214" in _text(page, "#trainings tbody tr:nth-child(2)")
    assert "5 min 12 s" in _text(page, "#trainings tbody tr:nth-child(2)")
    assert "driftline models runs" in _text(page, "#trainings tbody tr:nth-child(1)")
    assert "median of residuals from 0.61 to 0.94" in _text(page, "#waiting")
    assert page.run("document.querySelectorAll('#keys li').length") == 16
    assert _drawn(page, "plot") > 500
    assert _drawn(page, "pace") > 100
    assert page.errors == []
    assert all(one.startswith((url, "data:")) for one in page.requests)


def _drawn(page: Browser, canvas: str) -> int:
    """Pixels that are not see-through."""
    return int(
        page.run(
            f"(() => {{ const c = document.getElementById('{canvas}');"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; })()"
        )
    )


_LOOKS = """
(() => {
  performance.setResourceTimingBufferSize(10000);
  window.looks = () => performance.getEntriesByType("resource").filter(({ name }) => name.includes("overview"));
  const list = document.getElementById("events");
  new MutationObserver(() => {
    if (list.querySelector("li").textContent.includes(%s)) window.shown ??= looks().length;
  }).observe(list, { childList: true, subtree: true });
})()
"""
"""Counts how often the page has asked how things are, by when what it is to wait for is on top of its list."""


def test_an_anomaly_appears_by_itself(told: Run, page: Browser, url: str) -> None:
    """By the second look behind its commit, of one a second, it is on top of the list; what was focused stays so."""
    _open(page, url)
    page.run("document.querySelector('#events li:nth-child(2) button').focus()")
    focused = _text(page, "#events li:nth-child(2)")[:20]
    outcome = told.process(told.next)
    assert outcome.anomalies
    identifier = outcome.anomalies[-1]
    page.run(_LOOKS % json.dumps(identifier.reason))
    page.wait_for("looks().length > 2")
    assert identifier.reason not in _text(page, "#events li")
    starts = page.run("looks().map(({startTime}) => startTime)")
    assert min(np.diff(starts)) < 1100
    told.commit()
    before = page.run("looks().length")
    page.wait_for("window.shown")
    assert page.run("window.shown") - before <= 2
    assert page.run("document.activeElement.closest('#events') !== null")
    assert str(page.run("document.activeElement.textContent"))[:8] == focused[:8]


def test_what_is_suppressed_is_quiet_on_the_page(page: Browser) -> None:
    """It says by what; what is shown at first, and announced, is something else; axe-core finds no fault."""
    told = Told()
    first = Suppression("4be0", "maintenance", "new <i>bearing")
    for batch in fleet_batches(16, size=800):
        told.process(batch, suppressed=first)
        told.commit()
        told.round()
    with served(told.view, told) as port:
        page.open_url(f"http://127.0.0.1:{port}/")
        page.wait_for("document.querySelectorAll('#events li').length > 3")
        page.wait_for("!document.getElementById('why').hidden")
        assert "suppressed by maintenance: new <i>bearing; " in _text(page, "#events")
        quiet = page.run("document.querySelectorAll('#events .badge.quiet[title]').length")
        assert 0 < quiet < page.run("document.querySelectorAll('#events li').length")
        assert "uppressed" not in _text(page, "#why")
        assert page.run("document.querySelector('#events [aria-pressed=true] .quiet') === null")
        script = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
        page.run(f"{script}; undefined")
        assert page.run("axe.run('#events').then(({violations}) => violations.map(({id}) => id))") == []
        page.run("document.querySelector('#events .badge.quiet[title]').closest('button').click()")
        page.wait_for(
            "document.getElementById('why-reason').textContent.startsWith('Suppressed by maintenance: new <i>')"
        )


def test_a_key_is_found_by_keyboard(page: Browser, url: str) -> None:
    """The slash goes to the search, what is typed is looked for, and Enter shows the first key that is found."""
    _open(page, url)
    page.press("/")
    assert page.run("document.activeElement.id") == "search"
    page.type("FAN-00")
    page.wait_for("[...document.querySelectorAll('#keys button')].every((one) => one.textContent.startsWith('fan-00'))")
    assert "match" in _text(page, "#keys-count")
    page.press("Enter")
    page.wait_for("document.getElementById('lane-title').textContent.startsWith('fan-00')")
    page.wait_for("document.getElementById('lane-facts').textContent.includes('provisional')")
    before = _text(page, "#plot-range")
    page.run("document.getElementById('plot').focus()")
    page.press("+")
    page.wait_for(f"document.getElementById('plot-range').textContent !== {json.dumps(before)}")
    time.sleep(2.5)  # it goes on, and what was zoomed to stays
    assert _text(page, "#plot-range") != before


def test_the_list_is_filtered_and_paused(page: Browser, url: str) -> None:
    """By severity at once; paused, nothing is asked for."""
    _open(page, url)
    page.run(
        "(() => { const s = document.getElementById('severity');"
        "s.value = 'high'; s.dispatchEvent(new Event('change')); })()"
    )
    page.wait_for(
        "[...document.querySelectorAll('#events .badge')]"
        ".every((one) => ['high', 'critical'].includes(one.textContent))"
    )
    page.click("#pause")
    assert page.run("document.getElementById('pause').getAttribute('aria-pressed')") == "true"
    _wait_until_silent(page)
    page.click("#pause")
    page.wait_for("document.getElementById('pause').getAttribute('aria-pressed') === 'false'")


def _wait_until_silent(page: Browser) -> None:
    """Until nothing has been asked for in the time of three looks."""
    deadline = time.monotonic() + 120
    since, asked = time.monotonic(), -1
    while time.monotonic() - since < 3.5:
        assert time.monotonic() < deadline, page.requests[-5:]
        page.run("0")  # what the browser tells comes with an answer
        if len(page.requests) != asked:
            since, asked = time.monotonic(), len(page.requests)
        time.sleep(0.1)


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (1440, True), (390, False)])
def test_axe_finds_no_fault(page: Browser, url: str, width: int, dark: bool) -> None:
    """Light, dark and on a phone; on the latter nothing is wider than the window either."""
    _open(page, url, width=width, height=844, dark=dark)
    script = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
    page.run(f"{script}; undefined")
    passes, found = page.run(
        "axe.run().then(({passes, violations}) =>"
        "[passes.length, violations.map(({impact, id, nodes}) => [impact, id, nodes.map(({html}) => html)])])"
    )
    assert passes > 20
    assert found == []
    assert page.run("document.documentElement.scrollWidth <= innerWidth")


_ROUND = """
(async () => {
  const times = [];
  for (let i = 0; i < 15; i++) {
    const began = performance.now();
    for (const path of ["overview", "anomalies?limit=100", "keys?limit=60", "keys?query=lane-0999&limit=60", "models"])
      await (await fetch(`api/v1/${path}`)).json();
    times.push(performance.now() - began);
  }
  return Math.min(...times);
})()
"""
"""Least time in milliseconds in which all is answered that the page asks for."""


def test_ten_thousand_lanes_do_not_slow_it(told: Run, page: Browser, url: str) -> None:
    """A round of questions takes as long, and the page has no more to show, however many lanes there are."""
    _open(page, url)
    before = page.run(_ROUND)
    many = [f"lane-{number:05}" for number in range(10_000)]
    told.process(make_batch(many, np.full(len(many), 1_768_000_000_000_000), np.zeros(len(many))))
    told.commit()
    _open(page, url)
    page.wait_for("document.getElementById('tiles').textContent.includes('10,016')")
    assert page.run("document.querySelectorAll('*').length") < 3000
    page.press("/")
    page.type("lane-0999")
    page.wait_for("document.getElementById('keys-count').textContent.startsWith('10 matches')")
    behind = page.run(_ROUND)
    print(f"a round of questions takes {before:.1f} ms with 16 lanes, {behind:.1f} with 10,016")
    assert behind < 2 * before + 100


def test_while_no_worker_answers_it_can_be_read_in_the_dark(told: Run, page: Browser) -> None:
    """There are no figures yet, as when workers start; that is written in a colour that stands out."""
    with served(MergedView(lambda _: [(0, (0, "worker 0 is not up"))]), told) as port:
        page.open_url(f"http://127.0.0.1:{port}/", dark=True)
        page.wait_for("document.getElementById('reason').textContent === 'No worker answers'")
        brightest = page.run(
            "(() => { const c = document.getElementById('pace');"
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "let n = 0; for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200) n = Math.max(n, d[i]); return n; })()"
        )
    assert brightest > 120


def test_without_an_answer_it_says_so(told: Run, tmp_path: Path, chromium: str) -> None:
    """When the service is gone the page does not go on as if all were well."""
    with browser(chromium, tmp_path) as page:
        with served(told.view, told) as port:
            _open(page, f"http://127.0.0.1:{port}/")
        page.wait_for("document.getElementById('state').textContent === 'No answer'")
        assert _text(page, "#reason").startswith("All below is as it was at 2026-09-21 ")
