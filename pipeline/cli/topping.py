"""The service in a terminal, from its API."""

import http.client
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.adapters.live.api import BASE
from pipeline.adapters.live.model import AnomalyBrief, AnomalyList, Overview, PartitionState
from pipeline.cli.tailing import INTERRUPTED, feedback_on, hearing_ctrl_c, printable
from pipeline.errors import ConfigError, DriftlineError
from pipeline.records import JOINT
from pipeline.wording import brief, counted, duration, size, whole

T = TypeVar("T")
_ANSWER_S = 10.0
_BESIDE_TABLES = 13
"""Lines of the screen that are no rows of a table."""
_ROOM_FOR_REASONS = 72
"""Columns of a line from which on some are left for why."""
_BESIDE_BARS, _MOST_BARS = 46, 60
"""Columns of a line that are no bars, and bars, one a second."""
_MISDIRECTED = 421
_BARS = "▁▂▃▄▅▆▇█"
_PHASES = {"live": "live", "provisional": "provisional", "warming": "warming up", "stale": "silent"}
_STYLES = {"low": "yellow", "medium": "dark_orange", "high": "bold red", "critical": "bold magenta"}


@dataclass(frozen=True, slots=True)
class Service:
    """A service that answers at a URL.

    Raises:
        ConfigError: it is not one of HTTP.
    """

    url: str

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ConfigError(f"--url: found {self.url!r}; expected one such as http://127.0.0.1:9464")

    def ask(self, path: str, kind: type[T]) -> T:
        """What the API tells at a path.

        Raises:
            DriftlineError: nothing, or something else.
        """
        where = f"{self.url.rstrip('/')}{BASE}{path}"
        try:
            with urllib.request.urlopen(where, timeout=_ANSWER_S) as answer:  # noqa: S310  of http alone
                return msgspec.json.decode(answer.read(), type=kind)
        except urllib.error.HTTPError as exc:
            hint = ": list this name in its [http] hosts" if exc.code == _MISDIRECTED else ""
            raise DriftlineError(
                f"{where}: found the answer {exc.code}; expected that of `driftline serve` with [http] live{hint}"
            ) from exc
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise DriftlineError(
                f"{where}: found no answer ({exc}); expected a running `driftline serve`: name its address with --url"
            ) from exc


def top(service: Service, console: Console, *, interval_s: float, once: bool) -> int:
    """Exit status, having shown it once, or until Ctrl-C.

    Raises:
        DriftlineError: the first question has no answer.
    """
    shown = _look(service, console)
    if once:
        console.print(shown)
        return 0
    try:
        with hearing_ctrl_c(), Live(shown, console=console, screen=True, auto_refresh=False) as live:
            live.refresh()
            while True:
                time.sleep(interval_s)
                try:
                    shown = _look(service, console)
                except DriftlineError as exc:
                    shown = Group(Text(str(exc), style="bold red"), Text("asking again ..."))
                live.update(shown, refresh=True)
    except KeyboardInterrupt:
        return INTERRUPTED


