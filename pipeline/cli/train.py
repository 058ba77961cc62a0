"""`driftline train`."""

from pathlib import Path
from typing import Any

import click

from pipeline.cli.commands import Command, option
from pipeline.cli.reading import reading_options, source_keys
from pipeline.cli.trainings import (
    RATE,
    SCRATCH_RATE,
    TUNING_RATE,
    Count,
    machine_options,
    network_options,
    resume_file,
    settle_in,
    tell_bytes,
)

_EXAMPLES = """\
\b
Examples:
  driftline train history.csv --out bundles/mine
      The shipped network, tuned on the streams of a file; score with it: driftline replay new.csv --bundle bundles/mine
  driftline train 'plant/*.parquet' --key-field pump --value-fields flow,pressure,power --joint --out bundles/pumps
      One network for the three fields of a pump together, which knows how they hang together.
  driftline train kafka://localhost:9092/metrics --config driftline.toml --from 2026-10-01 --out bundles/october
      What a topic has held since then.
  driftline train history.csv --start-from champion --publish
      The network in service, tuned further; then it is in the registry, for you to compare and promote.
  driftline train --follow --config driftline.toml
      Runs beside the service, and trains whenever it is due.
  driftline train history.csv --scratch --hidden 32 --seed 2 --time-limit 5min --out bundles/small
      Nothing taken over but the thresholds.
"""
_BUNDLE, _NETWORK, _TRAINING, _RUN = "The bundle", "The network", "The training", "How to run"
_FOLLOW = "Beside the service"
_POSITIVE = click.IntRange(min=1)
PUBLISHED = Path("driftline-train")
"""What a training is named after that goes to the registry alone."""


