"""`driftline models history`."""

from typing import Any

import click

from pipeline.cli.commands import Command, option
from pipeline.cli.models.options import open_registry, reading_options


@click.command("history", cls=Command)
@option(
    "--last",
    group="What to list",
    type=click.IntRange(1),
    default=50,
    metavar="N",
    help="Newest events.  [default: 50]",
)
@reading_options
def command(last: int, **given: Any) -> None:
    """List what happened to the registry, the newest last.

    Who published, promoted, rolled back, held, released, pinned or collected what, when and why. Every event is there
    for good, and bears a digest of the one before.
    """
    from pipeline.cli.models.telling import event_json, print_events, print_hold, print_json, say
    from pipeline.cli.screen import make_console

    registry = open_registry(given)
    events = registry.history()[-last:]
    if given["as_json"]:
        print_json([event_json(event) for event in events])
    elif not events:
        say(f"{registry.shown}: nothing has happened yet")
    else:
        console = make_console()
        print_events(console, events)
        print_hold(console, registry.standing())
