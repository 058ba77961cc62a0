"""`driftline models promote`."""

from typing import Any

import click

from pipeline.cli.commands import Command, option
from pipeline.cli.models.options import act_of, acting_options, open_registry, require_usable


@click.command("promote", cls=Command)
@click.argument("bundle", metavar="ID")
@option(
    "--expected",
    group="Promotion",
    metavar="ID",
    help="Promote only while this is the champion, as what was compared with it may be worse than another.",
)
@option("--despite-hold", group="Promotion", is_flag=True, help="Promote even while promotion is held.")
@acting_options
def command(bundle: str, *, expected: str | None, despite_hold: bool, **given: Any) -> None:
    """Make a bundle the champion.

    ID is the beginning of its id. It is read and checked to the byte before, and must go with the configured profile
    and, if it is for several fields together, with the fields that the configuration names.
    Whoever starts with detector.bundle = "champion" from now on scores with it.
    """
    from pipeline.adapters.bundles.history import short
    from pipeline.cli.models.telling import event_json, print_json, say

    registry = open_registry(given)
    name = registry.find(bundle)
    require_usable(registry.load(name), given)
    before = registry.standing().champion
    wanted = None if expected is None else registry.find(expected)
    event = registry.promote(name, act_of(given), expected=wanted, despite_hold=despite_hold)
    if given["as_json"]:
        print_json({"champion": name, "before": before, "event": event_json(event)})
    elif event is None:
        say(f"{short(name)} is champion already")
    else:
        say(f"{short(name)} is now champion; before, it was {short(before)}")
