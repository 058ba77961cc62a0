"""`driftline models gc`."""

from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.commands import Command, option
from pipeline.cli.models.options import act_of, acting_options, config_of, open_registry

if TYPE_CHECKING:
    from pipeline.adapters.bundles.collection import Plan
    from pipeline.adapters.bundles.registry import Registry

_RULE = "What is kept besides"
_EXAMPLES = """\
\b
Examples:
  driftline models gc                                what would go
  driftline models gc --yes
  driftline models gc --younger-than 7d --ancestors 2 --yes
"""


@click.command("gc", cls=Command, epilog=_EXAMPLES)
@option("--ancestors", group=_RULE, type=click.IntRange(0), default=5, metavar="N",
        help="Generations before the champion, by what each was trained on from.  [default: 5]")  # fmt: skip
@option("--events", group=_RULE, type=click.IntRange(0), default=20, metavar="N",
        help="Bundles of so many of the newest events of the history.  [default: 20]")  # fmt: skip
@option("--younger-than", group=_RULE, default="30d", metavar="TIME",
        help="Bundles published less than so long ago.  [default: 30d]")  # fmt: skip
@option("--yes", group="Collection", is_flag=True, help="Remove them; without it is shown what would go.")
@acting_options
def command(*, ancestors: int, events: int, younger_than: str, yes: bool, **given: Any) -> None:
    """Remove bundles that no rule keeps.

    The champion, the one that a roll back goes to and pinned ones are always kept. What interrupted publications have
    left goes too, once it is a day old, and so do signals that trainings have answered. Without --yes nothing is
    removed.
    """
    from pipeline.adapters.bundles.collection import Rule
    from pipeline.cli.models.telling import print_json, say
    from pipeline.cli.times import duration_of

    rule = Rule(ancestors, events, duration_of("--younger-than", younger_than))
    registry, act = open_registry(given), act_of(given)
    answered = _collect_signals(config_of(given).models.registry, yes=yes)
    plan = registry.collect(rule, act) if yes else registry.plan(rule, act)
    if given["as_json"]:
        print_json(
            {
                "removed": yes,
                "going": plan.going,
                "strays": plan.strays,
                "bytes_freed": plan.bytes_freed,
                "kept": plan.kept,
                "signals": answered,
            }
        )
        return
    _print(registry, plan, yes=yes)
    if answered:
        say(f"{'removed' if yes else 'would remove'} {len(answered)} signals that trainings have answered")


def _collect_signals(url: str, *, yes: bool) -> list[str]:
    """Names of the signals that nothing more comes of, which are gone from now on with `yes`."""
    from pipeline.adapters.bundles.reading import RegistryView
    from pipeline.adapters.bundles.training_log import TrainingLog
    from pipeline.learning.schedule import is_answered

    records, champion = TrainingLog(url), RegistryView(url).champion() or ""
    runs = records.runs()
    answered = [one.name for one in records.signals() if is_answered(one, runs, champion)]
    if yes:
        records.remove(answered)
    return answered


def _print(registry: "Registry", plan: "Plan", *, yes: bool) -> None:
    from pipeline.adapters.bundles.history import short
    from pipeline.cli.models.telling import say, size
    from pipeline.cli.screen import make_console
    from pipeline.cli.tables import left, print_table

    verb = "went" if yes else "goes"
    rows = [
        *((short(bundle), verb, "no rule keeps it") for bundle in plan.going),
        *((stray[-60:], verb, "left by an interrupted publication or collection") for stray in plan.strays),
        *((short(bundle), "stays", ", ".join(reasons)) for bundle, reasons in plan.kept.items()),
    ]
    if not rows:
        say(f"{registry.shown}: there is nothing to collect")
        return
    print_table(make_console(), registry.shown, [left("Bundle"), left("Fate"), left("Why")], rows)
    count = len(plan.going)
    what = f"{count} bundle{'' if count == 1 else 's'}, {size(plan.bytes_freed)}"
    if yes:
        say(f"removed {what}")
    elif count or plan.strays:
        say(f"would remove {what}; --yes does it")
    else:
        say("nothing goes")
