"""`driftline evaluate`: the detector measured on labelled streams."""

import click

from pipeline.cli.commands import GroupOfLazyCommands

_EPILOG = """\
\b
Examples:
  driftline evaluate nab NAB
  driftline evaluate folder labelled/
"""


@click.group(
    "evaluate",
    cls=GroupOfLazyCommands,
    package="pipeline.cli.evaluate",
    modules={
        "nab": "Score a checkout of the Numenta Anomaly Benchmark.",
        "folder": "Measure the detector on a folder of labelled files.",
    },
    epilog=_EPILOG,
)
def command() -> None:
    """Measure the detector on labelled streams.

    Every stream goes through the engine of `driftline replay`, once and in order, with the settings that a replay would
    have; labels are looked at when all is scored.
    """
