"""`driftline report diff`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.commands import Command, option

if TYPE_CHECKING:
    from pipeline.adapters.report.diff import Comparison, Run

_EXAMPLES = """\
\b
Examples:
  driftline replay machine.csv --out out/a
  driftline replay machine.csv --out out/b --risk 0.2
  driftline report diff out/a out/b --out diff.html
      What half the risk comes to: which alarms go, and what differs stream by stream.
  driftline report diff out/a/verdicts.parquet out/b/verdicts.parquet --json
      Of one file alone, for another program to read.
  driftline report diff out/a out/b >/dev/null || echo "something differs"
      For scripts: 0 equal, 1 different, 2 trouble.
"""
_COMPARE, _SHOW = "How to compare", "What to show"


@click.command("diff", cls=Command, epilog=_EXAMPLES)
@click.argument("a", metavar="A", type=click.Path(path_type=Path))
@click.argument("b", metavar="B", type=click.Path(path_type=Path))
@option(
    "--tolerance",
    group=_COMPARE,
    metavar="TIME",
    help="Alarms no farther apart are the same, such as 10min.  [default: ten usual steps of their stream]",
)
@option("--force", group=_COMPARE, is_flag=True, help="Compare runs of different sources, too.")
@option(
    "--out", group=_SHOW, type=click.Path(path_type=Path), metavar="FILE", help="Page to write, or to write over: HTML."
)
@option("--json", "as_json", group=_SHOW, is_flag=True, help="Print JSON, and nothing else, to stdout.")
@option("--quiet", group=_SHOW, is_flag=True, help="Show no progress.")
def command(a: Path, b: Path, **given: Any) -> int:
    """Compare two runs: settings, counts, alarms, scores, stream by stream.

    A and B are folders of `driftline replay`, or the same file of both: anomalies.jsonl or verdicts.parquet. They are
    equal when they say the same of every point, however long they took and whatever they ran on.

    The exit status is 0 if they are equal, 1 if they differ, and 2 for trouble, as that of diff.
    """
    from pipeline.adapters.report.diff import compare, open_run, refuse_different_sources, write_diff
    from pipeline.adapters.report.diff.runs import refuse_different_parts
    from pipeline.cli.screen import Screen, make_console
    from pipeline.errors import ConfigError

    tolerance_ms = _tolerance_ms(given["tolerance"])
    ours, theirs = open_run(a), open_run(b)
    (refuse_different_parts if given["force"] else refuse_different_sources)(ours, theirs)
    out: Path | None = given["out"]
    if out is not None and (out.is_dir() or not out.absolute().parent.is_dir()):
        raise ConfigError(f"--out: found {out}; expected a file in a folder that is there")
    comparison = _compared(compare, ours, theirs, tolerance_ms, Screen(quiet=given["quiet"] or given["as_json"]))
    if out is not None:
        try:
            write_diff(comparison, out)
        except OSError as exc:
            raise ConfigError(f"--out: found that {out} cannot be written ({exc.strerror}); expected room") from exc
    if given["as_json"]:
        from pipeline.cli.models.telling import print_json

        print_json(comparison.told)
    else:
        from pipeline.cli.report.printing import print_comparison

        print_comparison(make_console(), comparison, out)
    return 0 if comparison.is_equal else 1


def _tolerance_ms(text: str | None) -> float | None:
    from pipeline.cli.times import duration_of

    return None if text is None else duration_of("--tolerance", text).total_seconds() * 1000


def _compared(compare: Any, ours: "Run", theirs: "Run", tolerance_ms: float | None, screen: Any) -> "Comparison":
    """With a bar: each point is walked over three times."""
    total = sum(one.verdicts.rows for one in (ours, theirs) if one.verdicts is not None) * 3
    done = 0
    with screen.bar("comparing", "points", total) as move:

        def moved(rows: int) -> None:
            nonlocal done
            done += rows
            move("comparing", done, done)

        compared: Comparison = compare(ours, theirs, tolerance_ms=tolerance_ms, moved=moved)
        return compared
