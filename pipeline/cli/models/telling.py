"""How the commands on models print: bundles and events as people read them, and as JSON."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click
import msgspec
from rich.console import Console

from pipeline.adapters.bundles.history import Event, Standing, short
from pipeline.cli.tables import left, print_table, right
from pipeline.config.quantities import SIZES

_KINDS = {
    "published": "published", "promoted": "promoted", "rolled_back": "rolled back to", "held": "promotion held",
    "released": "promotion released", "pinned": "pinned", "unpinned": "unpinned", "collected": "collected",
}  # fmt: skip


def print_json(value: Any) -> None:
    """Indented, to stdout."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def event_json(event: Event | None) -> dict[str, Any] | None:
    """An event as plain values, all of its fields."""
    return None if event is None else {name: getattr(event, name) for name in event.__struct_fields__}


def moment(at: datetime) -> str:
    """To the minute, UTC."""
    return f"{at:%Y-%m-%d %H:%M}"


def size(count: int | None) -> str:
    """Three digits and a unit: 71.5 KiB."""
    if count is None:
        return "-"
    for unit in ("MiB", "KiB"):
        if count >= SIZES[unit]:
            return f"{count / SIZES[unit]:.3g} {unit}"
    return f"{count} B"


def what_happened(event: Event) -> str:
    """The kind of an event, and what hangs together with it."""
    told = _KINDS[event.kind]
    if event.kind == "rolled_back":
        told += f", past {', '.join(map(short, event.skipped))}" if event.skipped else ""
        told += ", promotion held" if event.held else ""
    return told


def print_events(console: Console, events: Sequence[Event]) -> None:
    """A table, a line each, and a line for each bundle collected."""
    rows = [
        (str(event.sequence), moment(event.at), event.actor, what_happened(event), short(bundle), event.reason)
        for event in events
        for bundle in (event.collected or (event.bundle,))
    ]
    columns = [right("#"), left("When (UTC)"), left("Who"), left("What"), left("Bundle"), left("Why")]
    for column in (columns[2], columns[5]):
        column.no_wrap, column.overflow = False, "fold"
    print_table(console, "History", columns, [(*row[:4], "-" if row[4] == "none" else row[4], row[5]) for row in rows])


def print_hold(console: Console, standing: Standing) -> None:
    """Since when promotion is held, if it is."""
    hold = standing.hold
    if hold is not None:
        why = hold.reason or "no reason given"
        console.print(
            f"Promotion is held since {moment(hold.at)} by {hold.actor} ({why}); driftline models release frees it.",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip


def say(line: str) -> None:
    """A line to stdout."""
    click.echo(line)