def _look(service: Service, console: Console) -> Group:
    now = service.ask("/overview", Overview)
    room = max(console.height - _BESIDE_TABLES, 8) if console.is_terminal else 30
    held = min(len(now.partitions), room // 2)
    events = service.ask(f"/anomalies?limit={max(room - held, 4)}", AnomalyList).anomalies
    return Group(
        *_head(now, console.width), Text(), _partitions(now.partitions, held, workers=now.workers), Text(),
        _events(events, now.now_ms, console.width),
    )  # fmt: skip


def _head(now: Overview, width: int) -> list[Text | Table]:
    state = (
        Text("ready", style="bold green")
        if now.ready
        else Text(f"not ready: {printable(now.reason)}", style="bold red")
    )
    first = Text.assemble(
        ("Driftline ", "bold"), now.version, "  ", state, f"  bundle {now.bundle}  {now.profile}",
        f"  {now.workers_up} of {now.workers} workers" if now.workers > 1 else "",
    )  # fmt: skip
    bars = min(max(width - _BESIDE_BARS, 4), len(now.history), _MOST_BARS)
    paces = Table.grid(padding=(0, 2))
    paces.add_column(style="bold", no_wrap=True)
    paces.add_column(justify="right", no_wrap=True)
    paces.add_column(style="cyan", no_wrap=True)
    paces.add_column(style="dim", no_wrap=True)
    pace = "-" if now.records_per_s is None else brief(now.records_per_s)
    for name, value, moments in (
        ("Records/s", pace, [moment.records_per_s or 0.0 for moment in now.history]),
        ("Behind", whole(now.lag_records), [float(moment.lag_records) for moment in now.history]),
    ):
        most = f"at most {brief(max(moments[-bars:]))} in {duration(bars)}" if bars else ""
        paces.add_row(name, value, _spark(moments, bars), most)
    lanes = ", ".join(f"{whole(now.lanes.get(phase, 0))} {name}" for phase, name in _PHASES.items())
    third = Text.assemble(
        ("Lanes ", "bold"), lanes, ("   Keys ", "bold"), f"{whole(now.keys)}, {size(now.state_bytes)}"
    )
    grades = ", ".join(f"{whole(now.anomalies[one])} {one}" for one in reversed(_STYLES) if now.anomalies.get(one))
    age = "never" if now.committed_ms is None else f"{duration(max(now.now_ms - now.committed_ms, 0) // 100 / 10)} ago"
    fourth = Text.assemble(
        ("Flagged ", "bold"), grades or "none", ("   Open ", "bold"), counted(now.open_episodes, "episode"),
        ("   Committed ", "bold"), age, ("   Dead letters ", "bold"), whole(now.dead_letters),
    )  # fmt: skip
    return [first, paces, third, fourth]


def _spark(values: list[float], width: int) -> str:
    """The newest values as a line of bars, from 0."""
    shown = values[-width:] if width else []
    high = max(shown, default=0)
    return "".join(_BARS[round((len(_BARS) - 1) * value / high)] if high else _BARS[0] for value in shown)


def _table(*columns: tuple[str, dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, expand=False, header_style="dim")
    for name, how in columns:
        table.add_column(name, no_wrap=True, **how)
    return table


def _partitions(partitions: list[PartitionState], room: int, *, workers: int) -> Table | Text:
    """Those that lag most, where not all have room."""
    if not partitions:
        return Text("No partitions are held.", style="dim")
    right: dict[str, Any] = {"justify": "right"}
    several = [("worker", right)] if workers > 1 else []
    table = _table(("partition", {}), ("status", {}), ("behind", right), ("offset", right), ("keys", right), *several)
    by_lag = sorted(partitions, key=lambda one: -(one.lag_records or 0))[:room]
    for one in sorted(by_lag, key=lambda one: (one.topic, one.partition)):
        table.add_row(
            Text(printable(f"{one.topic}/{one.partition}")),
            Text(one.status.replace("_", " "), style="" if one.status == "live" else "yellow"),
            "-" if one.lag_records is None else whole(one.lag_records),
            "-" if one.offset is None else whole(one.offset),
            whole(one.keys),
            *(["-" if one.worker is None else str(one.worker)] if several else []),
        )
    if len(partitions) > room:
        table.caption = f"and {len(partitions) - room} more that lag less"
    return table


def _events(events: list[AnomalyBrief], now_ms: float, width: int) -> Table | Text:
    """The newest, each on a line; where there is little room, without why."""
    if not events:
        return Text("No anomalies so far.", style="dim")
    is_wide = width >= _ROOM_FOR_REASONS
    rest: dict[str, Any] = {"overflow": "ellipsis", "ratio": 1}
    stream = {"max_width": 36} if is_wide else rest
    reason = [("reason", rest)] if is_wide else []
    table = _table(("severity", {}), ("event", {}), ("stream", stream), ("told", {"justify": "right"}), *reason)
    table.expand = True
    for one in events:
        field = "" if one.field == JOINT else f" · {one.field}"
        table.add_row(
            Text(one.severity, style="dim" if one.suppressed else _STYLES.get(one.severity, "")),
            Text(one.event if one.kind == "point" else f"{one.event} {one.kind.replace('_', ' ')}"),
            Text(printable(f"{one.key}{field}")),
            f"{duration(max(int((now_ms - one.committed_ms) / 1000), 0))} ago",
            *([_reason(one)] if is_wide else []),
        )
    return table


def _reason(one: AnomalyBrief) -> Text:
    return Text(printable("; ".join(filter(None, (feedback_on(one.suppressed, one.outlasted), one.reason)))))
