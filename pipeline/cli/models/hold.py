"""`driftline models hold`."""

from typing import Any

import click

from pipeline.cli.commands import Command
from pipeline.cli.models.options import act_of, acting_options, open_registry


@click.command("hold", cls=Command)
@acting_options
def command(**given: Any) -> None:
    """Hold promotion until it is released.

    Nobody promotes until then, the trainer included; rolling back goes on to work. It is an event of the history, with
    the reason.
    """
    from pipeline.cli.models.telling import event_json, print_json, say

    event = open_registry(given).hold(act_of(given))
    if given["as_json"]:
        print_json(event_json(event))
    else:
        say("promotion is held: driftline models release frees it")
