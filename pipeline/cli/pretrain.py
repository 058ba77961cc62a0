"""`driftline pretrain`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.commands import Command, option
from pipeline.cli.training_screen import learning_curve, tell_errors, train_on_screen
from pipeline.cli.trainings import (
    HIDDEN,
    LAYERS,
    RATE,
    machine_options,
    network_options,
    resume_file,
    settle_in,
    structure_of,
    tell_bytes,
    told_of_network,
)

if TYPE_CHECKING:
    from pipeline.adapters.bundles import Manifest
    from pipeline.pretrain import PretrainConfig, Prior

_EXAMPLES = """\
\b
Examples:
  driftline pretrain --out bundles/mine
  driftline pretrain --out bundles/quick --steps 300 --time-limit 5min
  driftline pretrain --out bundles/large --hidden 96 --layers 2 --device cuda
  driftline pretrain --out bundles/gru --cell gru --convolution 4
  driftline pretrain --out bundles/recalibrated --keep-network bundles/mine --calibration-streams 1000
  driftline replay machine.csv --bundle bundles/mine
"""
CALIBRATION_STREAMS = 400
INPUTS_VERSION = 1
"""Version of what the network's inputs mean; goes into the bundle."""

_NETWORK, _TRAINING, _MACHINE = "The network", "The training", "The machine"
_POSITIVE = click.IntRange(min=1)


@click.command("pretrain", cls=Command, epilog=_EXAMPLES, context_settings={"show_default": True})
@option(
    "--out",
    group="The bundle",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="Directory to make for the bundle.",
)
@option(
    "--keep-network",
    group=_NETWORK,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Train none: take that of this bundle, and measure its thresholds anew. Needs no torch.",
)
@network_options(_NETWORK)
@option(
    "--seed",
    group=_TRAINING,
    type=click.IntRange(min=0),
    metavar="N",
    default=1,
    help="Decides streams and first weights.",
)
@option("--steps", group=_TRAINING, type=_POSITIVE, metavar="N", default=2500, help="Most optimiser steps.")
@option("--series", group=_TRAINING, type=_POSITIVE, metavar="N", default=24, help="Series per step.")
@option("--length", group=_TRAINING, type=_POSITIVE, metavar="N", default=1125, help="Points per series.")
@option("--validation-series", group=_TRAINING, type=_POSITIVE, metavar="N", default=96, help="Series held out.")
@option("--peak-rate", group=_TRAINING, type=RATE, metavar="NUMBER", default=0.02, help="Highest learning rate.")
@option(
    "--patience", group=_TRAINING, type=_POSITIVE, metavar="N", default=10, help="Validations without a better one."
)
@option(
    "--calibration-streams",
    group=_TRAINING,
    type=_POSITIVE,
    metavar="N",
    default=CALIBRATION_STREAMS,
    help="Fault-free streams of 12,000 points, with 8 times as many of 1,000, that thresholds are measured on. The "
    "default takes 9 minutes of one CPU; with 100, rates below 0.02 per 1,000 points are guesses.",
)
@machine_options(_MACHINE)
@option(
    "--makers",
    group=_MACHINE,
    type=click.IntRange(min=0),
    metavar="N",
    help="Threads that make streams ahead of the training.  [default: 0; on CUDA one for each core but one]",
)
@option(
    "--jobs",
    group=_MACHINE,
    type=_POSITIVE,
    metavar="N",
    help="Threads that measure thresholds; they change only the time it takes.  [default: one per CPU]",
)
def command(out: Path, **given: Any) -> None:
    """Train a network on synthetic streams and write it as a bundle.

    The thresholds that go with it are measured on streams without faults. Needs torch.

    Without a time limit, the same options give the same weights on the same CPU, even after interruptions: the same
    command goes on with a training that was interrupted. `torchrun --nproc-per-node N -m pipeline pretrain ...` trains
    on several devices. With --keep-network, thresholds that come out as the bundle has them give that bundle again,
    with its id.
    """
    from pipeline.cli.kernels import use_kernel_cache
    from pipeline.errors import ConfigError

    use_kernel_cache()
    if out.exists():
        raise ConfigError(f"--out: found {out}; expected a directory that is not there yet")

    if given["keep_network"] is not None and (told := told_of_network(given)):
        raise ConfigError(f"{', '.join(told)}: found with --keep-network; expected one of the two: no network is made")
    if given["keep_network"] is None:
        from pipeline.pretrain import pretrain  # before anything else that needs torch: it tells what is missing

        config = _config(given)
        leads = settle_in(given).leads

    from pipeline.adapters.bundles import Lineage, load_bundle, make_bundle, save_bundle
    from pipeline.cli.calibrating import calibrate_on_screen
    from pipeline.cli.cpus import usable_cpus
    from pipeline.cli.screen import Screen, make_console
    from pipeline.cli.version import driftline_version

    screen, console = Screen(quiet=given["keep_network"] is None and not leads), make_console()
    made_by = f"driftline {driftline_version()}"
    parent = None if given["keep_network"] is None else load_bundle(given["keep_network"])
    kept_in = None
    if parent is None:
        kept_in = resume_file(given, out, screen)
        prior = train_on_screen(
            lambda report: pretrain(config, clock=time.monotonic, progress=report, note=screen.note, store=kept_in),
            config.training.steps,
            screen,
        )
        if not leads:
            return
        console.print(learning_curve(prior.metrics["learning_curve"]), highlight=False)
        console.print(tell_errors(prior.metrics), highlight=False)
        tell_bytes(prior.network, screen)
        network, origin, lineage = prior.network, _origin(prior), Lineage(None, made_by)
    else:
        if parent.network.is_joint:
            raise ConfigError(
                f"--keep-network: found a joint network of {', '.join(parent.network.fields)}; expected one that "
                "streams share: thresholds are measured on streams of one field"
            )
        network, origin, lineage = parent.network, _origin(parent.manifest), Lineage(parent.manifest.id, made_by)
    tables = calibrate_on_screen(
        network,
        seed=given["seed"],
        streams=given["calibration_streams"],
        workers=given["jobs"] or usable_cpus(),
        screen=screen,
    )
    bundle = make_bundle(
        network,
        inputs_version=INPUTS_VERSION,
        lineage=lineage,
        calibration=tables.lanes,
        joint_calibration=tables.joint_lanes,
        **origin,
    )
    if parent is not None and _differs_in_lineage_alone(bundle.manifest, parent.manifest):
        bundle = parent
    save_bundle(bundle, out)
    if kept_in is not None:
        kept_in.remove()
    console.print(
        f"Bundle {bundle.short_id} is in {out}. Try it: driftline replay FILE --bundle {out}\n"
        f"Put it into the registry: driftline models add {out}",
        highlight=False,
    )


