"""What can be told of a bundle, and of how two of them differ, as plain values."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

from detectors.network import Network
from detectors.thresholds import ThresholdTable, make_decision
from pipeline.adapters.bundles import Bundle, Manifest
from pipeline.adapters.bundles.history import Standing

_LONGEST = 6
"""Numbers of a list that are shown one by one."""
_NOT_SHOWN = ("id", "weights_sha256", "calibration")
"""Of a manifest, when it is compared: they differ anyway, or are compared otherwise."""


def loss_of(manifest: Manifest) -> float | None:
    """Validation loss of the weights: the best of the learning curve, else the mean over horizons."""
    curve = manifest.metrics.get("learning_curve")
    losses = curve.get("validation") if isinstance(curve, Mapping) else None
    if isinstance(losses, list) and losses:
        return float(min(losses))
    told = manifest.metrics.get("validation_loss")
    if isinstance(told, Mapping) and told:
        return float(np.mean([*told.values()]))
    return float(told) if isinstance(told, int | float) else None


def trained_on(manifest: Manifest) -> str:
    """The days of the recorded data, or that it was synthetic."""
    window = manifest.training_window
    if window is None:
        return f"synthetic, seed {manifest.seed}"
    return f"{window.start:%Y-%m-%d} to {window.end:%Y-%m-%d}"


def statuses(bundle: str, standing: Standing) -> list[str]:
    """What a bundle is in its registry."""
    told = {
        "champion": bundle == standing.champion,
        "previous": bundle == standing.previous,
        "pinned": bundle in standing.pinned,
    }
    return [text for text, holds in told.items() if holds]


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of everything in nested dicts; long lists are told by their length and last value."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and len(value) > _LONGEST:
        yield name, f"{len(value)} values, the last {json.dumps(value[-1])}"
    else:
        yield name, value


def differences(a: Manifest, b: Manifest) -> dict[str, tuple[Any, Any]]:
    """By dotted name, the values of two manifests that differ; None where one has no such value."""
    ours, theirs = (_comparable(manifest) for manifest in (a, b))
    return {
        name: (ours.get(name), theirs.get(name))
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) != theirs.get(name)
    }


def _comparable(manifest: Manifest) -> dict[str, Any]:
    plain = msgspec.to_builtins(manifest)
    return dict(flat({name: value for name, value in plain.items() if name not in _NOT_SHOWN}))


def distances(a: Network, b: Network) -> dict[str, dict[str, Any]]:
    """By array: shape, distance relative to the norm of the first, and the largest difference of a weight.

    The distance is None where one has no such array, or one of another shape.
    """
    told: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys([*a.arrays, *b.arrays]):
        ours, theirs = a.arrays.get(name), b.arrays.get(name)
        shapes = [None if one is None else list(one.shape) for one in (ours, theirs)]
        relative = largest = None
        if ours is not None and theirs is not None and ours.shape == theirs.shape:
            change = theirs.astype(np.float64) - ours.astype(np.float64)
            norm = float(np.linalg.norm(ours.astype(np.float64)))
            relative = float(np.linalg.norm(change)) / (norm or 1.0)
            largest = float(np.abs(change).max())
        told[name] = {"shapes": shapes, "relative_distance": relative, "largest_difference": largest}
    return told


def thresholds(bundle: Bundle, risk: float) -> dict[str, dict[str, float]]:
    """By profile and age of a lane in points, the score from which on an alarm is raised at a risk.

    Joint lanes are told apart where they have thresholds of their own. Calibrations that are no tables are left out.
    """
    manifest, told = bundle.manifest, {}
    of_joint = {f"{profile}, joint lanes": table for profile, table in (manifest.joint_calibration or {}).items()}
    for profile, table in sorted((manifest.calibration | of_joint).items()):
        try:
            decision = make_decision(ThresholdTable(**table), risk)
        except (TypeError, ValueError):
            continue
        told[profile] = {
            f"{age:g}": round(float(score), 4)
            for age, score in zip(table["ages"], decision.thresholds[:, 0], strict=True)
        }
    return told
