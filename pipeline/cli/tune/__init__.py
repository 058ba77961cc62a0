"""`driftline tune`."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from pipeline.cli.commands import Command, Number, option
from pipeline.cli.detector_options import bundle_option
from pipeline.cli.options import WRITE, config_option, jobs_option, json_option, quiet_option
from pipeline.cli.reading import READ, reading_options
from pipeline.config import environment, load_config
from pipeline.errors import ConfigError

_EXAMPLES = """\
\b
Examples:
  driftline tune 'history/*.csv'
      No labels: the settings that find most of the faults put in, at no more alarms than you have now.
  driftline tune 'history/*.csv' --alarms-per-day 0.05
      At most one alarm in twenty days and stream.
  driftline tune 'history/*.csv' --labels incidents.csv --objective recall --alarms-per-day 0.2
      Find as many of the known incidents as may be, at one false alarm in five days and stream.
  driftline tune NAB --labelled --search risk=0.2..3 --search profile,rest --trials 100
      A checkout of the Numenta Anomaly Benchmark, or a folder as `driftline evaluate folder` takes it.
  driftline tune plant.parquet --key-field sensor --fix profile=dense
      Everything but the profile, which is held.
"""
_WANT, _SEARCH = "What is wanted", "What to search"


@click.command("tune", cls=Command, epilog=_EXAMPLES)
@click.argument("history")
@reading_options
@option(
    "--labels",
    group=READ,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Known anomalies, as `driftline replay` takes them.",
)
@option(
    "--labelled",
    group=READ,
    is_flag=True,
    help="HISTORY has labels: a checkout of NAB, or files with a column of labels, as `driftline evaluate` takes them.",
)
@option(
    "--label-field",
    group=READ,
    metavar="NAME",
    help="With --labelled: column of labels.  [default: label, is_anomaly or anomaly]",
)
@option(
    "--interval",
    group=READ,
    default="1min",
    metavar="TIME",
    help="With --labelled: from row to row, without times.  [default: 1min]",
)
@option(
    "--objective",
    group=_WANT,
    type=click.Choice(["f1", "recall", "nab", "faults"]),
    help="f1, recall or nab of labelled anomalies, or the share found of faults put in.  "
    "[default: f1 with labels, else faults]",
)
@option(
    "--alarms-per-day",
    group=_WANT,
    type=Number(min=0, min_open=True),
    metavar="NUMBER",
    help="Most false alarms per stream and day; without labels, most alarms.  [default: none; for faults: as many as "
    "the settings configured raise]",
)
@option(
    "--search",
    group=_SEARCH,
    multiple=True,
    metavar="NAMES",
    help="Some of risk, profile, windows, rest, margin, quiet; with bounds risk=0.1..2 or choices "
    "profile=dense,balanced; may be repeated.  [default: all but quiet]",
)
@option(
    "--fix",
    group=_SEARCH,
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting to hold, such as profile=dense or episodes.warm_up=300; may be repeated.",
)
@option("--profile", group=_SEARCH, metavar="NAME", help="The same as --fix profile=NAME.")
@bundle_option(_SEARCH)
@option(
    "--trials",
    group=_SEARCH,
    type=click.IntRange(min=1),
    default=60,
    metavar="N",
    help="Settings tried.  [default: 60]",
)
@option("--time-limit", group=_SEARCH, metavar="TIME", help="Begin no trial after this time, such as 10min.")
@option("--seed", group=_SEARCH, type=click.IntRange(min=0), default=7, metavar="N", help="Of all draws.  [default: 7]")
@option(
    "--split",
    group=_SEARCH,
    type=click.Choice(["auto", "streams", "time"]),
    default="auto",
    help="What is held out: some streams, or the last of the time.  [default: streams, where there are 4 or more]",
)
@option(
    "--held-out",
    group=_SEARCH,
    type=Number(min=0, max=1, min_open=True, max_open=True),
    default=0.4,
    metavar="SHARE",
    help="Of the history that is held out.  [default: 0.4]",
)
@option(
    "--out",
    group=WRITE,
    type=click.Path(path_type=Path),
    default=Path("driftline-tune"),
    metavar="DIR",
    help="Directory of the search; the same again goes on.  [default: ./driftline-tune]",
)
@option("--overwrite", group=WRITE, is_flag=True, help="Begin the search in the directory afresh.")
@option("--force", group=WRITE, is_flag=True, help="Replace a driftline.toml in the directory that was edited.")
@json_option("tuning.json")
@config_option(purpose=", to begin with and to compare with")
@jobs_option
@quiet_option
def command(history: str, **given: Any) -> int:
    """Search the settings that suit your own history, and see on held-out history whether they do.

    HISTORY is what `driftline replay` takes. Each trial runs the engine of a replay over one part of it with other
    settings; the best ones are compared, on the part held out, with those configured now, and win only if they are
    better there. The outputs are driftline.toml, for --config of the other commands, tuning.json and trials.svg.

    With labels of known anomalies the settings are chosen by how many of them are found and how many alarms are false.
    Without, faults of known kinds are put into copies of the history, and as many as possible have to be found at the
    rate of alarms that you allow. Needs optuna.

    A search that was interrupted or killed goes on when the same command is given again, to the same result.
    """
    from pipeline.cli.kernels import use_kernel_cache

    kernels = use_kernel_cache()
    import pipeline.tuning.search  # noqa: F401  before anything else that takes long: it tells what is missing
    from pipeline.cli.tune.options import overrides, wanted_of

    loaded = load_config(given["file"], overrides(given), environ=environment())

    from pipeline.cli.evaluate.options import jobs_of
    from pipeline.cli.opening import pin_bundle
    from pipeline.cli.replay import same_command
    from pipeline.cli.screen import Screen, make_console
    from pipeline.cli.tune.history import read_history
    from pipeline.cli.tune.printing import print_tuned
    from pipeline.cli.tune.running import tune

    if loaded.config.detector.risk is None:
        raise ConfigError(
            "[detector] risk_per_day: found it set; expected risk, which is what is searched: set that to begin with"
        )
    # all trials are of one bundle, whatever is promoted meanwhile
    loaded = replace(loaded, config=pin_bundle(loaded.config))
    wanted = wanted_of(given)
    screen = Screen(quiet=given["quiet"])
    told = read_history(history, given, loaded.config, screen)
    tuned = tune(told, loaded, wanted, jobs_of(given), screen, kernels=kernels)
    if tuned.stopped:
        kept = f"{tuned.trials_done} of {wanted.trials} trials are kept in {wanted.out}"
        click.echo(f"Stopped: {kept}; go on with:\n  {shlex.join(same_command(without=('--overwrite',)))}", err=True)
        return tuned.stopped
    if given["as_json"]:
        click.echo((wanted.out / "tuning.json").read_bytes(), nl=False)
    if not (given["as_json"] and given["quiet"]):
        print_tuned(make_console(stderr=given["as_json"]), tuned.described, wanted.out)
    return 0
