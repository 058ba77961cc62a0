"""Measuring the thresholds of a network, profile by profile, while someone watches."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from detectors.calibration import calibrate, calibrate_joint
from detectors.network import Network
from detectors.profiles import PROFILES
from detectors.thresholds import ThresholdTable
from pipeline.cli.screen import Screen
from pipeline.errors import ConfigError


class Calibration(NamedTuple):
    """Tables by profile, as a bundle holds them."""

    lanes: dict[str, Any]
    joint_lanes: dict[str, Any]


def calibrate_on_screen(network: Network, *, seed: int, streams: int, workers: int, screen: Screen) -> Calibration:
    """Thresholds of all profiles.

    Raises:
        ConfigError: too few streams to tell.
    """
    found = Calibration({}, {})

    def measure(what: str, run: Callable[..., ThresholdTable]) -> ThresholdTable:
        screen.step(f"measuring the thresholds of {what}")
        with screen.bar(f"thresholds of {what}", "%", 100) as move:

            def report(fraction: float) -> None:
                move(f"thresholds of {what}", round(100 * fraction), round(100 * fraction))

            try:
                return run(seed=seed, streams=streams, workers=workers, progress=report)
            except ValueError as exc:
                raise ConfigError(f"--calibration-streams: {exc}") from exc

    for name, profile in PROFILES.items():
        table = measure(name, partial(calibrate, network, profile))
        joint = measure(f"{name}, joint lanes", partial(calibrate_joint, network, profile, table))
        found.lanes[name], found.joint_lanes[name] = table.to_dict(), joint.to_dict()
    return found
