"""`driftline models`: the registry of bundles."""

import click

from pipeline.cli.commands import GroupOfLazyCommands

_EPILOG = """\
\b
Examples:
  driftline models add bundles/mine --promote        put a bundle in, and in service from the next start on
  driftline models list                              what there is, and which is the champion
  driftline models diff previous champion            what the last promotion changed
  driftline models rollback --reason "too many alarms"
  driftline replay machine.csv --bundle champion
"""


@click.group(
    "models",
    cls=GroupOfLazyCommands,
    package="pipeline.cli.models",
    modules={
        "list": "List the bundles of the registry, the newest first.",
        "show": "Show what a bundle is, and how it came about.",
        "diff": "Compare two bundles: weights, thresholds, metrics, training.",
        "history": "List what happened to the registry, the newest last.",
        "add": "Put a bundle into the registry.",
        "promote": "Make a bundle the champion.",
        "rollback": "Make the bundle champion that was it before.",
        "hold": "Hold promotion until it is released.",
        "release": "Free promotion again.",
        "pin": "Keep a bundle from being collected.",
        "unpin": "Let a bundle be collected again.",
        "retrain": "Ask for a training of the champion.",
        "runs": "List what became of trainings, the newest last, and what asks for another.",
        "gc": "Remove bundles that no rule keeps.",
        "verify": "Read every bundle and every event, and tell what is damaged.",
    },
    epilog=_EPILOG,
)
def command() -> None:
    """Manage the registry of bundles.

    A bundle is what scores: weights, thresholds, and how they came about. The registry keeps many of them, at any URL
    that fsspec knows, and says which is the champion. IDs may be abbreviated; 'champion' and 'previous' are names too.
    """
