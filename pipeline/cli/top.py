"""`driftline top`."""

from pathlib import Path

import click

from pipeline.cli.commands import Command, Number, option

_EXAMPLES = """\
\b
Examples:
  driftline top
      The service on this host.
  driftline top --url http://metrics-7:9464 --interval 5
      Another one, looked at less often.
  driftline top --once
      How it is now, once.
"""


@click.command("top", cls=Command, epilog=_EXAMPLES)
@option("--url", group="Top", help="Of the service.  [default: as [http] of the configuration says]")
@option(
    "--config",
    "file",
    group="Top",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Configuration of the service, TOML; ./driftline.toml if there is one.",
)
@option(
    "--interval",
    group="Top",
    type=Number(0.2, 3600),
    default=1.0,
    metavar="SECONDS",
    help="Between two looks.  [default: 1]",
)
@option("--once", group="Top", is_flag=True, help="Show it once, as is done where there is no terminal.")
def command(url: str | None, file: Path | None, *, interval: float, once: bool) -> int:
    """Show live how the service is: throughput, lag, lanes, partitions and newest anomalies.

    It asks the API of the service, which its live page shows as well. Ctrl-C ends it.
    """
    from pipeline.cli.screen import make_console
    from pipeline.cli.topping import Service, top
    from pipeline.config import environment, load_config
    from pipeline.config.loading import DEFAULT_FILE

    if url is None:
        if file is None and DEFAULT_FILE.exists():
            file = DEFAULT_FILE
        http = load_config(file, environ=environment()).config.http
        host = "127.0.0.1" if http.host in {"0.0.0.0", "::"} else http.host  # noqa: S104  asked, not listened on
        url = f"http://{f'[{host}]' if ':' in host else host}:{http.port}"
    console = make_console()
    return top(Service(url), console, interval_s=interval, once=once or not console.is_terminal)
