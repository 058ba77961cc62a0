"""`driftline models unpin`."""

from typing import Any

import click

from pipeline.cli.commands import Command
from pipeline.cli.models.options import act_of, acting_options, open_registry


@click.command("unpin", cls=Command)
@click.argument("bundle", metavar="ID")
@acting_options
def command(bundle: str, **given: Any) -> None:
    """Let a bundle be collected again.

    It goes with the next `driftline models gc`, if no rule keeps it.
    """
    from pipeline.adapters.bundles.history import short
    from pipeline.cli.models.telling import event_json, print_json, say

    registry = open_registry(given)
    name = registry.find(bundle)
    event = registry.unpin(name, act_of(given))
    if given["as_json"]:
        print_json({"id": name, "event": event_json(event)})
    else:
        say(f"{short(name)} {'is not pinned' if event is None else 'is not pinned any more'}")
