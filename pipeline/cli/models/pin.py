"""`driftline models pin`."""

from typing import Any

import click

from pipeline.cli.commands import Command
from pipeline.cli.models.options import act_of, acting_options, open_registry


@click.command("pin", cls=Command)
@click.argument("bundle", metavar="ID")
@acting_options
def command(bundle: str, **given: Any) -> None:
    """Keep a bundle from being collected.

    `driftline models gc` removes no bundle that is pinned, whatever its rule says.
    """
    from pipeline.adapters.bundles.history import short
    from pipeline.cli.models.telling import event_json, print_json, say

    registry = open_registry(given)
    name = registry.find(bundle)
    event = registry.pin(name, act_of(given))
    if given["as_json"]:
        print_json({"id": name, "event": event_json(event)})
    else:
        say(f"{short(name)} {'is pinned already' if event is None else 'is pinned'}")
