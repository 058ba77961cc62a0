"""`driftline serve`."""

import os
import signal
import threading
from pathlib import Path

import click

from pipeline.cli.commands import Command, option

_EXAMPLES = """\
\b
Examples:
  driftline serve --config driftline.toml
      What the file says; driftline config --example prints one.
  driftline check --config driftline.toml
      Is everything there that it needs? Try this first.
  driftline serve --config driftline.toml --warm-from fleet.lanes
      Streams begin as their past has left them; driftline warm makes such files.
  DRIFTLINE_KAFKA__PASSWORD=... driftline serve --config driftline.toml --workers 4
      Secrets by environment; four processes that share the partitions, with one address for metrics.
"""


@click.command("serve", cls=Command, epilog=_EXAMPLES)
@option(
    "--config",
    "file",
    group="Service",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Configuration, TOML; ./driftline.toml if there is one.",
)
@option(
    "--warm-from",
    group="Service",
    metavar="FILE",
    help="Begin streams that are new where a file of `driftline warm` has left them, with verdicts at once.",
)
@option("--create-topics", group="Service", is_flag=True, help="Make topics for outputs and state that are missing.")
@option(
    "--workers", group="Service", type=click.IntRange(1, 64), default=1, metavar="N", help="Processes.  [default: 1]"
)
@click.option("--worker", hidden=True, type=int, default=None)
@click.option("--tell-port", hidden=True, type=int, default=None)
@click.option("--life", hidden=True, type=int, default=None)
def command(
    file: Path | None,
    *,
    warm_from: str | None,
    create_topics: bool,
    workers: int,
    worker: int | None,
    tell_port: int | None,
    life: int | None,
) -> int:
    """Score the records of Kafka topics as they come.

    It runs until it is told to stop. It is a member of a consumer group: start more of them, on any host, and they
    share the partitions. Outputs and offsets are committed together; the state is kept where [state] says, so that
    whoever takes a partition up goes on where the last one was, to the bit.
    """
    from pipeline.cli.kernels import use_kernel_cache
    from pipeline.config import Given, environment, load_config
    from pipeline.config.loading import DEFAULT_FILE

    use_kernel_cache()
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    options = {"output.create": Given("--create-topics", value=True)} if create_topics else {}
    if warm_from is not None:
        options["state.warm_from"] = Given("--warm-from", [warm_from])
    config = load_config(file, options, environ=environment()).config
    if workers > 1:
        from pipeline.cli.supervising import supervise

        passed_on = ["--create-topics"] * create_topics + ([] if warm_from is None else ["--warm-from", warm_from])
        return supervise(config, file, workers, passed_on)
    from pipeline.cli.serving import Member, serve

    if life is not None:
        _end_with(life)
    port = 0 if worker is not None else None
    return serve(config, Member(file, options, lambda bound: _tell(tell_port, bound), port, worker))


def _tell(descriptor: int | None, port: int) -> None:
    """Write the port for a supervisor to read."""
    if descriptor is not None:
        os.write(descriptor, f"{port}\n".encode())
        os.close(descriptor)


def _end_with(descriptor: int) -> None:
    """Stop in good order when the supervisor is gone, however it went."""

    def wait() -> None:
        os.read(descriptor, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="life", daemon=True).start()
