"""`driftline feedback`: what people say of alarms and of maintenance."""

import click

from pipeline.cli.commands import GroupOfLazyCommands

_EPILOG = """\
\b
Examples:
  driftline feedback add --kind maintenance --key pump-7 --for 2h --note "new bearing"
      Nobody is told of pump-7 for two hours from now on; nothing of it is learned.
  driftline feedback add --kind false_alarm --anomaly metrics/3/81920/pump-7/flow/opened
      The episode was none; it may be learned as normal.
  driftline feedback list
  driftline feedback withdraw 4be0c1d2a3f4
  driftline gate bundles/mine 'history/*.csv' --feedback said.jsonl
      What was said counts in train, gate and replay as well.
"""


@click.group(
    "feedback",
    cls=GroupOfLazyCommands,
    package="pipeline.cli.feedback",
    modules={
        "add": "Say that a stretch of time is maintenance, a false alarm or a true anomaly.",
        "list": "List what has been said and holds, by the beginning of its range.",
        "withdraw": "Take back what was said under an ID.",
    },
    epilog=_EPILOG,
)
def command() -> None:
    """Say what alarms and stretches of time really are.

    It lies in a compacted topic (feedback.topic of the configuration) that the service follows, or in a file of JSON
    lines. Events in maintenance and in false alarms are suppressed; maintenance and true anomalies are not learned; all
    of it counts when a bundle is judged. Scores, verdicts and state are what they would be without.
    """
