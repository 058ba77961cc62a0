"""Bundles that can score, for the tests of commands that take one."""

from dataclasses import replace
from typing import Any

import numpy as np

from detectors.features import INPUTS
from detectors.network import Network, joint_inputs, weight_shapes
from detectors.structure import Structure
from pipeline.adapters.bundles import Bundle, Lineage, load_bundle, make_bundle, shipped_bundle_path


def variant(*, gain: float = 1.0, **changes: Any) -> Bundle:
    """The shipped bundle, changed where told, as its own child.

    Args:
        gain: factor of all weights.
        changes: other fields of the manifest.
    """
    shipped = load_bundle(shipped_bundle_path())
    arrays = {name: array * np.float32(gain) for name, array in shipped.network.arrays.items()}
    return _child_of(shipped, replace(shipped.network, arrays=arrays), changes)


def joint_variant(fields: tuple[str, ...], **changes: Any) -> Bundle:
    """A bundle of a small joint network of random weights for these fields, with the thresholds of the shipped one."""
    shipped, rng = load_bundle(shipped_bundle_path()), np.random.default_rng(7)
    inputs, horizons = joint_inputs(len(fields)), shipped.network.horizons
    shapes = weight_shapes(1, 8, inputs, horizons, len(fields))
    arrays = {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
    return _child_of(shipped, Network(1, 8, inputs, horizons, arrays, fields), changes)


def structure_variant(structure: Structure, **changes: Any) -> Bundle:
    """A bundle of a small network of random weights and another structure, with the thresholds of the shipped one."""
    shipped, rng = load_bundle(shipped_bundle_path()), np.random.default_rng(7)
    horizons = shipped.network.horizons
    shapes = weight_shapes(1, 8, INPUTS, horizons, structure=structure)
    arrays = {name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}
    return _child_of(shipped, Network(1, 8, INPUTS, horizons, arrays, (), structure), changes)


def _child_of(shipped: Bundle, network: Network, changes: dict[str, Any]) -> Bundle:
    names = ("inputs_version", "training", "seed", "data_hash", "metrics", "calibration", "joint_calibration")
    content = {name: getattr(shipped.manifest, name) for name in names}
    lineage = Lineage(shipped.manifest.id, "test")
    return make_bundle(network, **(content | {"lineage": lineage} | changes))
