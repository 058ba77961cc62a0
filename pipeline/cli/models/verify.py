"""`driftline models verify`."""

from typing import Any

import click

from pipeline.cli.commands import Command
from pipeline.cli.models.options import open_registry, reading_options


@click.command("verify", cls=Command)
@reading_options
def command(**given: Any) -> int:
    """Read every bundle and every event, and tell what is damaged.

    The exit status is 2 when something is. A damaged bundle is mended by putting it in again: driftline models add DIR.
    """
    from pipeline.adapters.bundles.history import short
    from pipeline.cli.models.telling import print_json, say
    from pipeline.cli.screen import Screen

    registry = open_registry(given)
    events, screen = len(registry.history()), Screen(quiet=given["as_json"])
    bundles = len(registry.standing().published)
    with screen.bar("reading", "bundles", bundles) as move:
        found = registry.verify(lambda done, _: move("reading", done, done))
    damaged = {bundle: str(wrong) for bundle, wrong in found.items() if wrong is not None}
    if given["as_json"]:
        print_json({"registry": registry.shown, "events": events, "bundles": bundles, "damaged": damaged})
    else:
        for bundle, wrong in damaged.items():
            say(f"{short(bundle)}: {wrong}")
        say(f"{registry.shown}: {events} events and {bundles - len(damaged)} of {bundles} bundles are whole")
    return 2 if damaged else 0