@click.command("train", cls=Command, epilog=_EXAMPLES, context_settings={"show_default": True})
@click.argument("history", nargs=-1)
@option(
    "--out",
    group=_BUNDLE,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Directory to make for the bundle.",
)
@option("--publish", group=_BUNDLE, is_flag=True, help="Put it into the registry, as `driftline models add` does.")
@option(
    "--registry",
    group=_BUNDLE,
    metavar="URL",
    help="Folder or URL of the registry.  [default: models.registry of the configuration, driftline-models]",
)
@option(
    "--start-from",
    group=_BUNDLE,
    metavar="BUNDLE",
    help="What to begin with: weights, thresholds, and an eye for incidents. shipped, a folder, champion, #ID or "
    "URL#ID.  [default: detector.bundle of the configuration, shipped]",
)
@option("--joint", group=_NETWORK, is_flag=True, help="One network for all fields of a key together.")
@option("--scratch", group=_NETWORK, is_flag=True, help="Begin with random weights.  [default: with --joint]")
@network_options(_NETWORK, "of new weights")
@reading_options
@option(
    "--feedback",
    group=_TRAINING,
    metavar="FILE|URL",
    help="What was said by `driftline feedback`: a file, kafka://host:port/topic, or none. Maintenance and true "
    "anomalies are not learned, false alarms are.  [default: feedback.topic of the configuration]",
)
@option(
    "--seed",
    group=_TRAINING,
    type=click.IntRange(min=0),
    metavar="N",
    default=1,
    help="Decides excerpts and random weights.",
)
@option("--steps", group=_TRAINING, type=_POSITIVE, metavar="N", default=1500, help="Most optimiser steps.")
@option(
    "--excerpts",
    group=_TRAINING,
    type=Count(),
    metavar="N|auto",
    default="auto",
    help="Excerpts of series per step; auto: 24 on a CPU, on CUDA as many as memory has room for.",
)
@option("--length", group=_TRAINING, type=_POSITIVE, metavar="N", default=256, help="Records of a key in an excerpt.")
@option(
    "--peak-rate",
    group=_TRAINING,
    type=RATE,
    metavar="NUMBER",
    help=f"Highest learning rate.  [default: {TUNING_RATE}; from random weights {SCRATCH_RATE}]",
)
@option("--patience", group=_TRAINING, type=_POSITIVE, metavar="N", default=8, help="Validations without a better one.")
@option(
    "--most-points",
    group=_TRAINING,
    type=_POSITIVE,
    metavar="N",
    default=2_000_000,
    help="Points learned from at most, the newest of each key; decides the memory.",
)
@machine_options(_RUN)
@option(
    "--config",
    "file",
    group=_RUN,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configuration in TOML.  [default: ./driftline.toml, if there is one]",
)
@option("--quiet", group=_RUN, is_flag=True, help="Show neither progress nor notices.")
@option("--follow", group=_FOLLOW, is_flag=True, help="Train the champion on the input topics whenever it is due.")
@option(
    "--metrics-port",
    group=_FOLLOW,
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Show Prometheus metrics there; 0 for any.  [default: retrain.metrics_port, none]",
)
@click.option("--beside", hidden=True, type=int, default=None)
def command(history: tuple[str, ...], **given: Any) -> int:
    """Fit a network to your own history: a bundle in a folder, or in the registry.

    HISTORY are sources as `driftline replay` takes them. They are replayed by the bundle to begin with, so that what is
    learned from went through the same windows and rules, and points of incidents are left out. The newest fifth of each
    key is held back, to end the training in time and to count alarms. Needs torch; the bundle does not.

    Without a time limit, the same history and options give the same weights on the same CPU, even after interruptions:
    the same command goes on with a training that was interrupted. `torchrun --nproc-per-node N -m pipeline train ...`
    trains on several devices.

    With --follow it runs until it is told to stop, and takes everything from the configuration: by [retrain] it looks
    whether a training is due, trains the champion of the registry on the newest history of the [input] topics, has the
    gate judge it on a slice that it has not learned from, and promotes what passes. `driftline serve` runs one beside
    it with retrain.enabled; it may as well run alone, on a host with a GPU. It takes only --config, --registry and
    --metrics-port.
    """
    if given.pop("follow"):
        from pipeline.cli.learning.options import follow_as_told

        return follow_as_told(history, given)
    _require_history(history)
    from pipeline.cli.kernels import use_kernel_cache
    from pipeline.config import Given, environment, load_config
    from pipeline.errors import ConfigError

    kernels = use_kernel_cache()
    out = given["out"]
    if out is None and not given["publish"]:
        raise ConfigError("found neither --out nor --publish; expected one of them, or both: where to put the bundle")
    if out is not None and out.exists():
        raise ConfigError(f"--out: found {out}; expected a directory that is not there yet")
    options = source_keys(given)
    for name, key in (("start_from", "detector.bundle"), ("registry", "models.registry")):
        if given[name] is not None:
            options[key] = Given(f"--{name.replace('_', '-')}", given[name])
    config = load_config(given["file"], options, environ=environment()).config

    import pipeline.training.fit  # noqa: F401  before anything else that needs torch: it tells what is missing
    from pipeline.adapters.bundles import save_bundle
    from pipeline.cli.fitting import fit_on_screen, plan_fit, watch_history
    from pipeline.cli.opening import open_bundle
    from pipeline.cli.passes import Pass
    from pipeline.cli.screen import Screen, make_console
    from pipeline.cli.times import range_of, time_limit_s
    from pipeline.cli.trained import bundle_of, compare_alarms, open_for_publishing, publish, tell

    ranks = settle_in(given)
    screen, console = Screen(quiet=given["quiet"] or not ranks.leads), make_console()
    between, limit_s = range_of(given["from_"], given["to"]), time_limit_s(given)
    registry = open_for_publishing(config) if given["publish"] else None
    parent = open_bundle(config)
    passing = Pass(history, config, between, screen, kernels)
    kept = watch_history(passing, parent, given, screen)
    fit_config, start = plan_fit(config, given, kept.fields, parent, limit_s)
    screen.step(f"training on {kept.points_kept:,} points of {kept.keys_kept:,} keys")
    kept_in = resume_file(given, out or PUBLISHED, screen)
    fitted = fit_on_screen(kept, fit_config, start, screen, kept_in)
    if not ranks.leads:
        return 0
    tell_bytes(fitted.network, screen)
    bundle = bundle_of(fitted, parent, given["seed"], {})
    alarms = compare_alarms(passing, kept, bundle, screen)
    bundle = bundle_of(fitted, parent, given["seed"], alarms)
    if not given["quiet"]:
        tell(fitted, alarms, console)
    if out is not None:
        save_bundle(bundle, out)
        console.print(
            f"Bundle {bundle.short_id} is in {out}. Try it: driftline replay SOURCE --bundle {out}",
            highlight=False, soft_wrap=True,
        )  # fmt: skip
    if registry is not None:
        publish(registry, bundle, history, given, console)
    kept_in.remove()
    return 0


def _require_history(history: tuple[str, ...]) -> None:
    if not history:
        raise click.UsageError("Missing argument 'HISTORY...': what to learn from, or --follow.")
