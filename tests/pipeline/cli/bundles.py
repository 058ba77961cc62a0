"""Bundles that can score, for the tests of commands that take one."""

from typing import Any

from pipeline.adapters.bundles import Bundle, Lineage, load_bundle, make_bundle, shipped_bundle_path


def variant(**changes: Any) -> Bundle:
    """The shipped bundle, changed where told, as its own child."""
    shipped = load_bundle(shipped_bundle_path())
    names = ("inputs_version", "training", "seed", "data_hash", "metrics", "calibration")
    content = {name: getattr(shipped.manifest, name) for name in names}
    lineage = Lineage(shipped.manifest.id, "test")
    return make_bundle(shipped.network, **(content | {"lineage": lineage} | changes))
