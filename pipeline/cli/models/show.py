"""`driftline models show`."""

from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.commands import Command
from pipeline.cli.models.options import config_of, open_registry, reading_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.adapters.bundles import Bundle


@click.command("show", cls=Command)
@click.argument("bundle", metavar="ID")
@reading_options
def command(bundle: str, **given: Any) -> None:
    """Show what a bundle is, and how it came about.

    ID is the beginning of its id, champion or previous. The bundle is read and checked to the byte.
    """
    from pipeline.cli.kernels import use_kernel_cache

    use_kernel_cache()
    from pipeline.adapters.bundles.reading import REPORTS
    from pipeline.cli.models.facts import statuses
    from pipeline.cli.models.telling import event_json, moment, print_json
    from pipeline.cli.screen import make_console
    from pipeline.cli.tables import print_pairs
    from pipeline.config import DEFAULT_RISK

    registry = open_registry(given)
    name = registry.find(bundle)
    loaded, standing = registry.load(name), registry.standing()
    event, status = standing.published[name], statuses(name, standing)
    if given["as_json"]:
        print_json(
            {
                "status": status,
                "published": event_json(event),
                "reports": registry.reports(name),
                "manifest": loaded.manifest,
            }
        )
        return
    console = make_console()
    why = f": {event.reason}" if event.reason else ""
    print_pairs(
        console,
        [
            ("Bundle", name),
            ("Status", ", ".join(status) or "-"),
            ("Published", f"{moment(event.at)} by {event.actor}{why}"),
            *(("Report", f"{registry.shown}/{REPORTS}/{name}/{report}") for report in registry.reports(name)),
        ],
    )
    print_pairs(console, _facts(loaded, config_of(given).detector.risk or DEFAULT_RISK))


def _facts(bundle: "Bundle", risk: float) -> "Iterator[tuple[str, str]]":
    """What there is to say of it, by name."""
    from pipeline.cli.models.facts import flat, loss_of, thresholds, trained_on

    manifest, network = bundle.manifest, bundle.network
    yield "Format", f"version {manifest.version}, inputs version {manifest.inputs_version}"
    yield "Made by", manifest.lineage.created_by
    yield "Code version", manifest.code_version or "not recorded"
    yield "Parent", manifest.lineage.parent or "none"
    yield "Trained on", trained_on(manifest)
    yield "Data hash", manifest.data_hash
    horizons = ", ".join(map(str, network.horizons))
    weights = sum(array.size for array in network.arrays.values())
    yield "Network", f"{network.layers} x {network.hidden} units, {network.inputs} inputs, horizons {horizons}"
    if not network.structure.is_plain:
        yield "Structure", str(network.structure)
    if network.is_joint:
        yield "Joint for", ", ".join(network.fields)
    yield "Weights", f"{weights:,}, SHA-256 {manifest.weights_sha256}"
    loss = loss_of(manifest)
    yield "Loss", "not recorded" if loss is None else f"{loss:.4f}"
    normaliser = manifest.normaliser
    yield "Normaliser", _listed(normaliser) if normaliser else "not recorded"
    for profile, scores in thresholds(bundle, risk).items():
        yield f"Thresholds, {profile}", f"{_listed(scores, ' points: ')} at risk {risk:g}"
    yield "Training", _listed(dict(flat(manifest.training)))
    for name, value in manifest.metrics.items():
        told = dict(flat(value))
        yield f"Metric {name}", _brief(told[""]) if "" in told else _listed(told, ": ")


def _listed(values: dict[str, Any], between: str = " ") -> str:
    """Names with their values, in the order of numbers where all names are such."""
    names = sorted(values, key=int) if all(map(str.isdecimal, values)) else [*values]
    return ", ".join(f"{name}{between}{_brief(values[name])}" for name in names)


def _brief(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
