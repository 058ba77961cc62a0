"""The comparison of two runs as a page that opens offline: HTML and SVG, without script."""

from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

from pipeline.adapters.report.diff.comparing import Comparison
from pipeline.adapters.report.diff.sections import SIDES, show_alarms, show_lanes, show_scores, show_settings
from pipeline.adapters.report.diff.streams import show_streams
from pipeline.adapters.report.diff.words import number_or_dash
from pipeline.adapters.report.header import tile
from pipeline.adapters.report.page import digest_of
from pipeline.wording import counted, whole


def write_diff(comparison: Comparison, path: Path) -> None:
    """Writes the page; it appears whole or not at all.

    Raises:
        OSError: it cannot be written.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_text(render_diff(comparison), encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def render_diff(comparison: Comparison) -> str:
    """The page."""
    assets = files("pipeline.adapters.report") / "assets"
    style = "".join((assets / f"{name}.css").read_text("utf-8") for name in ("report", "gate", "diff"))
    told = comparison.told
    page = {
        "policy": f"default-src 'none'; style-src '{digest_of(style)}'",
        "style": style,
        "title": escape(f"{_name(told['a']['path'])} against {_name(told['b']['path'])}"),
        "range": escape(str(told["a"]["source"] or "")),
        "state": "equal" if comparison.is_equal else "different",
        "verdict": "Equal" if comparison.is_equal else "Different",
        "told": escape(headline(told)),
        "tiles": _tiles(told),
        "legend": "".join(
            f'<span class="key {side}">{side.upper()}: {escape(told[side]["path"])}</span>' for side in SIDES
        ),
        "sections": "\n".join(_sections(comparison)),
    }
    return Template((assets / "diff.html").read_text("utf-8")).substitute(page)


def headline(told: Mapping[str, Any]) -> str:
    """What differs, in a sentence."""
    if told["equal"]:
        return "Both runs say the same of every point."
    parts = []
    settings, alarms, verdicts = told["settings"], told["alarms"], told["verdicts"]
    named = [name for name in ("configuration", "bundle") if settings.get(name)]
    if named:
        parts.append(f"another {' and another '.join(named)}")
    if alarms and alarms["only_a"] + alarms["only_b"]:
        parts.append(f"{counted(alarms['only_a'], 'alarm')} only in A, {whole(alarms['only_b'])} only in B")
    if verdicts and (differing := verdicts["both"] - verdicts["identical"]):
        parts.append(f"{whole(differing)} of {counted(verdicts['both'], 'point')} judged differently")
    if verdicts and (alone := verdicts["only_a"] + verdicts["only_b"]):
        parts.append(f"{counted(alone, 'point')} in one run alone")
    text = "; ".join(parts) or "what was counted differs"
    return f"{text[0].upper()}{text[1:]}."


def _sections(comparison: Comparison) -> Iterator[str]:
    told = comparison.told
    yield from show_settings(told["settings"])
    if told["alarms"]:
        yield show_alarms(told["alarms"], comparison.alarms)
    if told["verdicts"] and comparison.agreement:
        yield show_scores(told["verdicts"], comparison.agreement)
    if comparison.plotted:
        yield show_streams(comparison)
    if told["lanes"]:
        yield show_lanes(told, {name for name, *_ in comparison.plotted})


def _tiles(told: Mapping[str, Any]) -> str:
    shown, alarms, verdicts = [], told["alarms"], told["verdicts"]
    if alarms:
        shown += [
            tile("Alarms in both", whole(alarms["both"]), f"{whole(alarms['both_the_same'])} the same"),
            tile("Only in A", whole(alarms["only_a"]), "alarms"),
            tile("Only in B", whole(alarms["only_b"]), "alarms"),
        ]
    if verdicts:
        shown += [
            tile("Points in both", whole(verdicts["both"]), f"{whole(verdicts['identical'])} identical"),
            tile("Scores agree", number_or_dash(verdicts["scores"]["correlation"], "{:.4f}"), "correlation"),
            tile("Closer forecast", _closer(verdicts["forecasts"]), "of the points"),
        ]
    return "".join(shown)


def _closer(forecasts: Mapping[str, Any]) -> str:
    both, closer = forecasts["both"], forecasts["closer"]
    return f"A {closer['a'] / both:.0%}, B {closer['b'] / both:.0%}" if both else "-"


def _name(path: str) -> str:
    given = Path(path)
    return given.name or str(given.resolve().name)
