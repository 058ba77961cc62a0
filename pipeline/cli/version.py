"""`driftline version`."""

from importlib import metadata

import click

from pipeline.cli.commands import Command


def driftline_version() -> str:
    """Version of the installed distribution."""
    try:
        return metadata.version("driftline")
    except metadata.PackageNotFoundError:  # run from its sources
        return "0+unknown"


@click.command("version", cls=Command)
def command() -> None:
    """Print the versions of Driftline and of its shipped bundle."""
    from pipeline.adapters.bundles import load_bundle, shipped_bundle_path

    bundle = load_bundle(shipped_bundle_path())
    click.echo(f"driftline {driftline_version()}, bundle {bundle.short_id}")
