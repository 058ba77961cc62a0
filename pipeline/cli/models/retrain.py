"""`driftline models retrain`."""

from typing import Any

import click

from pipeline.cli.commands import Command
from pipeline.cli.models.options import act_of, acting_options, config_of

_EXAMPLES = """\
\b
Examples:
  driftline models retrain --reason "new machines in hall 3"
  driftline models runs                              what became of it
"""


@click.command("retrain", cls=Command, epilog=_EXAMPLES)
@acting_options
def command(**given: Any) -> None:
    """Ask for a training of the champion.

    The trainer that runs beside the service, or alone (`driftline train --follow`), finds it at its next look, and
    trains without waiting for retrain.least_interval. The gate decides as ever.
    """
    from pipeline.adapters.bundles.training_log import TrainingLog, new_name
    from pipeline.cli.models.telling import print_json, say
    from pipeline.learning.records import Signal

    records, act = TrainingLog(config_of(given).models.registry), act_of(given)
    signal = Signal(
        name=new_name(act.at, "requested"), kind="requested", at=act.at, by=act.actor, reason=act.reason
    )  # fmt: skip
    records.tell(signal)
    if given["as_json"]:
        print_json(signal)
    else:
        say(f"asked for a training ({signal.name}): driftline models runs tells what becomes of it")
