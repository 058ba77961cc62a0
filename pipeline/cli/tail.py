"""`driftline tail`."""

from pathlib import Path

import click

from pipeline.cli.commands import Command, option

_EXAMPLES = """\
\b
Examples:
  driftline tail
      The newest ten anomalies, and then those that come.
  driftline tail --severity high --key 'pump-*'
      Of some keys, and grave ones alone.
  driftline tail --from 2026-11-26T08:00 --no-follow --json > since-eight.jsonl
      What was told since, as it is in the topic.
"""
_WHICH, _HOW = "Which", "How"


@click.command("tail", cls=Command, epilog=_EXAMPLES)
@option(
    "--config",
    "file",
    group=_WHICH,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Configuration of the service, TOML; ./driftline.toml if there is one.",
)
@option("--key", "keys", group=_WHICH, metavar="PATTERN", help="Keys that match, such as 'pump-*'.")
@option(
    "--severity",
    group=_WHICH,
    type=click.Choice(["low", "medium", "high", "critical"]),
    default="low",
    help="At least so severe.  [default: low]",
)
@option("--event", group=_WHICH, type=click.Choice(["opened", "worsened", "closed"]), help="Events of this kind alone.")
@option("--last", group=_WHICH, type=click.IntRange(0, 10_000), default=10, metavar="N",
        help="Begin with the newest N that match.  [default: 10]")  # fmt: skip
@option("--from", "from_", group=_WHICH, metavar="TIME", help="Instead: begin with what was written from then on, UTC.")
@option("--follow/--no-follow", group=_HOW, default=True, help="Go on with those that come.  [default: follow]")
@option("--json", "as_json", group=_HOW, is_flag=True, help="As in the topic, a line each.")
def command(
    file: Path | None,
    *,
    keys: str | None,
    severity: str,
    event: str | None,
    last: int,
    from_: str | None,
    follow: bool,
    as_json: bool,
) -> int:
    """Follow anomalies as they are committed.

    It reads the topic of anomalies that the configuration names, takes part in no group and changes nothing. Ctrl-C
    ends it.
    """
    from pipeline.cli.tailing import Choice, tail
    from pipeline.cli.times import range_of
    from pipeline.config import environment, load_config
    from pipeline.config.loading import DEFAULT_FILE

    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    config = load_config(file, environ=environment()).config
    from_us, _ = range_of(from_, None)
    return tail(config, Choice(keys, severity, event), last=last, from_us=from_us, follow=follow, as_json=as_json)
