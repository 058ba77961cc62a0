"""`driftline feedback list`."""

from typing import Any

import click

from pipeline.cli.commands import Command, option
from pipeline.cli.feedback.options import config_of, place_options


@click.command("list", cls=Command)
@place_options
@option(
    "--kind", group="What", type=click.Choice(["false_alarm", "maintenance", "true_anomaly"]), help="Of one kind alone."
)
@option("--json", "as_json", group="What", is_flag=True, help="Print JSON lines, and nothing else, to stdout.")
def command(**given: Any) -> None:
    """List what has been said and holds, by the beginning of its range.

    Messages of a topic of which nothing can be made are told on stderr, and left out, as the service leaves them out.
    """
    from pipeline.cli.kernels import use_kernel_cache

    use_kernel_cache()
    from pipeline.cli.feedback.places import place_of
    from pipeline.cli.feedback.telling import end, field, streams
    from pipeline.cli.screen import make_console
    from pipeline.cli.tables import left, print_table
    from pipeline.codec.feedback import encode_feedback
    from pipeline.episodes import iso_time

    place = place_of(given["feedback"], config_of(given))
    found = place.read(lambda line: click.echo(line, err=True))
    said = sorted(
        (one for one in found if given["kind"] in {None, one.kind}), key=lambda one: (one.from_us, one.to_us, one.id)
    )
    if given["as_json"]:
        for one in said:
            click.echo(encode_feedback(one))
        return
    if not said:
        click.echo(f"{place.told}: nothing has been said that holds; driftline feedback add says something")
        return
    columns = [left(name) for name in ("ID", "Kind", "Streams", "Field", "From (UTC)", "To (UTC)", "By", "Note")]
    for column in (columns[2], columns[6], columns[7]):
        column.no_wrap, column.overflow = False, "fold"
    rows = [
        (one.id, one.kind, streams(one), field(one), iso_time(one.from_us), end(one), one.by or "-", one.note or "-")
        for one in said
    ]
    print_table(make_console(), place.told, columns, rows)
