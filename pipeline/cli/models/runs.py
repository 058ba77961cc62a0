"""`driftline models runs`."""

from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.commands import Command, option
from pipeline.cli.models.options import config_of, reading_options

if TYPE_CHECKING:
    from pipeline.learning.records import Run

_WORDS = {"not_enough_history": "not enough history"}


@click.command("runs", cls=Command)
@option(
    "--last", group="What to list", type=click.IntRange(1), default=20, metavar="N", help="Newest runs.  [default: 20]"
)
@reading_options
def command(last: int, **given: Any) -> None:
    """List what became of trainings, the newest last, and what asks for another.

    Of `driftline train --follow`: for what it was, what of the history it has learned from and was judged on, what the
    gate said, and how long it took. The gate's reports lie beside, under the name of the run.
    """
    from pipeline.adapters.bundles.history import short
    from pipeline.adapters.bundles.reading import RegistryView
    from pipeline.adapters.bundles.training_log import TrainingLog
    from pipeline.cli.models.telling import moment, print_json, say
    from pipeline.cli.screen import make_console
    from pipeline.cli.tables import left, print_table, right
    from pipeline.learning.schedule import is_answered

    url = config_of(given).models.registry
    records, champion = TrainingLog(url), RegistryView(url).champion() or ""
    runs = records.runs()
    waiting = [one for one in records.signals() if not is_answered(one, runs, champion)]
    if given["as_json"]:
        print_json({"runs": runs[-last:], "waiting": waiting})
        return
    console = make_console()
    if runs:
        rows = [
            (
                moment(one.at), one.trigger, _WORDS.get(one.outcome, one.outcome), short(one.bundle)[:8],
                f"{moment(one.since)} to {moment(one.until)}", _loss(one.champion_loss), _loss(one.challenger_loss),
                f"{sum(one.seconds.values()):.0f} s", _told(one),
            )
            for one in runs[-last:]
        ]  # fmt: skip
        columns = [
            left("When (UTC)"), left("For"), left("Outcome"), left("Bundle"), left("History"), right("Champion"),
            right("Challenger"), right("Took"), left("Told"),
        ]  # fmt: skip
        for column in (columns[4], columns[8]):
            column.no_wrap, column.overflow = False, "fold"
        print_table(console, f"{records.shown}: trainings, losses in nats per point", columns, rows)
    else:
        say(f"{records.shown}: no training yet")
    for path, why in records.damaged.items():
        say(f"{path} is damaged and passed over: {why}")
    for signal in waiting:
        say(f"waits since {moment(signal.at)}: {signal.kind} ({signal.reason or 'no reason given'})")


def _told(run: "Run") -> str:
    """What became of it, in words, and whether it was gone on with."""
    if not run.resumed:
        return run.told
    behind = "anew" if run.resumed_step is None else f"behind step {run.resumed_step}"
    times = f" {len(run.resumed)} times" if len(run.resumed) > 1 else ""
    return f"{run.told} (interrupted{times}, gone on with {behind})"


def _loss(loss: float | None) -> str:
    return "-" if loss is None else f"{loss:.4f}"
