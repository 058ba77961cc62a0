"""`driftline evaluate nab`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.commands import Command
from pipeline.cli.evaluate.options import config_of, jobs_of, shared_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.adapters.files.labelled import NabCorpus
    from pipeline.evaluation.measures import StreamResult

WINDOWS = 116
"""Labelled windows of the whole benchmark, which published scores are of."""
_ABOVE_ALL_SCORES = 1.1
_EXAMPLES = """\
\b
Examples:
  git clone https://github.com/numenta/NAB
  driftline evaluate nab NAB
  driftline evaluate nab NAB --profile dense --json > dense.json
  driftline evaluate nab NAB --out out/nab
      With NAB's own files of scores, and thresholds.json: its scorer can be run on them.
"""


@click.command("nab", cls=Command, epilog=_EXAMPLES)
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@shared_options
def command(directory: Path, **given: Any) -> int:
    """Score a checkout of the Numenta Anomaly Benchmark.

    DIR holds data/<category>/<file>.csv and labels/combined_windows.json. The three profiles of the benchmark are
    printed beside published ones, with a held-out protocol and measures that no benchmark's rules have a part in.
    """
    from pipeline.cli.kernels import use_kernel_cache

    kernels = use_kernel_cache()
    config, jobs = config_of(given), jobs_of(given)

    from pipeline.adapters.files.labelled import open_nab
    from pipeline.cli.evaluate.printing import print_nab
    from pipeline.cli.evaluate.running import claim_output, describe_run, evaluate_sources, number_of, to_json
    from pipeline.cli.screen import Screen, make_console
    from pipeline.errors import InputError
    from pipeline.evaluation.nab import describe_nab

    screen = Screen(quiet=given["quiet"])
    corpus = open_nab(directory)
    if not sum(len(file.windows) for file in corpus.files):
        raise InputError(str(directory), found="no labelled window for its files", expected="at least one")
    claim_output(given["out"], overwrite=given["overwrite"])
    results = evaluate_sources(corpus.files, config, jobs, screen, kernels=kernels)
    try:
        described = {**describe_run("nab", directory, config), **describe_nab(results)}
    except ValueError as exc:
        raise InputError(str(directory), found=f"windows that cannot be scored ({exc})", expected="NAB's own") from exc
    if given["out"] is not None:
        _write(given["out"], corpus, results, described)
    if described["detection"]["windows"] != WINDOWS:
        windows = number_of(described["detection"]["windows"], "window")
        screen.note(
            f"notice: found {number_of(len(corpus.files), 'file')} with {windows}, where the whole benchmark has "
            f"{WINDOWS}: published scores are no measure for this part"
        )
    if given["as_json"]:
        click.echo(to_json(described), nl=False)
    if not (given["as_json"] and given["quiet"]):
        print_nab(make_console(stderr=given["as_json"]), described, given["out"])
    return 0


def _write(out: Path, corpus: "NabCorpus", results: "Sequence[StreamResult]", described: dict[str, Any]) -> None:
    """What NAB's scorer reads, and the results."""
    from pipeline.adapters.files.labelled import write_nab_scores
    from pipeline.adapters.outputs.durable import told_as_user_error
    from pipeline.cli.evaluate.running import DETECTOR, RESULTS, THRESHOLDS, to_json
    from pipeline.evaluation.nab import nab_scores

    thresholds = {
        profile: {"threshold": min(threshold, _ABOVE_ALL_SCORES), "score": described["scores"][profile]}
        for profile, threshold in described["thresholds"].items()
    }
    with told_as_user_error(out):
        for file, result in zip(corpus.files, results, strict=True):
            write_nab_scores(out, DETECTOR, file, nab_scores(result.scores.alert_score))
        (out / THRESHOLDS).write_bytes(to_json({DETECTOR: thresholds}))
        (out / RESULTS).write_bytes(to_json(described))
