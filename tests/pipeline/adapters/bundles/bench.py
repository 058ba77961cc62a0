"""Tiny bundles, and a registry to put them in."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import fsspec
import numpy as np

from detectors.features import INPUTS
from detectors.network import HORIZONS, Network, joint_inputs, weight_shapes
from detectors.structure import PLAIN, Structure
from pipeline.adapters.bundles import Bundle, Lineage, make_bundle
from pipeline.adapters.bundles.history import Act
from pipeline.adapters.bundles.registry import Registry

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def example(**changes: Any) -> Bundle:
    """A tiny bundle, changed where told."""
    content: dict[str, Any] = {
        "inputs_version": 1,
        "training": {"steps": 3, "rate": 3e-3},
        "seed": 7,
        "data_hash": "ab" * 32,
        "metrics": {"curve": [[0, 1.5], [1, 0.1 + 0.2]]},
        "lineage": Lineage(parent=None, created_by="driftline 0.1.0"),
        "calibration": {"balanced": {"threshold": [1.0, 2.0]}},
    }
    return make_bundle(**({"network": tiny_network()} | content | changes))


def tiny_network(fields: tuple[str, ...] = (), structure: Structure = PLAIN) -> Network:
    """A network of two cells with random weights; a joint one where fields are named."""
    rng = np.random.default_rng(7)
    inputs = joint_inputs(len(fields)) if fields else INPUTS
    shapes = weight_shapes(1, 2, inputs, HORIZONS, len(fields) or 1, structure)
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return Network(1, 2, inputs, HORIZONS, arrays, fields, structure)


def child_of(parent: Bundle, **changes: Any) -> Bundle:
    """A bundle that was trained on from another one."""
    return example(lineage=Lineage(parent.manifest.id, "driftline 0.1.0"), **changes)


def act(days: float = 0.0, actor: str = "ann", reason: str = "") -> Act:
    """An act so many days after noon."""
    return Act(actor, NOON + timedelta(days=days), reason)


def fill(registry: Registry, count: int) -> list[str]:
    """Ids of so many bundles, each the child of the one before, published on a day each."""
    bundles = [example()]
    for seed in range(1, count):
        bundles.append(child_of(bundles[-1], seed=100 + seed))
    return [registry.publish(bundle, act(day)) for day, bundle in enumerate(bundles)]


def damage(url: str, name: str, change: Callable[[bytes], bytes | None] = lambda content: content[:-1]) -> None:
    """Change a file of a registry behind its back, or remove it."""
    files, root = fsspec.core.url_to_fs(url)
    path = f"{root}/{name}"
    content = change(files.cat_file(path))
    files.rm_file(path)
    if content is not None:
        files.pipe_file(path, content)
