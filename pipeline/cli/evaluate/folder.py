"""`driftline evaluate folder`."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.commands import Command, option
from pipeline.cli.evaluate.options import config_of, jobs_of, shared_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.adapters.files.labelled import LabelledColumns
    from pipeline.evaluation.measures import StreamResult

_READ = "What to read"
_EXAMPLES = """\
\b
Examples:
  driftline evaluate folder labelled/
      Every CSV file a stream, with a column label, is_anomaly or anomaly of 0 and 1.
  driftline evaluate folder SMD/ --interval 1min
      Arrays: test/machine-1-1.npy, test_label/machine-1-1.npy and train/machine-1-1.npy, rows a minute apart.
  driftline evaluate folder plant/ --label-field fault --value-fields temperature,pressure --history 2000
      The first 2,000 rows of each file are learned from, and what is said of them is not measured.
"""


@click.command("folder", cls=Command, epilog=_EXAMPLES)
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@option(
    "--time-field",
    group=_READ,
    metavar="NAME",
    help="Column of event times.  [default: found out; without one rows are equally spaced]",
)
@option(
    "--value-fields",
    group=_READ,
    multiple=True,
    metavar="NAMES",
    help="Columns of numbers, separated by commas; may be repeated.  [default: all]",
)
@option(
    "--label-field",
    group=_READ,
    metavar="NAME",
    help="Column of labels, 0 or 1.  [default: label, is_anomaly or anomaly]",
)
@option(
    "--interval", group=_READ, default="1min", metavar="TIME", help="From row to row, without times.  [default: 1min]"
)
@option(
    "--history",
    group=_READ,
    type=int,
    default=0,
    metavar="N",
    help="First rows of a file, learned from and not measured.  [default: none; with arrays, their train part]",
)
@shared_options
def command(directory: Path, **given: Any) -> int:
    """Measure the detector on a folder of labelled files.

    DIR holds, at any depth, tables (CSV, TSV, JSON lines, Parquet) with a column of labels, a stream each, or arrays
    (.npy) with labels in files of their own. Several columns of numbers are the fields of one key.
    """
    from pipeline.cli.kernels import use_kernel_cache

    kernels = use_kernel_cache()
    config, jobs = config_of(given), jobs_of(given)

    from pipeline.adapters.files.labelled import open_folder
    from pipeline.cli.evaluate.printing import print_folder
    from pipeline.cli.evaluate.running import claim_output, describe_run, evaluate_sources, to_json
    from pipeline.cli.screen import Screen, make_console
    from pipeline.evaluation.measures import describe_each, describe_streams

    screen = Screen(quiet=given["quiet"])
    folder = open_folder(directory, _columns(given))
    if folder.ignored_files:
        screen.note(f"notice: {folder.ignored_files} other files in {directory} are left out")
    claim_output(given["out"], overwrite=given["overwrite"])
    results = evaluate_sources(folder.files, config, jobs, screen, kernels=kernels)
    described = {
        **describe_run("folder", directory, config),
        **describe_streams(results),
        "per_file": [
            {**one, "read": file.told} for one, file in zip(describe_each(results), folder.files, strict=True)
        ],
    }
    if given["out"] is not None:
        _write(given["out"], results, described)
    if not described["labelled_files"]:
        screen.note("notice: found no row labelled as anomalous; expected some: only false alarms can be measured")
    if given["as_json"]:
        click.echo(to_json(described), nl=False)
    if not (given["as_json"] and given["quiet"]):
        print_folder(make_console(stderr=given["as_json"]), described, given["out"])
    return 0


def _columns(given: dict[str, Any]) -> "LabelledColumns":
    from pipeline.adapters.files.labelled import LabelledColumns
    from pipeline.cli.times import duration_of

    names = [name.strip() for names in given["value_fields"] for name in names.split(",") if name.strip()]
    return LabelledColumns(
        time_field=given["time_field"],
        value_fields=tuple(names) or None,
        label_field=given["label_field"],
        interval_us=duration_of("--interval", given["interval"]) // timedelta(microseconds=1),
        history=given["history"],
    )


def _write(out: Path, results: "Sequence[StreamResult]", described: dict[str, Any]) -> None:
    """The scores of every row, and the results."""
    from pipeline.adapters.files.labelled import write_scores
    from pipeline.adapters.outputs.durable import told_as_user_error
    from pipeline.cli.evaluate.running import RESULTS, SCORES, to_json

    with told_as_user_error(out):
        for result in results:
            scores = {f"{name}_score": score for name, score in result.scores.scores.items()}
            scores["alert_score"] = result.scores.alert_score
            write_scores(out / SCORES / f"{result.name}.csv", result.time_us, result.is_anomaly, scores)
        (out / RESULTS).write_bytes(to_json(described))
