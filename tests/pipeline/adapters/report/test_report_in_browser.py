"""The report as people use it: in a browser, from a file."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.report import write_report
from tests.browser import Browser
from tests.pipeline.adapters.report.samples import START_US, STEP_US, Fault, SampleLane, fleet, iso, write_replay

pytestmark = pytest.mark.browser

Opened = Callable[..., Browser]

_LANES = (
    SampleLane("calm"),
    SampleLane("pump", faults=[Fault(300, 310, 9, "low"), Fault(700, 730, 20, "critical", "level_shift")]),
    SampleLane("valve", faults=[Fault(500, 500, -10, "medium")], silent=(800, 860)),
)
_PIXELS = """(() => {
  const canvas = document.querySelector("SELECTOR"), style = getComputedStyle(document.documentElement);
  const wanted = style.getPropertyValue("--COLOUR").trim().match(/[0-9a-f]{2}/g).map((part) => parseInt(part, 16));
  const [top, height] = [FROM * canvas.height, (TO - FROM) * canvas.height].map(Math.round);
  const { data } = canvas.getContext("2d").getImageData(0, top, canvas.width, height);
  let found = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] > 250 && wanted.every((part, at) => Math.abs(data[i + at] - part) < 3)) found++;
  }
  return found;
})()"""


@pytest.fixture
def opened(chrome: Browser, tmp_path: Path) -> Iterator[Opened]:
    """Opens the report on a replay of some lanes, and at the end looks whether anything went wrong."""

    def open_report(lanes: Sequence[SampleLane] = _LANES, summary: Any = None, **window: Any) -> Browser:
        chrome.open(write_report(write_replay(tmp_path, lanes, summary)), **window)
        if lanes:
            chrome.wait_for("document.querySelector('#plot-range').textContent !== ''")
        return chrome

    chrome.errors.clear()
    chrome.requests.clear()
    yield open_report
    assert chrome.errors == []
    assert {address for address in chrome.requests if not address.startswith("file:")} <= {"about:blank"}


def _text(page: Browser, selector: str) -> str:
    return str(page.run(f"document.querySelector({selector!r}).textContent"))


def _texts(page: Browser, selector: str) -> list[str]:
    return list(page.run(f"[...document.querySelectorAll({selector!r})].map((found) => found.textContent)"))


def _pixels(colour: str, top: float = 0, bottom: float = 1) -> str:
    """An expression for how many pixels of the plot, between two parts of its height, have a colour of the theme."""
    changes = {"SELECTOR": "#plot", "COLOUR": colour, "FROM": str(top), "TO": str(bottom)}
    expression = _PIXELS
    for old, new in changes.items():
        expression = expression.replace(old, new)
    return expression


def _clock(index: float) -> str:
    return iso(index)[:16].replace("T", " ")


def _lane_names(page: Browser) -> list[str]:
    return _texts(page, "#lane-list .name")


def test_the_worst_lane_is_open_and_drawn(opened: Opened) -> None:
    """Its title, line, markers and episodes are there without a click, and the lanes stand worst first."""
    page = opened()
    assert _lane_names(page) == ["pump · value", "valve · value", "calm · value"]
    assert _text(page, "#lane-title") == "pump · value critical"
    page.wait_for(f"{_pixels('observed')} > 500")
    assert page.run(_pixels("critical")) > 50
    assert _texts(page, "#episodes tbody td:nth-child(3)") == ["point", "level shift"]
    assert page.requests[-1].endswith("report.html")


def test_an_extreme_is_seen_however_many_points_share_its_pixel(opened: Opened) -> None:
    """The line reaches down to a single low value among thousands, and nothing else is down there."""
    page = opened([SampleLane("pump", points=20_000, faults=[Fault(10_000, 10_000, -60)])])
    page.wait_for(f"{_pixels('observed')} > 500")
    assert 60 < page.run(_pixels("observed", 0.4, 0.6)) < 600


def test_a_click_on_an_episode_zooms_to_it(opened: Opened) -> None:
    """The range shown is that of the episode and some context, and its row is marked."""
    page = opened()
    assert _text(page, "#plot-range").startswith(f"{_clock(0)} to {_clock(999)}")
    page.click("#episodes tbody tr:nth-child(2) button")
    assert _text(page, "#plot-range").startswith(f"{_clock(640)} to {_clock(791)}")
    assert page.run("document.querySelector('#episodes tr.chosen').rowIndex") == 2
    page.click("#zoom-reset")
    assert _text(page, "#plot-range").startswith(f"{_clock(0)} to {_clock(999)}")


def test_a_chosen_episode_says_why(opened: Opened) -> None:
    """The sentence, the forecasts that spoke, and each stream in words with rank, bar and value in its unit."""
    page = opened()
    assert page.run("document.querySelector('#why').hidden")
    page.click("#episodes tbody tr:nth-child(1) button")
    assert _text(page, "#why-title").startswith(f"Why: point, {_clock(300)} low")
    assert _text(page, "#why-reason") == "Point at 300."
    assert _texts(page, "#why-horizons .spoke") == ["32 steps before: yes", "96 steps before: yes"]
    assert _texts(page, "#why-horizons .silent") == ["1 step before: no", "8 steps before: no"]
    assert _texts(page, "#why-streams tbody th") == [
        "Difference from the forecast made 32 steps before",
        "Lasting difference from the forecast made 96 steps before",
    ]
    assert _texts(page, "#why-streams tbody td") == [
        "3.1", "2nd highest remembered in 3,870 points", "9",
        "1.55", "at best 2nd highest remembered in 3,870 points", "2.5 scales",
    ]  # fmt: skip
    bars = page.run("[...document.querySelectorAll('.bar-fill')].map((bar) => bar.getBoundingClientRect().width)")
    assert bars[0] == 2 * bars[1] > 20
    assert page.run("document.querySelector('#why-reason').getAttribute('aria-live')") == "polite"


def test_of_all_fields_together_the_shares_are_told(opened: Opened) -> None:
    """The lane has a name in words, and an episode of it shows the sentence and the fields, not what nobody knows."""
    page = opened(
        [
            SampleLane("pump", "*", faults=[Fault(300, 310)]),
            SampleLane("pump", "flow", faults=[Fault(500, 505, severity="low")]),
        ]
    )
    assert _lane_names(page)[0] == "pump · all fields together"
    assert "pump · all fields together" in _text(page, ".headline")
    page.click("#episodes tbody tr:nth-child(1) button")
    assert _text(page, "#why-reason") == "Point at 300."
    assert page.run("document.querySelector('#why-streams').hidden && document.querySelector('#why-horizons').hidden")
    assert _texts(page, "#why-fields tbody th") == ["flow", "power"]
    assert _texts(page, "#why-fields tbody td") == ["80 %", "20 %"]
    bars = page.run("[...document.querySelectorAll('#why-fields .bar-fill')].map((bar) => bar.style.width)")
    assert bars == ["100%", "25%"]
    page.click("[role=option]:nth-child(2)")
    page.wait_for(f"document.querySelector('#episodes tbody').textContent.includes('{_clock(500)}')")
    page.click("#episodes tbody tr:nth-child(1) button")
    page.wait_for("document.querySelector('#why-fields').hidden && !document.querySelector('#why-streams').hidden")


def test_why_follows_the_keys_and_goes_with_the_lane(opened: Opened) -> None:
    """Stepping by keys tells the next episode; a silence tells no streams; another lane, unchosen, tells nothing."""
    page = opened()
    page.run("document.querySelector('#plot').focus()")
    page.press("n")
    page.press("n")
    assert _text(page, "#why-reason") == "Over. Level_shift at 700."
    page.click("[role=option]:nth-child(2)")
    page.wait_for("document.querySelector('#why').hidden")
    page.wait_for("document.querySelector('#episodes tbody').textContent.includes('silence')")
    page.click("#episodes tbody tr:nth-child(2) button")
    assert _text(page, "#why-reason") == "No value."
    assert page.run("document.querySelector('#why-streams').hidden && document.querySelector('#why-horizons').hidden")


def test_the_table_tells_the_sentence_of_each_episode(opened: Opened) -> None:
    """Beside the share of the fields."""
    page = opened()
    assert _texts(page, "#episodes tbody .told") == ["Point at 300.", "Over. Level_shift at 700."]
    assert "80 %" in _texts(page, "#episodes tbody td:last-child")[0]


def test_keys_step_through_episodes_and_zoom(opened: Opened) -> None:
    """The plot is usable without a mouse."""
    page = opened()
    page.run("document.querySelector('#plot').focus()")
    page.press("n")
    assert f"{_clock(240)} to" in _text(page, "#plot-range")
    page.press("n")
    assert f"{_clock(640)} to" in _text(page, "#plot-range")
    page.press("+")
    page.press("ArrowRight")
    assert "6 h 17 min" in _text(page, "#plot-range")
    page.press("0")
    assert f"{_clock(0)} to {_clock(999)}" in _text(page, "#plot-range")


def test_a_drag_zooms_to_what_it_spans(opened: Opened) -> None:
    """From where the mouse is pressed to where it is let go."""
    page = opened()
    left, top, width, _ = page.box("#plot")
    quarter = (width - 68) / 4
    page.drag((left + 58 + quarter, top + 100), (left + 58 + 2 * quarter, top + 150))
    assert _text(page, "#plot-range").endswith("20 h 48 min")
    assert _text(page, "#plot-range").startswith("2014-02-01 20:48 to")


def test_the_tip_tells_what_the_data_say(opened: Opened, tmp_path: Path) -> None:
    """Numbers survive the way into the page: the point under the mouse is the point in the file."""
    page = opened()
    page.click("#episodes tbody tr:nth-child(2) button")
    left, top, width, _ = page.box("#plot")
    page.move(left + 58 + (width - 68) * (715 - 640) / (791 - 640), top + 100)
    page.wait_for("!document.querySelector('#hover').hidden")
    import pyarrow.parquet as pq

    rows = pq.read_table(tmp_path / "verdicts.parquet", columns=["key", "time", "value", "expected"]).to_pylist()
    (row,) = [row for row in rows if row["key"] == "pump" and row["time"].timestamp() * 1e6 == START_US + 715 * STEP_US]
    shown = _texts(page, "#hover dd")
    assert _text(page, "#hover b") == _clock(715)
    assert float(shown[0]) == pytest.approx(row["value"], abs=0.01)
    assert float(shown[1]) == pytest.approx(row["expected"], abs=0.05)


def test_search_and_order_of_the_lanes(opened: Opened) -> None:
    """Typing narrows the list, in any order of words; the order can be chosen; nothing found is said."""
    page = opened()
    page.run("document.querySelector('#search').focus()")
    page.type("value pu")
    assert _lane_names(page) == ["pump · value"]
    assert _text(page, "#lanes-count") == "1 of 3"
    page.type("x")
    assert _lane_names(page) == []
    assert page.run("!document.querySelector('#lanes-none').hidden")
    page.run("Object.assign(document.querySelector('#search'), {value: ''}).dispatchEvent(new Event('input'))")
    page.run("Object.assign(document.querySelector('#sort'), {value: 'name'}).dispatchEvent(new Event('change'))")
    assert _lane_names(page) == ["calm · value", "pump · value", "valve · value"]


def test_lanes_are_chosen_by_mouse_and_by_keys(opened: Opened) -> None:
    """A click or an arrow key opens a lane; a quiet one says that it is."""
    page = opened()
    page.click("[role=option]:nth-child(3)")
    page.wait_for("document.querySelector('#lane-title').textContent === 'calm · value'")
    page.wait_for("!document.querySelector('#episodes-none').hidden")
    assert "behaved as it always has" in _text(page, "#episodes-none")
    page.run("document.querySelector('#lane-list').focus()")
    page.press("ArrowUp")
    page.wait_for("document.querySelector('#lane-title').textContent.startsWith('valve')")
    page.wait_for("document.querySelector('#episodes tbody').textContent.includes('silence')")
    assert _texts(page, "#episodes tbody td:nth-child(3)") == ["point", "silence"]
    assert page.run("document.querySelector('[aria-selected=true]').id") == "lane-1"


def test_worst_episodes_and_the_time_line_lead_to_their_lane(opened: Opened) -> None:
    """A click on either opens the lane and zooms to the episode."""
    page = opened()
    assert _texts(page, "#worst .name") == ["pump · value", "valve · value", "valve · value", "pump · value"]
    page.click("#worst li:nth-child(2) button")
    page.wait_for("document.querySelector('#lane-title').textContent.startsWith('valve')")
    page.wait_for("document.querySelector('tr.chosen') !== null")
    left, top, width, _ = page.box("#timeline")
    at = (left + 170 + (width - 174) * 0.715, top + 26 + 13)
    page.drag(at, at)
    page.wait_for("document.querySelector('#lane-title').textContent.startsWith('pump')")
    page.wait_for(f"document.querySelector('#plot-range').textContent.startsWith('{_clock(640)}')")


def test_the_last_choice_wins_while_points_are_unpacked(opened: Opened) -> None:
    """A lane that is ready late does not replace one that was chosen after it."""
    page = opened([*_LANES, SampleLane("long", points=20_000, faults=[Fault(500, 510, 9, "low")])])
    assert _lane_names(page)[2] == "long · value"
    page.run(
        "for (const row of [3, 1]) document.querySelector(`[role=option]:nth-child(${row})`).click();"
        "new Promise((wake) => setTimeout(wake, 500))"
    )
    assert _text(page, "#lane-title").startswith("pump")
    assert _text(page, "#plot-range").startswith(f"{_clock(0)} to {_clock(999)}")


def test_what_is_suppressed_is_quiet_and_says_by_what(opened: Opened) -> None:
    """It stands behind what is not, in grey, and its note is told; what is not suppressed is as ever."""
    said = {"id": "4be0", "kind": "maintenance", "note": "new <b>bearing"}
    lanes = [
        SampleLane("pump", faults=[Fault(300, 310, 40.0, "critical", suppressed=said)]),
        SampleLane("valve", faults=[Fault(600, 610, 9.0, "low")]),
    ]
    page = opened(lanes)
    assert "Suppressed by feedback: 1." in _text(page, "body")
    assert "Worst: point in valve" in _text(page, "body")
    assert _text(page, ".tile") == "Episodes2 1 low, 1 suppressed"
    assert _texts(page, "#worst .badge") == ["low", "critical"]
    assert "suppressed by maintenance" in _texts(page, "#worst li")[1]
    page.wait_for("document.querySelectorAll('#episodes tbody tr').length === 1")
    assert _text(page, "#lane-title").startswith("pump")
    assert _texts(page, "#episodes tbody .badge.quiet") == ["critical", "suppressed"]
    assert "Suppressed by maintenance: new <b>bearing." in _text(page, "#episodes tbody tr")
    page.run("document.querySelector('#worst li button').click()")
    page.wait_for("document.getElementById('lane-title').textContent.startsWith('valve')")
    page.wait_for("document.querySelectorAll('#episodes tbody .badge.low:not(.quiet)').length === 1")
    assert page.errors == []


def test_hostile_names_do_nothing(opened: Opened) -> None:
    """They are shown as they are, and none of them runs or loads anything."""
    name = "</script><img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"
    page = opened([SampleLane(name, name, faults=[Fault(300, 310)]), SampleLane("x")], {"source": name})
    assert _text(page, "#lane-title").startswith(f"{name} · {name}")
    assert _lane_names(page)[0] == f"{name} · {name}"
    assert page.run("document.querySelectorAll('img').length") == 0
    assert page.run("document.title") != "pwned"


def test_labelled_windows_are_drawn(opened: Opened) -> None:
    """And the legend names them."""
    page = opened([SampleLane("pump", faults=[Fault(300, 310)])], {"labels": {"pump": [[iso(250), iso(400)]]}})
    page.wait_for(f"{_pixels('label')} > 50")
    assert "labelled" in _texts(page, "#legend span")


@pytest.mark.parametrize(
    ("lanes", "says"),
    [
        ([], "No point reached"),
        ([SampleLane("a")], "All quiet in 1 lane."),
        ([SampleLane("a", points=1)], "Still warming up"),
        ([SampleLane("a", points=30), SampleLane("b", points=2)], "Still warming up"),
    ],
)
def test_a_page_with_little_to_show(opened: Opened, lanes: list[SampleLane], says: str) -> None:
    """It says so, and shows no empty frames."""
    page = opened(lanes)
    assert says in _text(page, ".headline")
    assert page.run("document.querySelector('#overview').hidden")
    assert page.run("document.querySelector('#workspace').hidden") == (not lanes)
    if len(lanes) == 1:
        assert page.run("getComputedStyle(document.querySelector('#lanes')).display") == "none"


def test_dark_follows_the_system(opened: Opened) -> None:
    """Page and plot are dark where the system is."""
    page = opened(dark=True)
    assert page.run("getComputedStyle(document.documentElement).backgroundColor") == "rgb(16, 21, 27)"
    page.wait_for(f"{_pixels('observed')} > 500")


def test_on_a_phone_the_page_fits_and_the_list_is_a_sheet(opened: Opened) -> None:
    """Nothing overflows to the side, and a lane is chosen from a sheet that closes."""
    page = opened(width=390, height=844)
    assert page.run("document.documentElement.scrollWidth") == 390
    assert page.run("getComputedStyle(document.querySelector('#lanes')).display") == "none"
    page.click("#lanes-open")
    assert page.run("document.activeElement.id") == "search"
    page.click("[role=option]:nth-child(2)")
    page.wait_for("document.querySelector('#lane-title').textContent.startsWith('valve')")
    assert page.run("getComputedStyle(document.querySelector('#lanes')).display") == "none"


def test_a_fleet_opens_at_once_and_draws_what_is_seen(opened: Opened) -> None:
    """500 lanes are listed, and only those in sight are drawn."""
    page = opened(fleet(500, 400))
    assert page.run("document.querySelectorAll('[role=option]').length") == 500
    drawn = "[...document.querySelectorAll('#lane-list canvas')].filter((canvas) => canvas.width !== 300).length"
    page.wait_for(f"{drawn} > 3")
    assert page.run(drawn) < 60
