"""`driftline models release`."""

from typing import Any

import click

from pipeline.cli.commands import Command
from pipeline.cli.models.options import act_of, acting_options, open_registry


@click.command("release", cls=Command)
@acting_options
def command(**given: Any) -> None:
    """Free promotion again.

    To be done once somebody has looked into what it was held for.
    """
    from pipeline.cli.models.telling import event_json, print_json, say

    event = open_registry(given).release(act_of(given))
    if given["as_json"]:
        print_json(event_json(event))
    else:
        say("promotion is free again")
