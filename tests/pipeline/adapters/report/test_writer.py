import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pipeline.adapters.report import write_report
from pipeline.adapters.report.limits import Limits
from pipeline.errors import InputError
from tests.pipeline.adapters.report.samples import Fault, SampleLane, fleet, iso, write_replay

_VOID = {"meta", "input", "br", "link"}


@dataclass
class _Page(HTMLParser):
    """What a parser makes of a page: elements that stay open, addresses, and the text of each script by id."""

    open_tags: list[str] = field(default_factory=list)
    unbalanced: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    handlers: list[str] = field(default_factory=list)
    scripts: dict[str, str] = field(default_factory=dict)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._script: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.addresses += [given[name] or "" for name in ("src", "href", "action", "data") if name in given]
        self.handlers += [name for name in given if name.startswith("on")]
        if tag not in _VOID:
            self.open_tags.append(tag)
        if tag == "script":
            self._script = given.get("id") or "code"
            self.scripts[self._script] = ""

    def handle_endtag(self, tag: str) -> None:
        if self.open_tags and self.open_tags[-1] == tag:
            self.open_tags.pop()
        else:
            self.unbalanced.append(tag)
        self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts[self._script] += data
        elif self.open_tags and self.open_tags[-1] != "style":
            self.text += data


def _parsed(path: Path) -> tuple[_Page, dict[str, Any]]:
    page = _Page()
    page.feed(path.read_text("utf-8"))
    page.close()
    return page, json.loads(page.scripts["data"])


def test_the_page_is_well_formed_and_asks_for_nothing(tmp_path: Path) -> None:
    """Every element is closed, and the page names no address but a place in itself."""
    path = write_report(write_replay(tmp_path, [SampleLane("a", faults=[Fault(300, 310)])]))
    page, _ = _parsed(path)
    assert path == tmp_path / "report.html"
    assert page.unbalanced == page.open_tags == []
    assert page.addresses == ["#plot"]
    for scheme in ("http:", "https:", "url(", "@import"):
        assert scheme not in path.read_text("utf-8")


def test_lanes_come_worst_first(tmp_path: Path) -> None:
    """By severity, then by score, then by flagged points; quiet lanes by how near they came."""
    lanes = [
        SampleLane("quiet"),
        SampleLane("low", faults=[Fault(300, 303, 30, "low")]),
        SampleLane("critical", faults=[Fault(300, 301, 9, "critical")]),
        SampleLane("high", faults=[Fault(300, 301, 12, "high")]),
        SampleLane("higher", faults=[Fault(300, 301, 40, "high")]),
    ]
    _, data = _parsed(write_report(write_replay(tmp_path, lanes)))
    assert [lane["key"] for lane in data["lanes"]] == ["critical", "higher", "high", "low", "quiet"]
    assert [lane["severity"] for lane in data["lanes"]] == [4, 3, 3, 1, 0]


def test_every_lane_has_its_points_episodes_and_labels(tmp_path: Path) -> None:
    """Points are found by the lane's place in the list, labels by its key."""
    lanes = [SampleLane("a", points=500), SampleLane("b", points=400, faults=[Fault(200, 210), Fault(300, 300)])]
    labels = {"b": [[iso(190), iso(220)]], "unheard of": [[iso(0), iso(1)]]}
    page, data = _parsed(write_report(write_replay(tmp_path, lanes, {"labels": labels})))
    worst, quiet = data["lanes"]
    assert (worst["key"], worst["points"], worst["flagged"], len(worst["episodes"])) == ("b", 400, 12, 2)
    assert (worst["pack"]["count"], quiet["pack"]["count"]) == (400, 500)
    assert worst["labels"][0][1] - worst["labels"][0][0] == 30 * 300_000
    assert quiet["labels"] == []
    assert page.scripts["points-0"]
    assert page.scripts["points-1"]


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "</script><img src=x onerror=alert(1)>",
        "</script x",
        "<!-- <script ",
        "a\u2028b",
        "$title ${x}",
        "\"'&amp;",
    ],
)
def test_names_are_harmless_wherever_they_appear(tmp_path: Path, name: str) -> None:
    """A name from the data neither ends a script nor starts an element, and reads as it was given."""
    lanes = [SampleLane(name, name, faults=[Fault(300, 303)]), SampleLane("plain")]
    page, data = _parsed(write_report(write_replay(tmp_path, lanes, {"source": name, "bundle": name})))
    assert page.unbalanced == page.open_tags == page.handlers == []
    assert "img" not in page.tags
    assert not set("<>&") & set(page.scripts["data"])
    assert page.tags.count("script") == 2 + len(lanes)
    assert (data["lanes"][0]["key"], data["lanes"][0]["field"]) == (name, name)
    assert f"{name} · {name}" in page.text


