"""The decision as people read it in a terminal."""

from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline.cli.tables import left, print_pairs, print_table, right
from pipeline.gate.describing import SIDES
from pipeline.wording import brief, duration, whole


def print_decision(console: Console, described: dict[str, Any], out: Path) -> None:
    """What was judged, the criteria, the figures side by side, and where the report is."""
    history = described["history"]
    subjects = [described[side] for side in SIDES]
    judged_on = (
        f"{whole(history['records']['consumed'])} records from {history['slice_from']} on: {whole(history['points'])} "
        f"points of {whole(history['lanes'])} lanes; {whole(history['records_before'])} records before"
    )
    print_pairs(
        console,
        [
            *(
                (side.capitalize(), f"{one['id'][:16]} ({one['named']})")
                for side, one in zip(SIDES, subjects, strict=True)
            ),
            ("History", f"{history['source']}, {history['first_time']} to {history['last_time']}"),
            ("Judged on", judged_on),
        ],
    )
    _print_figures(console, described)
    print_table(
        console,
        "Criteria",
        (left(""), left("criterion"), left("found")),
        (
            ("passed" if one["passed"] else "NOT MET", one["name"], one["told"].replace("; expected", "\nexpected"))
            for one in described["criteria"]
        ),
    )
    verdict = "The challenger passes" if described["passed"] else "The challenger is refused"
    print_pairs(
        console,
        [(verdict, described["told"].partition(": ")[2]), (str(out / "gate.html"), "open it in a browser"),
         (str(out / "gate.json"), "these figures and more")],
    )  # fmt: skip


def _print_figures(console: Console, described: dict[str, Any]) -> None:
    ours, theirs = ({**described[side]["figures"], **described["speed"][side]} for side in SIDES)
    rows = [
        ("loss, nats per point", "loss", "{:.4f}"),
        ("residual, normalised units", "residual", "{:.4f}"),
        ("points in the 95 % band", "band_coverage", "{:.1%}"),
        ("distance of probabilities from uniform", "probability_distance", "{:.3f}"),
        ("alarms", "alarms", "{:,}"),
        ("alarms per 1,000 points", "alarms_per_1000", "{:.3f}"),
        ("alarms per lane and day", "alarms_per_lane_day", "{:.3f}"),
        ("points per second", "points_per_s", "{:,}"),
        ("bytes per lane", "bytes_per_lane", "{:,}"),
    ]
    cells: list[tuple[str, ...]] = [
        (name, _cell(ours[key], form), _cell(theirs[key], form)) for name, key, form in rows
    ]
    if ours["labelled"] is not None:
        found = [f"{one['labelled']['found']} of {one['labelled']['anomalies']}" for one in (ours, theirs)]
        cells.append(("labelled anomalies found", *found))
        cells.append(("false alarms", *(whole(one["labelled"]["false_alarms"]) for one in (ours, theirs))))
        cells.append(("median delay", *(_delay(one["labelled"]["median_delay_s"]) for one in (ours, theirs))))
    asked = brief(ours["alarms_asked_per_1000"] or 0.0)
    print_table(console, f"On the held-out part, at a risk of {asked} alarms per 1,000 points",
                (left("figure"), right("champion"), right("challenger")), cells)  # fmt: skip


def _cell(number: float | None, form: str) -> str:
    return "-" if number is None else form.format(number)


def _delay(seconds: float | None) -> str:
    return "-" if seconds is None else duration(seconds)
