"""`driftline models rollback`."""

from typing import Any

import click

from pipeline.cli.commands import Command, option
from pipeline.cli.models.options import act_of, acting_options, open_registry


@click.command("rollback", cls=Command)
@option("--hold", group="Roll back", is_flag=True, help="Hold promotion from then on, until it is released.")
@acting_options
def command(*, hold: bool, **given: Any) -> None:
    """Make the bundle champion that was it before.

    Once more, and it goes back further. Bundles that are damaged or collected are passed over, and told.
    """
    from pipeline.adapters.bundles.history import short
    from pipeline.cli.models.telling import event_json, print_json, say

    registry = open_registry(given)
    before = registry.champion()
    event = registry.rollback(act_of(given), hold=hold)
    if given["as_json"]:
        print_json({"champion": event.champion, "before": before, "event": event_json(event)})
        return
    say(f"{short(event.champion)} is champion again; before, it was {short(before)}")
    for bundle in event.skipped:
        say(f"passed over {short(bundle)}, which is damaged or collected")
    further = registry.standing().previous
    say(
        f"another roll back goes to {short(further)}"
        if further
        else "there is no champion before it to go back to any more"
    )
    if event.held:
        say("promotion is held: driftline models release frees it")