def _differs_in_lineage_alone(new: "Manifest", old: "Manifest") -> bool:
    """Whether nothing that scores came out otherwise, so that the new bundle is the old one made again."""
    from msgspec.structs import replace

    return replace(new, id=old.id, lineage=old.lineage) == old


def _origin(made: "Prior | Manifest") -> dict[str, Any]:
    """How the weights came about, as a bundle tells it."""
    from detectors.normalise import CONSTANTS
    from pipeline.adapters.bundles import Manifest
    from pipeline.cli.version import driftline_version

    origin = {name: getattr(made, name) for name in ("training", "seed", "data_hash", "metrics")}
    if isinstance(made, Manifest):  # what is kept was trained then, by the code of then
        return origin | {name: getattr(made, name) for name in ("training_window", "normaliser", "code_version")}
    return origin | {"normaliser": CONSTANTS, "code_version": driftline_version()}


def _config(given: dict[str, Any]) -> "PretrainConfig":
    from detectors.training import TrainingConfig
    from pipeline.cli.times import time_limit_s
    from pipeline.pretrain import PretrainConfig

    same = ("seed", "steps", "peak_rate", "patience", "threads", "device", "precision")
    training = TrainingConfig(
        layers=given["layers"] or LAYERS,
        hidden=given["hidden"] or HIDDEN,
        structure=structure_of(given),
        **{name: given[name] for name in same},
    )
    return PretrainConfig(
        training,
        batch=given["series"],
        length=given["length"],
        validation_series=given["validation_series"],
        time_limit_s=time_limit_s(given),
        makers=_makers(given["makers"], training.device),
    )


def _makers(asked: int | None, device: str) -> int:
    """Threads that make streams: on a CPU the training needs the cores itself, and streams are made in a moment."""
    from detectors.training import is_fast
    from pipeline.cli.cpus import usable_cpus

    if asked is not None:
        return asked
    return max(usable_cpus() - 1, 1) if is_fast(device) else 0
