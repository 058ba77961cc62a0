"""Bundles that can score, for the tests of commands that take one."""

from dataclasses import replace
from typing import Any

import numpy as np

from pipeline.adapters.bundles import Bundle, Lineage, load_bundle, make_bundle, shipped_bundle_path


def variant(*, gain: float = 1.0, **changes: Any) -> Bundle:
    """The shipped bundle, changed where told, as its own child.

    Args:
        gain: factor of all weights.
        changes: other fields of the manifest.
    """
    shipped = load_bundle(shipped_bundle_path())
    names = ("inputs_version", "training", "seed", "data_hash", "metrics", "calibration")
    content = {name: getattr(shipped.manifest, name) for name in names}
    lineage = Lineage(shipped.manifest.id, "test")
    arrays = {name: array * np.float32(gain) for name, array in shipped.network.arrays.items()}
    return make_bundle(replace(shipped.network, arrays=arrays), **(content | {"lineage": lineage} | changes))
