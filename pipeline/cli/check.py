"""`driftline check`."""

from pathlib import Path

import click

from pipeline.cli.commands import Command, option

_EXAMPLES = """\
\b
Examples:
  driftline check --config driftline.toml
      Exit status 0 when the service could start with this, 2 when not.
"""


@click.command("check", cls=Command, epilog=_EXAMPLES)
@option(
    "--config",
    "file",
    group="Check",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Configuration, TOML; ./driftline.toml if there is one.",
)
@option("--create-topics", group="Check", is_flag=True, help="Take missing topics as ones that would be made.")
def command(file: Path | None, *, create_topics: bool) -> int:
    """See whether everything is there that `driftline serve` needs.

    Configuration, bundle, brokers, topics, permissions and state store, one after another, and what the state will
    take: memory per million lanes, and the time that a restore takes. Nothing is changed.
    """
    from pipeline.cli.kernels import use_kernel_cache
    from pipeline.config import Given, environment, load_config

    use_kernel_cache()
    options = {"output.create": Given("--create-topics", value=True)} if create_topics else {}
    config = load_config(file, options, environ=environment()).config
    from pipeline.cli.checking import check
    from pipeline.cli.screen import make_console

    return check(config, make_console())
