"""The parts of the page of a comparison but its streams: tables and drawings as HTML."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from pipeline.adapters.report import drawing
from pipeline.adapters.report.diff.agreement import BIN_WIDTH, BINS, Agreement
from pipeline.adapters.report.diff.alarms import Alarm, Name
from pipeline.adapters.report.diff.words import minute, number_or_dash, stream_name
from pipeline.adapters.report.tables import table
from pipeline.wording import brief, counted, whole

SHOWN = 300
"""Rows of a table at most."""
SIDES = ("a", "b")
KEYS = '<span class="key a">A</span><span class="key b">B</span>'
_STRETCHES = 48
_TITLES = {
    "configuration": "Configuration", "bundle": "Bundle", "counts": "Counts", "evaluation": "Against the labels",
    "run": "The runs themselves",
}  # fmt: skip
_WHERE = {"both": "both", "a": "only A", "b": "only B"}


def show_settings(settings: Mapping[str, Any]) -> Iterator[str]:
    """What the summaries say differently; nothing where they do not."""
    rows = [
        (
            f'<span class="group">{escape(_TITLES[group])}</span>',
            *map(escape, (one["entry"], _plain(one["a"]), _plain(one["b"]))),
        )
        for group, found in settings.items()
        for one in found
    ]
    if rows:
        shown = table(("", "entry", "A", "B"), rows, numbers=2, label="What the summaries say differently")
        yield f'<section class="card" id="settings"><h2>What the summaries say differently</h2>{shown}</section>'


def show_alarms(told: Mapping[str, Any], alarms: Sequence[Alarm]) -> str:
    """Alarms over time, and those that differ."""
    rows = [
        (
            f'<span class="in {one["in"]}">{_WHERE[one["in"]]}</span>',
            escape(stream_name(one["key"], one["field"])),
            escape(" / ".join(dict.fromkeys(at[:19].replace("T", " ") for at in one["opened"] if at))),
            " ".join(
                f'<span class="badge {grade}">{grade}</span>' for grade in dict.fromkeys(one["severity"]) if grade
            ),
            escape(one["kind"].replace("_", " ")),
            *(number_or_dash(peak, "{:.2f}") for peak in one["peak_score"]),
        )
        for one in told["told"][:SHOWN]
    ]
    columns = ("", "stream", "opened (UTC)", "severity", "what", "score A", "score B")
    note = (
        f"alarms that are up to {told['usual_steps']} usual steps of their stream apart are the same"
        if told["tolerance_s"] is None
        else f"alarms that are up to {brief(told['tolerance_s'])} s apart are the same"
    )
    cut = f'<p class="notice">{whole(len(told["told"]) - SHOWN)} more.</p>' if len(told["told"]) > SHOWN else ""
    shown = table(columns, rows, numbers=2, label="Alarms that differ") if rows else _notice("No alarm differs.")
    return (
        f'<section class="card" id="alarms"><h2>Alarms that differ <small>{escape(note)}</small></h2>'
        f"{_over_time(alarms)}{shown}{cut}</section>"
    )


def _over_time(alarms: Sequence[Alarm]) -> str:
    if not alarms:
        return ""
    opened = [np.array([one.opened_ms for one in side if one is not None])
              for side in ([alarm.a for alarm in alarms], [alarm.b for alarm in alarms])]  # fmt: skip
    low, high = min(one.min() for one in opened if len(one)), max(one.max() for one in opened if len(one))
    counts = [np.histogram(one, _STRETCHES, (low, high + 1))[0].tolist() for one in opened]
    ends = (minute(low * 1000), minute(high * 1000))
    label = "Alarms over time of A and B"
    drawn = drawing.paired_bars(counts, SIDES, ends, label, drawing.WIDE)
    return f'{KEYS}<div class="wide" tabindex="0" role="region" aria-label="{label}, to be scrolled">{drawn}</div>'


def show_scores(told: Mapping[str, Any], agreement: Agreement) -> str:
    """How far scores and forecasts agree, the distribution of scores, and where they differ most."""
    scores = told["scores"]
    covered = ", ".join(number_or_dash(one, "{:.1%}") for one in told["forecasts"]["in_band"])
    pairs = [
        ("Points in both, in A alone, in B alone", _three(told)),
        ("Identical to the bit", whole(told["identical"])),
        ("Flagged in both, in A alone, in B alone", _three(told["flagged"])),
        ("Mean difference of scores, B less A", number_or_dash(scores["mean_difference"], "{:+.4f}")),
        ("Mean absolute difference of scores", number_or_dash(scores["mean_absolute_difference"], "{:.4f}")),
        ("Values in the 95 % band, A and B", covered),
    ]  # fmt: skip
    quantiles = [
        (f"{float(share):.1%} of the scores are at most", *(number_or_dash(one, "{:.2f}") for one in ends))
        for share, ends in scores["quantiles"].items()
    ]
    largest = [
        (
            escape(stream_name(one["key"], one["field"])),
            escape(one["time"][:19].replace("T", " ")),
            f"{one['a']:.3f}",
            f"{one['b']:.3f}",
            f"{one['b'] - one['a']:+.3f}",
        )
        for one in scores["largest"]
    ]
    shown = (
        table(("stream", "time (UTC)", "A", "B", "B less A"), largest, numbers=3, label="Largest differences of scores")
        if largest
        else _notice("No score differs.")
    )
    return (
        '<section class="card" id="scores"><h2>Scores and forecasts</h2>'
        f"{table(('', ''), [(escape(name), text) for name, text in pairs], numbers=1)}</section>"
        '<div class="pairs"><section class="card" id="distribution"><h2>Distribution of scores '
        f"<small>share of the points by score, logarithmic</small></h2>{KEYS}{_distribution(agreement)}"
        f"{table(('', 'A', 'B'), quantiles, numbers=2)}</section>"
        f'<section class="card" id="largest"><h2>Largest differences of scores</h2>{shown}</section></div>'
    )


def _distribution(agreement: Agreement) -> str:
    """Shares of the scores by bins of tenths, as powers of ten."""
    tenths = round(0.1 / BIN_WIDTH)
    counts = agreement.histogram[:, :BINS].reshape(2, -1, tenths).sum(axis=2)
    last = int(np.flatnonzero(counts.any(axis=0)).max(initial=0)) + 1
    totals = agreement.histogram.sum(axis=1)
    shares = [
        [float(np.log10(count / total)) if count else None for count in side[:last].tolist()]
        for side, total in zip(counts, totals.tolist(), strict=True)
    ]
    return drawing.lines(
        shares, SIDES, ("0", f"{last / 10:g}"), "Share of the points by score, of A and B", drawing.NARROW
    )


def show_lanes(told: Mapping[str, Any], plotted: set[Name]) -> str:
    """A row for each stream, with a link to its drawing where it has one."""
    places = {name: number for number, name in enumerate([(row["key"], row["field"]) for row in told["lanes"]])}
    rows = []
    for row in told["lanes"][:SHOWN]:
        name = (row["key"], row["field"])
        shown = escape(stream_name(*name))
        if name in plotted:
            shown = f'<a href="#stream-{places[name]}">{shown}</a>'
        points, alarms = row.get("points"), row["alarms"]
        cells = [whole(alarms[which]) for which in ("both", "only_a", "only_b")]
        if points is None:
            rows.append((shown, *cells, *"-----"))
            continue
        errors = [number_or_dash(one, "{:.4g}") for one in row["mean_error"]]
        rows.append(
            (shown, *cells, whole(points["both"]), whole(points["differing"]), *errors,
             f"{row['largest_difference']:.3f}")
        )  # fmt: skip
    columns = (
        "stream", "alarms in both", "only A", "only B", "points", "differing", "mean error A", "mean error B",
        "largest difference of scores",
    )  # fmt: skip
    note = f"{counted(min(len(told['lanes']), SHOWN), 'stream')} of {whole(told['lanes_in_all'])}, most different first"
    shown = table(columns, rows, numbers=len(columns) - 1, label="By stream")
    return f'<section class="card" id="lanes"><h2>By stream <small>{escape(note)}</small></h2>{shown}</section>'


def _three(counts: Mapping[str, int]) -> str:
    return ", ".join(whole(counts[name]) for name in ("both", "only_a", "only_b"))


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _notice(text: str) -> str:
    return f'<p class="notice">{text}</p>'
