"""`driftline replay`."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.commands import Command, option
from pipeline.cli.detector_options import detector_keys, detector_options
from pipeline.cli.options import (
    DETECT,
    RUN,
    WRITE,
    config_option,
    json_option,
    keys_of,
    labels_option,
    quiet_option,
)
from pipeline.cli.reading import reading_options, source_keys
from pipeline.config import Config, Given, LoadedConfig, environment, load_config
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.cli.replay_parts import Request

_EXAMPLES = """\
\b
Examples:
  driftline replay machine.csv
      One stream; the columns of times and numbers are found out.
  driftline replay plant.parquet --time-field ts --value-fields temperature,pressure --key-field sensor
      Many streams in one file, told apart by a column, of two fields each.
  driftline replay 'history/*.csv' --labels incidents.csv --risk 0.2 --out out/strict
      A file a stream; judged by known incidents; fewer alarms.
  driftline replay machine.csv --detector river.anomaly.HalfSpaceTrees --detector-option n_trees=25
      The same by a detector to compare with.
  driftline replay today.csv --warm-from last-week.csv
      Verdicts from the first record on: the stream begins as last week has left it.
  driftline replay kafka://localhost:9092/metrics --config driftline.toml --from 2026-11-01
      What `driftline serve` would have said of a topic since then.
  driftline replay machine.csv --from 2014-02-01 --to 2014-02-15 --speed 3600 --metrics-port 9100
      Two weeks, an hour a second, watched by Prometheus.
"""
_DEFAULTS = Config()


@click.command("replay", cls=Command, epilog=_EXAMPLES)
@click.argument("source")
@reading_options
@detector_options
@labels_option
@option(
    "--feedback",
    group=DETECT,
    metavar="FILE|URL",
    help="Mark events by what `driftline feedback` has kept in a file, or in kafka://host:port/topic.",
)
@option(
    "--warm-from",
    group=DETECT,
    multiple=True,
    metavar="HISTORY",
    help="Begin each stream where HISTORY, another source, leaves it; may be repeated. Or a file of `driftline warm`.",
)
@option(
    "--swaps",
    group=DETECT,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="LOG",
    help="With a topic: go over from bundle to bundle where the JSON log of `driftline serve` says that it did.",
)
@option("--strict", group=DETECT, is_flag=True, help="End at the first unusable or late record.")
@option(
    "--out",
    group=WRITE,
    type=click.Path(path_type=Path),
    default=Path("driftline-replay"),
    metavar="DIR",
    help="Directory of the outputs.  [default: ./driftline-replay]",
)
@json_option("summary.json")
@option("--no-report", group=WRITE, is_flag=True, help="Write no report.html.")
@option("--resume", group=WRITE, is_flag=True, help="Go on where the replay in the directory was interrupted.")
@option("--overwrite", group=WRITE, is_flag=True, help="Replace the replay in the directory.")
@config_option()
@option("--speed", group=RUN, default="max", metavar="max|N", help="N times as fast as it happened.  [default: max]")
@option(
    "--micro-batch",
    group=RUN,
    metavar="N",
    help=f"Records taken at a time.  [default: {_DEFAULTS.replay.micro_batch:,}; with --speed N: 1]",
)
@option(
    "--metrics-port",
    group=RUN,
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Serve Prometheus metrics; 0: any port.",
)
@quiet_option
def command(source: str, **given: Any) -> int:
    """Score recorded streams as if they happened now.

    SOURCE is a file, a folder or a glob of CSV, TSV, Parquet or JSON lines; or kafka://host:port/topic, of which no
    group's offsets are touched, and where --from and --to are the times that Kafka has of the records. The outputs are
    report.html, anomalies.jsonl, verdicts.parquet and summary.json.
    """
    from pipeline.cli.kernels import use_kernel_cache

    kernels = use_kernel_cache()
    loaded = load_config(given["file"], _overrides(given), environ=environment())

    from pipeline.cli.printing import print_next, print_replay
    from pipeline.cli.screen import Screen, make_console
    from pipeline.cli.session import SUMMARY, replay_files

    request = _request(source, given)
    screen = Screen(quiet=given["quiet"])
    replayed = replay_files(request, _paced(loaded, request.speed), screen, kernels=kernels)
    if given["as_json"]:
        click.echo((request.out / SUMMARY).read_bytes(), nl=False)
    console = make_console(stderr=given["as_json"])
    if not (given["as_json"] and given["quiet"]):
        print_replay(console, replayed, request.out)
        if not replayed.stopped:
            print_next(console, replayed.summary)
    if replayed.stopped:
        further = (
            f"go on with:\n  {resume_command()}"
            if replayed.is_resumable
            else f"what {loaded.config.detector.kind} has learned is not saved: to go on, start afresh with --overwrite"
        )
        click.echo(f"Stopped. Everything so far is in {request.out}; {further}", err=True)
    return replayed.stopped


def _overrides(given: dict[str, Any]) -> dict[str, Given]:
    """Options that are keys of the configuration, by dotted key."""
    options = detector_keys(given) | keys_of(given, {"replay": ("micro_batch",)})
    if given["warm_from"]:
        options["state.warm_from"] = Given("--warm-from", list(given["warm_from"]))
    return options | source_keys(given)


def _paced(loaded: LoadedConfig, speed: float | None) -> Config:
    """The configuration; where a pace is asked for, and no micro-batch, records come one by one."""
    config = loaded.config
    if speed is None or "replay.micro_batch" in loaded.given:
        return config
    return config.model_copy(update={"replay": config.replay.model_copy(update={"micro_batch": 1})})


def _request(source: str, given: dict[str, Any]) -> "Request":
    from pipeline.cli.replay_parts import Request
    from pipeline.cli.times import range_of

    if given["resume"] and given["overwrite"]:
        raise ConfigError("found --resume and --overwrite; expected one of them: go on, or start afresh")
    from_us, to_us = range_of(given["from_"], given["to"])
    return Request(
        source=source,
        out=given["out"],
        from_us=from_us,
        to_us=to_us,
        labels=given["labels"],
        speed=_speed(given["speed"]),
        existing="resume" if given["resume"] else "overwrite" if given["overwrite"] else "refuse",
        strict=given["strict"],
        metrics_port=given["metrics_port"],
        report=not given["no_report"],
        swaps=given["swaps"],
        feedback=given["feedback"],
    )


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise ConfigError(
            f"--speed: found {text!r}; expected max or a positive number, such as 60 for a minute a second"
        )
    return speed


def same_command(*, without: Sequence[str]) -> list[str]:
    """The words of this very command, but for some."""
    program, *arguments = sys.argv
    start = [sys.executable, "-m", "pipeline"] if program.endswith("__main__.py") else [program]
    return [*start, *(argument for argument in arguments if argument not in without)]


def resume_command() -> str:
    """This very command, made to go on."""
    return shlex.join([*same_command(without=("--overwrite", "--resume")), "--resume"])
