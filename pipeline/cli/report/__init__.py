"""`driftline report`: what becomes of the outputs of replays."""

import click

from pipeline.cli.commands import GroupOfLazyCommands


@click.group(
    "report",
    cls=GroupOfLazyCommands,
    package="pipeline.cli.report",
    modules={"diff": "Compare two runs: settings, counts, alarms, scores, stream by stream."},
)
def command() -> None:
    """Compare what two replays have left."""
