"""`driftline models add`."""

from pathlib import Path
from typing import Any

import click

from pipeline.cli.commands import Command, option
from pipeline.cli.models.options import act_of, acting_options, open_registry, require_usable

_EXAMPLES = """\
\b
Examples:
  driftline models add bundles/mine
  driftline models add shipped --promote             begin with the network that comes with Driftline
"""


@click.command("add", cls=Command, epilog=_EXAMPLES)
@click.argument("path", metavar="DIR", type=click.Path(path_type=Path))
@option("--promote", group="Bundle", is_flag=True, help="Make it the champion as well.")
@acting_options
def command(path: Path, *, promote: bool, **given: Any) -> None:
    """Put a bundle into the registry.

    DIR is a folder that `driftline pretrain` has written, or shipped for the bundle that comes with Driftline. One that
    is there already is left as it is, and mended where its files are damaged.
    """
    from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
    from pipeline.cli.models.telling import event_json, print_json, say

    bundle = load_bundle(shipped_bundle_path() if path == Path("shipped") else path)
    if promote:
        require_usable(bundle, given)
    registry, act = open_registry(given), act_of(given)
    is_new = bundle.manifest.id not in registry.standing().published
    name = registry.publish(bundle, act)
    event = registry.promote(name, act) if promote else None
    if given["as_json"]:
        print_json({"id": name, "is_new": is_new, "promoted": event_json(event)})
        return
    say(f"{bundle.short_id} is {'now' if is_new else 'already'} in {registry.shown}")
    if event is not None:
        say(f"{bundle.short_id} is now champion")
    elif promote:
        say(f"{bundle.short_id} is champion already")
    else:
        say(f"make it champion: driftline models promote {bundle.short_id}")
