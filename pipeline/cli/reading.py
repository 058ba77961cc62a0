"""Options of commands that read recorded streams."""

from typing import Any

from pipeline.cli.commands import option, together
from pipeline.cli.options import keys_of
from pipeline.config import Given

READ = "What to read"
reading_options = together(
    option("--time-field", group=READ, metavar="NAME", help="Column of event times.  [default: found out]"),
    option(
        "--value-fields",
        group=READ,
        multiple=True,
        metavar="NAMES",
        help="Columns of numbers, separated by commas; may be repeated.  [default: all]",
    ),
    option(
        "--key-field", group=READ, metavar="NAME", help="Column that tells streams apart.  [default: each file is one]"
    ),
    option(
        "--time-unit",
        group=READ,
        metavar="UNIT",
        help="auto, iso, or epoch numbers in s, ms, us or ns.  [default: auto]",
    ),
    option("--from", "from_", group=READ, metavar="TIME", help="First event time: ISO 8601 (UTC) or epoch number."),
    option("--to", group=READ, metavar="TIME", help="Event time to stop before."),
)
"""Decorates a command with the options by which recorded streams are read."""


def source_keys(given: dict[str, Any]) -> dict[str, Given]:
    """Those of the options that are keys of the configuration, by dotted key."""
    keys = keys_of(given, {"source": ("time_field", "key_field", "time_unit")})
    if given["value_fields"]:
        keys["source.value_fields"] = Given("--value-fields", ",".join(given["value_fields"]))
    return keys
