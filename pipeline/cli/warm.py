"""`driftline warm`."""

from pathlib import Path
from typing import Any

import click

from pipeline.cli.commands import Command, option
from pipeline.cli.detector_options import bundle_option, profile_option
from pipeline.cli.options import DETECT, RUN, config_option, keys_of
from pipeline.cli.reading import reading_options, source_keys
from pipeline.config import Given, environment, load_config

_EXAMPLES = """\
\b
Examples:
  driftline warm last-month.parquet --time-field ts --value-fields load --key-field host --out fleet.lanes
      What last month has left of each host.
  driftline serve --config driftline.toml --warm-from fleet.lanes
      Each host is judged from its first record on.
  driftline warm kafka://localhost:9092/metrics --config driftline.toml --to 2026-11-01 --out november.lanes
      The past of a topic, up to a time.
  driftline replay today.parquet --warm-from fleet.lanes
      The same for a replay, which also takes the history itself.
"""


@click.command("warm", cls=Command, epilog=_EXAMPLES)
@click.argument("history", nargs=-1, required=True)
@reading_options
@profile_option
@bundle_option(DETECT)
@option(
    "--out",
    group=RUN,
    type=click.Path(path_type=Path),
    default=Path("driftline.lanes"),
    metavar="FILE",
    help="File to be written.  [default: ./driftline.lanes]",
)
@option("--overwrite", group=RUN, is_flag=True, help="Replace the file.")
@config_option()
@option("--quiet", group=RUN, is_flag=True, help="Show no progress.")
def command(history: tuple[str, ...], file: Path | None, **given: Any) -> int:
    """Put a history through the detector, and keep what it leaves for new streams to begin with.

    HISTORY is a file, a folder or a glob of CSV, TSV, Parquet or JSON lines, or kafka://host:port/topic; several are
    one history. The file holds the state of each stream behind its last record. Where `driftline serve` or `driftline
    replay` is given it by --warm-from, a stream of the same key begins with that state, and has verdicts from its
    first record on. Both have to be given the same detector, bundle and windows.
    """
    from pipeline.cli.kernels import use_kernel_cache

    kernels = use_kernel_cache()
    config = load_config(file, _overrides(given), environ=environment()).config

    from pipeline.cli.lane_making import run_warm, told_of
    from pipeline.cli.screen import Screen, make_console
    from pipeline.cli.tables import print_pairs
    from pipeline.cli.times import range_of

    from_us, to_us = range_of(given["from_"], given["to"])
    screen = Screen(quiet=given["quiet"])
    lanes = run_warm(
        history, given["out"], config, screen,
        kernels=kernels, from_us=from_us, to_us=to_us, overwrite=given["overwrite"],
    )  # fmt: skip
    print_pairs(make_console(), told_of(lanes))
    return 0


def _overrides(given: dict[str, Any]) -> dict[str, Given]:
    """Options that are keys of the configuration, by dotted key."""
    return keys_of(given, {"detector": ("profile", "bundle")}) | source_keys(given)
