"""`driftline models diff`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.commands import Command
from pipeline.cli.models.options import config_of, open_registry, reading_options

if TYPE_CHECKING:
    from rich.console import Console

    from pipeline.adapters.bundles import Bundle
    from pipeline.adapters.bundles.registry import Registry

_EXAMPLES = """\
\b
Examples:
  driftline models diff previous champion
  driftline models diff champion bundles/mine        a folder that is not in the registry
  driftline models diff shipped champion
"""


@click.command("diff", cls=Command, epilog=_EXAMPLES)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@reading_options
def command(a: str, b: str, **given: Any) -> None:
    """Compare two bundles: weights, thresholds, metrics, training.

    A and B are the beginnings of ids, champion, previous, shipped, or folders. The distance of weights is that of the
    array, relative to the norm of A's; thresholds are those at the configured risk.
    """
    from pipeline.cli.kernels import use_kernel_cache

    use_kernel_cache()
    from pipeline.cli.models.facts import differences, distances, thresholds
    from pipeline.cli.models.telling import print_json
    from pipeline.cli.screen import make_console
    from pipeline.config import DEFAULT_RISK

    registry, risk = open_registry(given), config_of(given).detector.risk or DEFAULT_RISK
    ours, theirs = _open(registry, a), _open(registry, b)
    result = {
        "a": ours.manifest.id,
        "b": theirs.manifest.id,
        "risk": risk,
        "manifest": differences(ours.manifest, theirs.manifest),
        "weights": distances(ours.network, theirs.network),
        "thresholds": {"a": thresholds(ours, risk), "b": thresholds(theirs, risk)},
    }
    if given["as_json"]:
        print_json(result)
        return
    _print(make_console(), ours, theirs, result)


def _open(registry: "Registry", name: str) -> "Bundle":
    from pipeline.adapters.bundles import load_bundle, shipped_bundle_path

    if name == "shipped":
        return load_bundle(shipped_bundle_path())
    if "/" in name or Path(name).is_dir():
        return load_bundle(Path(name))
    return registry.load(registry.find(name))


def _print(console: "Console", ours: "Bundle", theirs: "Bundle", result: dict[str, Any]) -> None:
    from pipeline.cli.models.telling import say
    from pipeline.cli.tables import left, print_table, right

    if result["a"] == result["b"]:
        say(f"{ours.short_id}: found one bundle twice; there is no difference")
        return
    names = [ours.short_id, theirs.short_id]
    columns = [left("Field"), *map(left, names), right("Change")]
    for column in columns[:3]:
        column.no_wrap, column.overflow = False, "fold"
    differing = [
        (name, _shown(one), _shown(other), _change(one, other) if name.startswith("metrics.") else "")
        for name, (one, other) in result["manifest"].items()
    ]
    print_table(console, "What differs in the manifest", columns, differing)
    weights = [
        (name, " / ".join("x".join(map(str, shape)) if shape else "-" for shape in _unique(one["shapes"])),
         _shown(one["relative_distance"]), _shown(one["largest_difference"]))
        for name, one in result["weights"].items()
    ]  # fmt: skip
    print_table(console, "Weights", [left("Array"), left("Shape"), right("Distance"), right("Largest")], weights)
    a, b = result["thresholds"]["a"], result["thresholds"]["b"]
    scores = [
        (profile, age, _shown(a.get(profile, {}).get(age)), _shown(b.get(profile, {}).get(age)),
         _change(a.get(profile, {}).get(age), b.get(profile, {}).get(age)))
        for profile in sorted({*a, *b})
        for age in dict.fromkeys([*a.get(profile, {}), *b.get(profile, {})])
    ]  # fmt: skip
    columns = [left("Profile"), right("Points"), *map(right, names), right("Change")]
    print_table(console, f"Thresholds at risk {result['risk']:g}, by points that a lane has seen", columns, scores)


def _unique(shapes: list[Any]) -> list[Any]:
    return shapes[:1] if shapes[0] == shapes[1] else shapes


def _shown(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _change(one: Any, other: Any) -> str:
    """How much the second is more than the first, in percent of it."""
    if isinstance(one, int | float) and isinstance(other, int | float) and one and not isinstance(one, bool):
        return f"{(other - one) / abs(one):+.1%}"
    return ""
