"""`driftline config`."""

from pathlib import Path

import click

from pipeline.cli.commands import Command, option

_EXAMPLES = """\
\b
Examples:
  driftline config --example > driftline.toml      start a configuration of your own
  driftline config                                 what a replay here would use, and where each value is from
  DRIFTLINE_DETECTOR__RISK=0.2 driftline config    any key can be set in the environment
"""


@click.command("config", cls=Command, epilog=_EXAMPLES)
@option(
    "--config",
    "file",
    group="Options",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read this file.  [default: ./driftline.toml, if there is one]",
)
@option("--example", "wants_example", group="Options", is_flag=True, help="Print every key, explained.")
def command(file: Path | None, *, wants_example: bool) -> None:
    """Print the configuration in effect as TOML, or an example of one.

    Later wins: defaults, the file, environment variables DRIFTLINE_<SECTION>__<KEY>, options of a command.
    """
    from pipeline.config import environment, example, load_config, show

    if wants_example:
        click.echo(example(), nl=False)
        return
    loaded = load_config(file, environ=environment())
    from pipeline.cli.kernels import use_kernel_cache

    use_kernel_cache()
    from pipeline.cli.wiring import window_spec

    window_spec(loaded.config)  # whether its sizes go together is known there
    click.echo(show(loaded), nl=False)
