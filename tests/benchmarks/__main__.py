"""Run the benchmarks, print a table and keep the figures as JSON; exit status 1 when one falls short."""

import json
import platform
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks import decoding, engine

OUT = Path("build/benchmarks.json")


def main() -> int:
    """Run them all."""
    figures = engine.run()
    table = Table(title="Points per second, one process; medians of interleaved rounds")
    table.add_column("side")
    table.add_column("points/s", justify="right")
    table.add_column("engine (balanced) is", justify="right")
    table.add_column("expected", justify="right")
    for side, rate in figures["points_per_s"].items():
        ratio, least = figures["engine_balanced_ratio_to"].get(side), figures["at_least"].get(side)
        table.add_row(side, f"{rate:,}", f"{ratio:.1f}x" if ratio else "", f">= {least:.0f}x" if least else "")
    sizes = Table(title="Bytes of state per lane")
    sizes.add_column("profile")
    sizes.add_column("bytes", justify="right")
    sizes.add_column("expected", justify="right")
    for profile, size in figures["bytes_per_lane"].items():
        most = figures["at_most_bytes"].get(profile)
        sizes.add_row(profile, f"{size:,}", f"<= {most:,}" if most else "")
    decoded = decoding.run()
    formats = Table("side", "points/s", "JSON objects times", "expected", title="Points decoded per second")
    for row in decoding.rows(decoded):
        formats.add_row(*row)
    console = Console()
    console.print(table, sizes, formats)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(
        json.dumps({"python": platform.python_version(), "engine": figures, "decoding": decoded}, indent=2) + "\n"
    )
    console.print(f"kept in {OUT}")
    short = engine.shortfalls(figures) + decoding.shortfalls(decoded)
    for line in short:
        console.print(f"falls short: {line}")
    return 1 if short else 0


sys.exit(main())
