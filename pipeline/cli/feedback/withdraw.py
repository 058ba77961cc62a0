"""`driftline feedback withdraw`."""

from typing import Any

import click

from pipeline.cli.commands import Command
from pipeline.cli.feedback.options import config_of, place_options
from pipeline.errors import InputError, nearest


@click.command("withdraw", cls=Command)
@click.argument("feedback_id", metavar="ID")
@place_options
def command(feedback_id: str, **given: Any) -> None:
    """Take back what was said under an ID.

    What was suppressed by it and goes on is told with its next flagged point.
    """
    from pipeline.cli.kernels import use_kernel_cache

    use_kernel_cache()
    from pipeline.cli.feedback.places import place_of
    from pipeline.cli.feedback.telling import tell

    place = place_of(given["feedback"], config_of(given))
    said = {one.id: one for one in place.read(lambda line: click.echo(line, err=True))}
    if feedback_id not in said:
        raise InputError(
            place.told, found=f"nothing said under {feedback_id!r}",
            expected=f"an ID that `driftline feedback list` shows{nearest(feedback_id, said)}",
        )  # fmt: skip
    place.withdraw(feedback_id)
    click.echo(f"{feedback_id}: withdrawn, {tell(said[feedback_id])}")