_WORST_OF_TWO = [SampleLane("a"), SampleLane("b", faults=[Fault(288, 400, kind="level_shift")])]


@pytest.mark.parametrize(
    ("lanes", "headline"),
    [
        ([], "No point reached the detector"),
        ([SampleLane("a", points=30)], "Still warming up: no point of 1 lane could be scored yet."),
        ([SampleLane("a")], "All quiet in 1 lane."),
        ([SampleLane("a"), SampleLane("b", points=1)], "All quiet in 2 lanes."),
        ([SampleLane("a", faults=[Fault(288, 290)])], "1 episode in 1 lane. Worst: point (high), 2014-02-02 00:00."),
        (_WORST_OF_TWO, "1 episode in 1 of 2 lanes. Worst: level shift in b · value (high), 2014-02-02 00:00."),
    ],
)
def test_the_headline_says_what_happened(tmp_path: Path, lanes: list[SampleLane], headline: str) -> None:
    """One sentence, also when there is little to say."""
    page, _ = _parsed(write_report(write_replay(tmp_path, lanes)))
    assert headline in page.text


def test_a_lane_that_fell_silent_before_its_first_point_is_listed(tmp_path: Path) -> None:
    """It has an episode and nothing to plot."""
    write_replay(tmp_path, [SampleLane("a"), SampleLane("gone", points=1)])
    event = {
        "event": "opened",
        "episode": "s",
        "kind": "silence",
        "key": "never",
        "field": "value",
        "severity": "medium",
    }
    (tmp_path / "anomalies.jsonl").write_text(json.dumps({**event, "time": iso(500)}))
    page, data = _parsed(write_report(tmp_path))
    assert (data["lanes"][0]["key"], data["lanes"][0]["pack"]) == ("never", None)
    assert page.scripts["points-0"] == ""


def test_a_fleet_stays_small(tmp_path: Path) -> None:
    """500 lanes of 1,000 points make a page that can be mailed."""
    path = write_report(write_replay(tmp_path, fleet(500, 1000)))
    assert path.stat().st_size < 9_000_000
    _, data = _parsed(path)
    assert sum(lane["pack"]["count"] for lane in data["lanes"]) == 500_000


def test_beyond_the_bounds_the_worst_are_shown_and_the_rest_counted(tmp_path: Path) -> None:
    """Lanes and episodes are capped, the worst kept, the totals told."""
    lanes = [SampleLane(f"k{n}", points=300, faults=[Fault(100, 100, 8 + n, "high")]) for n in range(6)]
    page, data = _parsed(write_report(write_replay(tmp_path, lanes), Limits(lanes=3, episodes=2)))
    assert [lane["key"] for lane in data["lanes"]] == ["k5", "k4", "k3"]
    assert [len(lane["episodes"]) for lane in data["lanes"]] == [1, 1, 0]
    assert data["omitted"] == 3
    assert "6 episodes in 6 of 6 lanes" in page.text
    assert "The worst 2 are shown." in page.text


def test_an_older_report_gives_way_only_to_a_whole_one(tmp_path: Path) -> None:
    """When the inputs cannot be read, what was there stays, and nothing half-written is left."""
    write_replay(tmp_path, [SampleLane("a")])
    path = write_report(tmp_path)
    before = path.read_bytes()
    (tmp_path / "anomalies.jsonl").write_text("{")
    with pytest.raises(InputError):
        write_report(tmp_path)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.partial"))


def test_a_report_that_cannot_be_put_in_place_leaves_nothing_behind(tmp_path: Path) -> None:
    """Not even its unfinished file."""
    write_replay(tmp_path, [SampleLane("a")])
    (tmp_path / "report.html").mkdir()
    with pytest.raises(OSError, match=r"report\.html"):
        write_report(tmp_path)
    assert not list(tmp_path.glob("*.partial"))


def test_the_same_replay_gives_the_same_bytes(tmp_path: Path) -> None:
    """No clock and no chance go into a report."""
    write_replay(tmp_path, fleet(9, 300))
    assert write_report(tmp_path).read_bytes() == write_report(tmp_path).read_bytes()


@pytest.mark.parametrize("text", ["{torn", "[]", '{"labels": {"a": [["yesterday", "today"]]}}'])
def test_a_damaged_summary_is_named(tmp_path: Path, text: str) -> None:
    """The error names the file."""
    write_replay(tmp_path, [SampleLane("a")])
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(InputError, match=r"summary\.json: found"):
        write_report(tmp_path)
