"""`driftline models list`."""

from typing import Any

import click

from pipeline.cli.commands import Command
from pipeline.cli.models.options import open_registry, reading_options


@click.command("list", cls=Command)
@reading_options
def command(**given: Any) -> None:
    """List the bundles of the registry, the newest first.

    With the validation loss of the training, and which is the champion, which the one that a roll back goes to, and
    which are pinned. A bundle whose manifest is damaged is told; `driftline models verify` reads the weights too.
    """
    from pipeline.cli.kernels import use_kernel_cache

    use_kernel_cache()
    from pipeline.adapters.bundles import Manifest
    from pipeline.adapters.bundles.history import short
    from pipeline.cli.models.facts import loss_of, statuses, trained_on
    from pipeline.cli.models.telling import event_json, moment, print_hold, print_json, say, size
    from pipeline.cli.screen import make_console
    from pipeline.cli.tables import left, print_table, right

    registry = open_registry(given)
    standing = registry.standing()
    events = sorted(standing.published.items(), key=lambda item: item[1].sequence, reverse=True)
    found = dict(zip(standing.published, registry.manifests([*standing.published]), strict=True))

    def fact(bundle: str, tell: Any) -> Any:
        manifest = found[bundle]
        return tell(manifest) if isinstance(manifest, Manifest) else None

    def status(bundle: str) -> list[str]:
        return [*statuses(bundle, standing), *([] if isinstance(found[bundle], Manifest) else ["damaged"])]

    if given["as_json"]:
        print_json(
            {
                "registry": registry.shown,
                "champion": standing.champion,
                "hold": event_json(standing.hold),
                "bundles": [
                    {
                        "id": bundle,
                        "published_at": event.at,
                        "published_by": event.actor,
                        "parent": event.parent,
                        "trained_on": fact(bundle, trained_on),
                        "loss": fact(bundle, loss_of),
                        "size_bytes": event.size_bytes,
                        "status": status(bundle),
                    }
                    for bundle, event in events
                ],
            }
        )
        return
    if not events:
        say(f"{registry.shown}: no bundles yet; put one in: driftline models add DIR --promote, or shipped for DIR")
        return
    rows = []
    for bundle, event in events:
        loss = fact(bundle, loss_of)
        rows.append((
            short(bundle), moment(event.at), event.parent[:8] if event.parent else "-",
            fact(bundle, trained_on) or "-", "-" if loss is None else f"{loss:.4f}", size(event.size_bytes),
            ", ".join(status(bundle)) or "-",
        ))  # fmt: skip
    columns = [
        left("ID"), left("Published (UTC)"), left("Parent"), left("Trained on"), right("Loss"), right("Size"),
        left("Status"),
    ]  # fmt: skip
    console = make_console()
    print_table(console, registry.shown, columns, rows)
    print_hold(console, standing)
