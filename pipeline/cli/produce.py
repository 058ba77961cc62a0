"""`driftline produce`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.commands import Command, Number, option
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.cli.producing import Order

_EXAMPLES = """\
\b
Examples:
  driftline produce fleet --to kafka://localhost:9092/metrics --partitions 4
      The synthetic fleet of the demonstration, to a topic that is made for it.
  driftline produce machine.csv --to kafka://localhost:9092/metrics --rate 100
      A file, a hundred points a second.
  driftline produce fleet --to kafka://localhost:9092/metrics --format json-lines --garbage 0.1
      Several points in a message, and one message in ten that cannot be used.
  driftline produce fleet --to kafka://localhost:9092/metrics --live --rate 200
      A point a second of each of 200 machines, at the times at which it is sent, for half an hour.
"""
_WHAT, _HOW = "What is sent", "How it is sent"


@click.command("produce", cls=Command, epilog=_EXAMPLES)
@click.argument("source")
@option("--to", "url", group=_WHAT, required=True, metavar="URL", help="kafka://host:port/topic")
@option(
    "--streams",
    group=_WHAT,
    type=click.IntRange(16, 100_000),
    default=200,
    metavar="N",
    help="Of the fleet.  [default: 200]",
)
@option(
    "--points",
    group=_WHAT,
    type=click.IntRange(800, 10**7),
    default=2000,
    metavar="N",
    help="A stream.  [default: 2000]",
)
@option(
    "--seed",
    group=_WHAT,
    type=click.IntRange(min=0),
    default=7,
    metavar="N",
    help="Of the fleet and of garbage.  [default: 7]",
)
@option("--garbage", group=_WHAT, type=Number(0, 0.9), default=0.0, metavar="SHARE", help="Of unusable messages.")
@option(
    "--format",
    "kind",
    group=_HOW,
    type=click.Choice(["json", "json-array", "json-lines", "arrow"]),
    default="json",
    help="Of the messages.  [default: json]",
)
@option(
    "--points-per-message",
    group=_HOW,
    type=click.IntRange(1, 2**20),
    default=10,
    metavar="N",
    help="Of a stream, at most, with the others; many make streams seem silent in between.  [default: 10]",
)
@option("--key-field", group=_HOW, metavar="NAME", help="Tell the key in the content, too.")
@option(
    "--time-unit",
    group=_HOW,
    type=click.Choice(["iso", "s", "ms", "us", "ns"]),
    default="ms",
    help="Of the field 'time'.  [default: ms]",
)
@option("--rate", group=_HOW, default="max", metavar="max|N", help="Points a second.  [default: max]")
@option(
    "--live",
    group=_HOW,
    is_flag=True,
    help="Of the fleet: times from now on, in step with --rate; a day of the machines takes 288 points.",
)
@option(
    "--partitions",
    group=_HOW,
    type=click.IntRange(0, 10_000),
    default=0,
    metavar="N",
    help="Make the topic, if it is missing.",
)
@option(
    "--config",
    "file",
    group=_HOW,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="For [kafka]: security, secrets.",
)
@option("--quiet", group=_HOW, is_flag=True, help="Show no progress.")
def command(source: str, **given: Any) -> int:
    """Send recorded or made-up points to a topic, to try things out.

    SOURCE is a file, a folder or a glob as for `driftline replay`, or `fleet`: streams of machines with known faults.
    """
    from pipeline.cli.kernels import use_kernel_cache

    use_kernel_cache()
    from pipeline.cli.producing import produce
    from pipeline.cli.screen import Screen
    from pipeline.config import environment, load_config

    config = load_config(given["file"], environ=environment()).config
    return produce(_order(source, given), config, Screen(quiet=given["quiet"]))


def _order(source: str, given: dict[str, Any]) -> "Order":
    from pipeline.cli.producing import Order

    return Order(
        source=source,
        url=given["url"],
        streams=given["streams"],
        points=given["points"],
        seed=given["seed"],
        garbage=given["garbage"],
        kind=given["kind"],
        points_per_message=given["points_per_message"],
        key_field=given["key_field"],
        time_unit=given["time_unit"],
        rate=_rate(given["rate"]),
        live=_live(source, given),
        partitions=given["partitions"],
    )


def _live(source: str, given: dict[str, Any]) -> bool:
    if given["live"] and (source != "fleet" or given["rate"] == "max"):
        found = f"the source {source}" if source != "fleet" else "no rate"
        raise ConfigError(f"--live: found {found}; expected fleet, and --rate: at which pace time goes on")
    return bool(given["live"])


def _rate(text: str) -> float | None:
    if text == "max":
        return None
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise ConfigError(f"--rate: found {text!r}; expected max or a positive number of points a second")
    return rate
