"""The streams that differ most, each in full and around the worst alarm that one run has alone."""

from collections.abc import Sequence
from html import escape

from pipeline.adapters.report.diff.alarms import Alarm, Name
from pipeline.adapters.report.diff.comparing import Comparison
from pipeline.adapters.report.diff.plot import Marks, plot_stream
from pipeline.adapters.report.diff.sections import KEYS, SIDES
from pipeline.adapters.report.diff.words import minute, stream_name
from pipeline.adapters.report.verdicts import Points
from pipeline.records import Severity
from pipeline.wording import whole

_CLOSE_STEPS = 120
_OPEN = 3


def show_streams(comparison: Comparison) -> str:
    """All that are plotted, the first few of them open."""
    by_lane: dict[Name, list[Alarm]] = {}
    for alarm in comparison.alarms:
        by_lane.setdefault(alarm.lane, []).append(alarm)
    drawn = [
        _stream_in_full(number, name, runs, by_lane.get(name, []))
        for number, (name, *runs) in enumerate(comparison.plotted)
    ]
    note = "those that differ most; alarms of A point down from the top, those of B up from the bottom"
    keys = f'<span class="key observed">observed</span>{KEYS}'
    return f'<section class="card" id="streams"><h2>Streams <small>{note}</small></h2>{keys}{"".join(drawn)}</section>'


def _stream_in_full(number: int, name: Name, runs: Sequence[Points | None], alarms: Sequence[Alarm]) -> str:
    there = [one for one in runs if one is not None]
    if not there:
        return ""
    a, b = runs
    start, end = min(int(one.time_us[0]) for one in there), max(int(one.time_us[-1]) for one in there)
    marks = _marks(alarms, "a"), _marks(alarms, "b")
    named = stream_name(*name)
    drawings = plot_stream(named, (a, b), marks, (start, end))
    apart = [alarm for alarm in alarms if alarm.a is None or alarm.b is None]
    if apart:
        worst = max(apart, key=lambda alarm: alarm.either.rank).either
        steps = max(int(one.index[-1] - one.index[0]) for one in there) or 1
        span = (end - start) / steps * _CLOSE_STEPS
        centre = worst.opened_ms * 1000
        close = max(start, centre - span), min(end, centre + span)
        drawings += f"<h3>Around {escape(minute(centre))}</h3>" + plot_stream(named, (a, b), marks, close)
    counts = [sum(getattr(alarm, side) is not None for alarm in alarms) for side in SIDES]
    small = f"<small>alarms: {whole(counts[0])} in A, {whole(counts[1])} in B</small>"
    opened = " open" if number < _OPEN else ""
    return (
        f'<details class="stream" id="stream-{number}"{opened}><summary>{escape(named)} {small}</summary>'
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(named)}">{drawings}</div></details>'
    )


def _marks(alarms: Sequence[Alarm], side: str) -> Marks:
    episodes = [getattr(alarm, side) for alarm in alarms]
    return [
        (one.opened_ms, f"{side.upper()}: {Severity(one.severity).name.lower()} {one.kind.replace('_', ' ')}")
        for one in episodes
        if one is not None
    ]
