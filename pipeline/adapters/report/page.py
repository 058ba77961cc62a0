"""Puts the page together: the template, the style and the scripts of `assets`, the head, and the data of the lanes."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from importlib.resources import files
from pathlib import PurePath
from string import Template
from typing import Any

import msgspec

from pipeline.adapters.report import header
from pipeline.adapters.report.episodes import Episode
from pipeline.explanations import HORIZONS, horizon_of, name_streams, unit_of
from pipeline.records import JOINT, Severity
from pipeline.wording import counted, duration, whole

_SCRIPTS = (
    "format",
    "decode",
    "scale",
    "draw",
    "plot",
    "panels",
    "interact",
    "timeline",
    "lanes",
    "why",
    "detail",
    "app",
)
"""One after the other they make up one script, so each may use what those before it define."""
_POINTS_MARK = "<!-- points -->"


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane of the page.

    Attributes:
        warming: points that were not scored yet.
        severity: the highest of its flagged points and episodes.
        spark: see `encode.sparkline`; '' when the lane has no points.
        pack: see `encode.pack_lane`; None when the lane has no points.
    """

    key: str
    field: str
    points: int
    flagged: int
    warming: int
    severity: int
    peak_score: float | None
    episodes: list[Episode]
    labels: list[tuple[float, float]]
    spark: str = ""
    pack: Mapping[str, Any] | None = None

    @property
    def rank(self) -> tuple[int, float, int, str, str]:
        """Sorts the worst first."""
        return -self.severity, -(self.peak_score or 0.0), -self.flagged, self.key, self.field


@dataclass(frozen=True, slots=True)
class Page:
    """What the page shows.

    Attributes:
        lanes: worst first.
        lanes_in_all: as many as the replay had; `lanes` may be the worst of them.
        flagged: flagged points of all lanes.
        episodes: all episodes, also of lanes that are not shown.
        first_us, last_us: the range of event time.
    """

    summary: header.Summary
    lanes: list[Lane]
    lanes_in_all: int
    flagged: int
    episodes: list[Episode]
    first_us: int
    last_us: int


def render(page: Page, packed: Iterable[str]) -> Iterator[str]:
    """The page in pieces; `packed` are the points of its lanes, in the same order, '' where there are none."""
    assets = files("pipeline.adapters.report") / "assets"
    style = (assets / "report.css").read_text("utf-8")
    scripts = "\n".join((assets / f"{name}.js").read_text("utf-8") for name in _SCRIPTS)
    script = f'"use strict";\n(() => {{\n{scripts}}})();\n'
    head, tail = (assets / "report.html").read_text("utf-8").split(_POINTS_MARK)
    values = {
        "policy": f"default-src 'none'; style-src '{digest_of(style)}'; script-src '{digest_of(script)}'",
        "title": escape(_title(page)),
        "range": escape(_range(page)),
        "headline": escape(headline(page)),
        "tiles": _tiles(page),
        "accounting": header.accounting(page.summary),
        "notices": header.notices(page.summary),
        "facts": header.facts(page.summary),
        "style": style,
        "data": _json(page),
        "script": script,
    }
    yield Template(head).substitute(values)
    for number, text in enumerate(packed):
        yield f'<script type="text/plain" id="points-{number}">{text}</script>\n'
    yield Template(tail).substitute(values)


def headline(page: Page) -> str:
    """What happened, in a sentence or two."""
    lanes = counted(page.lanes_in_all, "lane")
    if not page.lanes:
        return "No point reached the detector, so there is nothing to show."
    if not page.episodes:
        warming = all(lane.warming == lane.points for lane in page.lanes)
        return f"Still warming up: no point of {lanes} could be scored yet." if warming else f"All quiet in {lanes}."
    touched = len({(episode.key, episode.field) for episode in page.episodes})
    worst = max((episode for lane in page.lanes for episode in lane.episodes), key=lambda episode: episode.rank)
    name = f"{worst.key} · {'all fields together' if worst.field == JOINT else worst.field}"
    where = f" in {name if len(name) <= 80 else name[:79] + '…'}" if page.lanes_in_all > 1 else ""
    spread = f"{touched:,} of {lanes}" if page.lanes_in_all > 1 else "1 lane"
    grade, kind = Severity(worst.severity).name.lower(), worst.kind.replace("_", " ")
    episodes = counted(len(page.episodes), "episode")
    shown = sum(len(lane.episodes) for lane in page.lanes)
    quiet = sum(episode.suppressed is not None for episode in page.episodes)
    suppressed = f" Suppressed by feedback: {quiet:,}." if quiet else ""
    cut = f" The worst {shown:,} are shown." if shown < len(page.episodes) else ""
    return f"{episodes} in {spread}. Worst: {kind}{where} ({grade}), {_minute(worst.opened_ms)}.{suppressed}{cut}"


def _title(page: Page) -> str:
    """The file or folder that was replayed; a pattern as it was given."""
    source = str(header.find(page.summary, "source") or "Replay")
    return source if set(source) & set("*?[") else PurePath(source).name or source


def _tiles(page: Page) -> str:
    told = [episode for episode in page.episodes if episode.suppressed is None]
    grades = [Severity(episode.severity).name.lower() for episode in told]
    order = [severity.name.lower() for severity in reversed(Severity)]
    counts = [f"{whole(grades.count(name))} {name}" for name in order if name in grades]
    if quiet := len(page.episodes) - len(told):
        counts.append(f"{whole(quiet)} suppressed")
    episodes = ", ".join(counts)
    return (
        header.tile("Episodes", whole(len(page.episodes)), episodes)
        + header.tile("Flagged points", whole(page.flagged), "")
        + header.tiles(page.summary)
    )


def _range(page: Page) -> str:
    if not page.lanes:
        return ""
    span = f"{_minute(page.first_us / 1000)} to {_minute(page.last_us / 1000)} UTC"
    length = duration((page.last_us - page.first_us) / 1e6)
    return f"{counted(page.lanes_in_all, 'lane')}, {span}, {length}"


def _minute(time_ms: float) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms):%Y-%m-%d %H:%M}"


def _json(page: Page) -> str:
    """The lanes as JSON in which no character can end the script element that holds it."""
    told = {stream.name for lane in page.lanes for episode in lane.episodes for stream in episode.streams}
    data = {
        "from": page.first_us / 1000,
        "to": page.last_us / 1000,
        "omitted": page.lanes_in_all - len(page.lanes),
        "streams": {name: [name_streams(name), horizon_of(name), unit_of(name)] for name in sorted(told)},
        "horizons": HORIZONS if any(horizon_of(name) for name in told) else [],
        "lanes": [msgspec.to_builtins(asdict(lane)) for lane in page.lanes],
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def digest_of(text: str) -> str:
    """What a policy of the page names a style or script by."""
    return "sha256-" + b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
