"""The page of a gate."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.accounting import Counts
from pipeline.adapters.report import drawing
from pipeline.adapters.report.gate import render_gate
from pipeline.gate.decision import Rule
from pipeline.gate.describing import Subject, describe
from pipeline.gate.extent import Extent
from pipeline.gate.tally import Tally
from pipeline.gate.trial import Trial
from tests.browser import browser
from tests.pipeline.gate.test_decision import tally

ENDS = ("start", "end")
SIDES = ("champion", "challenger")


def report_of(made: Tally, rule: Rule | None = None) -> dict[str, Any]:
    """What a gate would say of a slice."""
    trial = Trial(made, 1_000, Counts(), (1.0, 2.0), (3_799, 3_799))
    subjects = (Subject("c" * 64, "champion", "driftline", None), Subject("d" * 64, "<b>mine</b>", "a & b", "c" * 64))
    risk = {"risk": 1.0, "risk_per_day": None}
    settings = {"driftline": "1", "config_hash": "ab", "profile": "balanced", "held_out": "20%", **risk}
    extent = Extent(20_000, 0, 10**9, np.arange(2))
    return describe(trial, rule or Rule(), subjects, extent, {"source": "history.csv"}, settings)


def test_the_decision_is_on_top() -> None:
    """Passed or refused, with what is not met, and every criterion by found and expected."""
    passed, refused = render_gate(report_of(tally())), render_gate(report_of(tally(), Rule(margin=0.1)))
    assert re.search(r'class="verdict passed" id="verdict">Passed</span>All 5 criteria are met\.', passed)
    assert re.search(r'class="verdict refused" id="verdict">Refused</span>Not met: better forecasts\.', refused)
    assert refused.count('<span class="missed">') == 1
    assert "<td>+0.0508 nats per point</td><td>at least 0.1</td>" in refused


def test_names_are_text() -> None:
    """Whatever a bundle, a file or a key is called, it is no markup."""

    def rename(made: Tally) -> None:
        made.lanes = {(f"<i>{key}", field): number for (key, field), number in made.lanes.items()}

    page = render_gate(report_of(tally(rename)))
    assert "<b>mine" not in page
    assert "<i>" not in page
    assert "&lt;i&gt;key-0 · value" in page
    assert "a &amp; b" in page


def test_a_slice_without_points_has_a_page() -> None:
    """It says so instead of drawing."""
    page = render_gate(report_of(Tally(0, 10**9)))
    assert page.count("No point had a forecast that could be judged.") == 2
    assert ">Refused</span>" in page


def test_lines_are_broken_where_nothing_is_known() -> None:
    """Two lines for the champion, a line and a dot for the challenger."""
    drawn = drawing.lines([[1.0, 2.0, None, 3.0, 2.0], [1.0, 2.0, None, 2.0, None]], SIDES, ENDS, "Loss")
    assert drawn.count('class="line champion"') == 2
    assert drawn.count('class="line challenger"') == drawn.count('class="dot challenger"') == 1


def test_bars_reach_as_high_as_their_count() -> None:
    """The highest is at the mark of its number, half of it half as high, and none where there is none."""
    drawn = drawing.paired_bars([[4, 0, 2], [0, 0, 0]], SIDES, ENDS, "Alarms")
    heights = [float(found) for found in re.findall(r'<rect class="bar champion"[^>]* height="([\d.]+)"', drawn)]
    assert heights == [186.0, 93.0]
    assert 'class="bar challenger"' not in drawn
    assert ">4</text>" in drawn


@pytest.mark.browser
def test_it_opens_in_a_browser(chromium: str, tmp_path: Path) -> None:
    """Without a script, a request or a complaint, and on a narrow screen nothing runs over the edge."""
    path = tmp_path / "gate.html"
    path.write_text(render_gate(report_of(tally())))
    with browser(chromium, tmp_path / "profile") as page:
        for width in (1440, 400):
            page.open(path, width=width)
            assert page.run("document.querySelector('#verdict').textContent") == "Passed"
            assert page.run("document.documentElement.scrollWidth") <= width
            assert page.run("document.querySelectorAll('svg').length") == 3
            assert page.run("getComputedStyle(document.querySelector('.line.challenger')).stroke") != "none"
        assert page.errors == []
        assert {address for address in page.requests if not address.startswith("file:")} <= {"about:blank"}
