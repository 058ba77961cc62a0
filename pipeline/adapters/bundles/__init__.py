"""Bundles: as bytes, as a folder, and in a registry, which keeps many of them and says which is in service."""

from pipeline.adapters.bundles.folder import load_bundle, save_bundle, shipped_bundle_path
from pipeline.adapters.bundles.form import Bundle, Lineage, Manifest, NetworkShape, TrainingWindow, make_bundle

__all__ = [
    "Bundle",
    "Lineage",
    "Manifest",
    "NetworkShape",
    "TrainingWindow",
    "load_bundle",
    "make_bundle",
    "save_bundle",
    "shipped_bundle_path",
]
