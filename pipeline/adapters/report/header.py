"""The head of the page: what `summary.json` says, as HTML. Whatever is absent from the summary is not shown.

This is the one place that knows the summary's names; each is a path such as "evaluation.nab.standard".
"""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from pipeline.wording import brief, duration, whole

Summary = Mapping[str, Any]


def find(summary: Summary, path: str) -> Any:
    """The entry at a dotted path, or None."""
    entry: Any = summary
    for name in path.split("."):
        entry = entry.get(name) if isinstance(entry, Mapping) else None
    return entry


def brief_risk(risk: float | None, risk_per_day: float | None) -> str:
    """A risk in the way in which it was given: '1.1' is per 1,000 points."""
    return f"{brief(risk_per_day)} per stream and day" if risk is None and risk_per_day else brief(risk or 0.0)


_TILES: tuple[tuple[str, str, Callable[[Any], str], str], ...] = (
    ("Records", "records.consumed", whole, ""),
    ("Speed", "points_per_s", whole, "points/s"),
    ("Precision", "evaluation.precision", brief, ""),
    ("Recall", "evaluation.recall", brief, ""),
    ("Detection delay", "evaluation.detection_delay_s.median", duration, "median"),
    ("VUS-PR", "evaluation.vus_pr", brief, ""),
    ("NAB", "evaluation.nab.standard", brief, "standard"),
)
_FACTS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("Source", "source", str),
    ("Run time", "run_time_s", duration),
    ("Risk", "risk", lambda risk: f"{brief(risk)} expected false alarms per 1,000 points"),
    ("Risk", "risk_per_day", lambda risk: f"{brief(risk)} expected false alarms per lane and day"),
    ("False alarms", "evaluation.false_alarms_per_lane_day", lambda rate: f"{brief(rate)} per lane and day"),
    ("Threshold", "threshold", brief),
    ("F1", "evaluation.f1", brief),
    ("Mean detection delay", "evaluation.detection_delay_s.mean", duration),
    ("NAB, few false alarms", "evaluation.nab.reward_low_FP_rate", brief),
    ("NAB, few misses", "evaluation.nab.reward_low_FN_rate", brief),
    ("Detector", "detector.kind", str),
    ("Profile", "profile", str),
    ("Bundle", "bundle", str),
    ("Config hash", "config_hash", str),
)
_FATES = ("scored", "warming", "late", "duplicate", "dead_lettered")


def tiles(summary: Summary) -> str:
    """The headline numbers."""
    return "".join(
        tile(name, show(entry), note) for name, path, show, note in _TILES if (entry := find(summary, path)) is not None
    )


def tile(name: str, value: str, note: str) -> str:
    """One headline number."""
    return (
        f'<div class="tile"><dt>{escape(name)}</dt><dd><strong>{escape(value)}</strong> '
        f"<small>{escape(note)}</small></dd></div>"
    )


def facts(summary: Summary) -> str:
    """How the replay was run and, with labels, the finer measures."""
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(show(entry))}</dd></div>"
        for name, path, show in _FACTS
        if (entry := find(summary, path)) is not None
    )


def notices(summary: Summary) -> str:
    """What the user should know about the run: that it was cut short, and what trouble it met."""
    items = [f"<li>{escape(str(notice))}</li>" for notice in find(summary, "notices") or ()]
    if find(summary, "completed") is False:
        items.insert(0, '<li class="cut-short">The replay was stopped before its end; this is what it saw.</li>')
    return f'<ul class="notices">{"".join(items)}</ul>' if items else ""


def accounting(summary: Summary) -> str:
    """What became of the records consumed, as a sum."""
    consumed = find(summary, "records.consumed")
    if consumed is None:
        return ""
    parts = [(name.replace("_", "-"), find(summary, f"records.{name}") or 0) for name in _FATES]
    cells = "".join(
        f'<td class="{"none" if count == 0 else ""}"><b>{whole(count)}</b> {escape(name)}</td>' for name, count in parts
    )
    return f'<table class="sum"><tr><th scope="row"><b>{whole(consumed)}</b> records consumed</th>{cells}</tr></table>'
