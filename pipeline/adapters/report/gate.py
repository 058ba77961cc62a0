"""The report of a gate as a page that opens offline: the decision on top, criteria, figures, and drawings."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from pipeline.adapters.report import drawing
from pipeline.adapters.report.header import brief_risk, tile
from pipeline.adapters.report.page import digest_of
from pipeline.adapters.report.tables import table
from pipeline.wording import counted, duration, whole

_SIDES = ("champion", "challenger")
_FIGURES = (
    ("Loss, nats per point", "loss", "{:.4f}"),
    ("Mean residual, in normalised units", "residual", "{:.4f}"),
    ("Points in the 95 % band", "band_coverage", "{:.2%}"),
    ("Largest distance of the probabilities from uniform", "probability_distance", "{:.4f}"),
    ("Alarms", "alarms", "{:,}"),
    ("Alarms per 1,000 points", "alarms_per_1000", "{:.4f}"),
    ("Alarms per lane and day", "alarms_per_lane_day", "{:.4f}"),
    ("Points per second", "points_per_s", "{:,}"),
    ("Bytes per lane", "bytes_per_lane", "{:,}"),
)
_ALARM_RATE = [key for _, key, _ in _FIGURES].index("alarms_per_1000")
_LEGEND = "".join(f'<span class="key {side}">{side}</span>' for side in _SIDES)


def render_gate(report: Mapping[str, Any]) -> str:
    """The page of a report, as `pipeline.gate.describing` makes it: HTML without script."""
    assets = files("pipeline.adapters.report") / "assets"
    style = (assets / "report.css").read_text("utf-8") + (assets / "gate.css").read_text("utf-8")
    history, stretches = report["history"], report["over_time"]
    alarms = [[one["alarms"][side] for one in stretches] for side in (0, 1)]
    losses = [[None if one["loss"] is None else one["loss"][side] for one in stretches] for side in (0, 1)]
    ends = (_minute(history["slice_from"]), _minute(history["last_time"]))
    page = {
        "policy": f"default-src 'none'; style-src '{digest_of(style)}'",
        "style": style,
        "title": escape(f"{report['challenger']['id'][:16]} against {report['champion']['id'][:16]}"),
        "range": escape(
            f"{counted(history['points'], 'point')} of {counted(history['lanes'], 'lane')}, {ends[0]} to {ends[1]} UTC"
        ),
        "state": "passed" if report["passed"] else "refused",
        "verdict": "Passed" if report["passed"] else "Refused",
        "told": escape(_told(report)),
        "tiles": _tiles(report),
        "facts": _facts(report),
        "criteria": _criteria(report["criteria"]),
        "figures": _figures(report),
        "legend": _LEGEND,
        "loss": drawing.lines(losses, _SIDES, ends, "Loss over time of champion and challenger"),
        "alarms": drawing.paired_bars(alarms, _SIDES, ends, "Alarms over time of champion and challenger"),
        "probabilities": drawing.histogram([report[side]["figures"]["probabilities"] for side in _SIDES], _SIDES),
        "lanes": _lanes(report["lanes"]),
        "lanes_note": escape(
            f"{counted(len(report['lanes']), 'lane')} of {whole(history['lanes'])}, by what each adds"
        ),
    }
    return Template((assets / "gate.html").read_text("utf-8")).substitute(page)


def _told(report: Mapping[str, Any]) -> str:
    missed = [criterion["name"] for criterion in report["criteria"] if not criterion["passed"]]
    if missed:
        return f"Not met: {', '.join(missed)}."
    return f"All {len(report['criteria'])} criteria are met."


def _tiles(report: Mapping[str, Any]) -> str:
    gain, (ours, theirs) = report["gain"], (report[side]["figures"] for side in _SIDES)
    shown = [
        tile("Gain", f"{gain['nats_per_point']:+.4f}", "nats per point"),
        tile("Loss", _number(theirs["loss"], "{:.4f}"), f"champion {_number(ours['loss'], '{:.4f}')}"),
        tile("In the 95 % band", _number(theirs["band_coverage"], "{:.1%}"),
             f"champion {_number(ours['band_coverage'], '{:.1%}')}"),
    ]  # fmt: skip
    labelled = theirs["labelled"] is not None
    counts = [one["labelled"]["false_alarms"] if labelled else one["alarms"] for one in (ours, theirs)]
    limit = f"champion {whole(counts[0])}, at most {report['alarm_limit']:,}"
    shown.append(tile("False alarms" if labelled else "Alarms", whole(counts[1]), limit))
    if labelled:
        shown.append(
            tile("Anomalies found", f"{theirs['labelled']['found']} of {theirs['labelled']['anomalies']}",
                 f"champion {ours['labelled']['found']}")
        )  # fmt: skip
    return "".join(shown)


def _facts(report: Mapping[str, Any]) -> str:
    history, settings = report["history"], report["settings"]
    gain, consumed = report["gain"], history["records"]["consumed"]
    facts = [
        *(
            (side.capitalize(), f"{report[side]['id'][:16]} ({report[side]['named']}), {report[side]['created_by']}")
            for side in _SIDES
        ),
        ("History", history["source"]),
        ("Held out", f"{settings['held_out']}: {whole(consumed)} records, {whole(history['records_before'])} before"),
        ("Gain by lanes, 95 %", _interval(gain["by_lane_95"])),
        ("Gain by time, 95 %", _interval(gain["by_time_95"])),
        ("Profile", settings["profile"]),
        ("Risk", brief_risk(settings["risk"], settings["risk_per_day"]) + " per 1,000 points" * bool(settings["risk"])),
        ("Config hash", settings["config_hash"]),
        ("Driftline", settings["driftline"]),
    ]  # fmt: skip
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(str(text))}</dd></div>" for name, text in facts)


def _criteria(criteria: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            f'<span class="{"met" if one["passed"] else "missed"}">{"met" if one["passed"] else "not met"}</span>',
            escape(one["name"]),
            *map(escape, _split(one["told"])),
        )
        for one in criteria
    ]
    return table(("", "criterion", "found", "expected"), rows, numbers=0)


def _split(told: str) -> tuple[str, str]:
    found, _, expected = told.partition("; expected ")
    return found, expected


def _figures(report: Mapping[str, Any]) -> str:
    ours, theirs = (report[side]["figures"] | report["speed"][side] for side in _SIDES)
    rows: list[tuple[str, ...]] = [
        (name, *(_number(one[key], form) for one in (ours, theirs))) for name, key, form in _FIGURES
    ]
    asked = ("&ensp;asked for", *(f"{one['alarms_asked_per_1000'] or 0.0:.4f}" for one in (ours, theirs)))
    interval = ("&ensp;95 % interval", *(_alarm_interval(one["alarms_per_1000_95"]) for one in (ours, theirs)))
    rows[_ALARM_RATE + 1 : _ALARM_RATE + 1] = [interval, asked]
    if ours["labelled"] is not None:
        both = [one["labelled"] for one in (ours, theirs)]
        rows += [
            ("Labelled anomalies found", *(f"{one['found']} of {one['anomalies']}" for one in both)),
            ("False alarms", *(whole(one["false_alarms"]) for one in both)),
            ("Median delay", *(_delay(one["median_delay_s"]) for one in both)),
        ]
    return table(("", "champion", "challenger"), rows, numbers=2)


def _lanes(lanes: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for one in lanes:
        ours, theirs = one["loss"]
        rows.append(
            (
                escape(f"{one['key']} · {one['field']}"),
                whole(one["judged"]),
                f"{ours:.4f}",
                f"{theirs:.4f}",
                f"{ours - theirs:+.4f}",
                *map(whole, one["alarms"]),
            )
        )
    names = ("lane", "points", "loss, champion", "loss, challenger", "gain", "alarms, champion", "alarms, challenger")
    return table(names, rows, numbers=len(names) - 1)


def _number(number: float | None, form: str) -> str:
    return "-" if number is None else form.format(number)


def _interval(ends: Sequence[float] | None) -> str:
    return "too few to tell" if ends is None else f"{ends[0]:+.4f} to {ends[1]:+.4f}"


def _alarm_interval(ends: Sequence[float] | None) -> str:
    return "-" if ends is None else f"{ends[0]:.4f} to {ends[1]:.4f}"


def _delay(seconds: float | None) -> str:
    return "-" if seconds is None else duration(seconds)


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")
