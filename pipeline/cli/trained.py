"""What becomes of a training: a bundle, the registry that it goes into, and what is told of it."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console

from detectors.normalise import CONSTANTS
from pipeline.adapters.bundles import Bundle, Lineage, TrainingWindow, make_bundle
from pipeline.adapters.bundles.registry import Registry
from pipeline.cli.models.options import act_of
from pipeline.cli.passes import Pass
from pipeline.cli.screen import Screen
from pipeline.cli.training_screen import learning_curve, tell_errors
from pipeline.cli.version import driftline_version
from pipeline.config import Config
from pipeline.training.alarms import AlarmCounter, count_alarms
from pipeline.training.fit import Fitted
from pipeline.training.history import History

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def bundle_of(fitted: Fitted, parent: Bundle, seed: int, alarms: dict[str, Any]) -> Bundle:
    """The bundle of a network fitted to a history.

    Args:
        parent: what it began with, whose thresholds it takes over.
        alarms: counted in what was held back, by both.
    """
    start, end = (_EPOCH + timedelta(microseconds=at) for at in fitted.window_us)
    return make_bundle(
        fitted.network,
        inputs_version=parent.manifest.inputs_version,
        training=fitted.training,
        seed=seed,
        data_hash=fitted.data_hash,
        metrics=fitted.metrics | {"alarms_per_1000_points": alarms},
        lineage=Lineage(parent.manifest.id, f"driftline {driftline_version()}"),
        calibration=parent.manifest.calibration,
        training_window=TrainingWindow(start, end),
        normaliser=CONSTANTS,
        code_version=driftline_version(),
        joint_calibration=None if fitted.network.is_joint else parent.manifest.joint_calibration,
    )


def compare_alarms(passing: Pass, kept: History, bundle: Bundle, screen: Screen) -> dict[str, Any]:
    """Alarms per 1,000 points of what was held back, where the thresholds ask for the risk: whether they carry over.

    Args:
        passing: replays the history.
        kept: of it, by the bundle before.
        bundle: with the new network.
    """
    screen.step("counting alarms in what was held back")
    before = count_alarms(kept)
    counter = AlarmCounter(before.since_us, kept.feedback)
    passing.run(bundle, counter)
    return {
        "asked": passing.config.detector.risk,
        "asked_per_day": passing.config.detector.risk_per_day,
        "profile": passing.config.detector.profile,
        "points": before.points,
        "before": before.rate,
        "after": counter.counted.rate,
    }


def open_for_publishing(config: Config) -> Registry:
    """The registry that is configured, looked into once: it is not the end of a training that is to find it missing.

    Raises:
        RegistryError: it cannot be reached, or is damaged.
        ConfigError: no such kind of URL.
    """
    registry = Registry(config.models.registry)
    registry.standing()
    return registry


def publish(
    registry: Registry, bundle: Bundle, history: Sequence[str], given: dict[str, Any], console: Console
) -> None:
    """Put a bundle into a registry, and tell how to compare and promote it.

    Args:
        history: what it was fitted to; kept as the reason.
        given: options of the command, of which those that name registry and configuration are told again.
    """
    registry.publish(bundle, act_of({"by": None, "reason": f"driftline train {shlex.join(history)}"}))
    where = "".join(
        f" {option} {shlex.quote(str(given[name]))}"
        for option, name in (("--registry", "registry"), ("--config", "file"))
        if given[name] is not None
    )
    other = "shipped" if registry.champion() is None else "champion"
    console.print(
        f"Bundle {bundle.short_id} is in {registry.shown}.\n"
        f"Compare it: driftline models diff {other} {bundle.short_id}{where}\n"
        f"Promote it: driftline models promote {bundle.short_id}{where}",
        highlight=False, markup=False, soft_wrap=True,
    )  # fmt: skip


def tell(fitted: Fitted, alarms: dict[str, Any], console: Console) -> None:
    """Show how the training went, and whether the thresholds carry over."""
    asked = alarms["asked_per_day"] if alarms["asked"] is None else alarms["asked"]
    per = " per stream and day" if alarms["asked"] is None else ""
    for line in (
        learning_curve(fitted.metrics["learning_curve"]),
        tell_errors(fitted.metrics),
        (
            f"alarms per 1,000 points in what was held back, {asked:g}{per} being asked for: "
            f"{alarms['before']:.2f} with the bundle before, {alarms['after']:.2f} with this one"
        ),
    ):
        console.print(line, highlight=False)
