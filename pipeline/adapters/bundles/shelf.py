"""The files of a registry's bundles, which lie in a folder each by the name of their id."""

from collections.abc import Sequence

from pipeline.adapters.bundles.blobs import PARTIAL, Blobs
from pipeline.adapters.bundles.form import (
    MANIFEST,
    WEIGHTS,
    Bundle,
    Manifest,
    decode_bundle,
    decode_manifest,
)
from pipeline.adapters.bundles.history import short
from pipeline.errors import BundleError

_FOLDER = "bundles"


class Shelf:
    """Reads and writes bundles by id; whether they are in the registry is for the journal to say."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def load(self, bundle: str) -> Bundle:
        """See `Registry.load`."""
        folder = f"{_FOLDER}/{bundle}"
        manifest, weights = self._blobs.get([f"{folder}/{MANIFEST}", f"{folder}/{WEIGHTS}"])
        if manifest is None or weights is None:
            raise self._missing(f"{folder}/{MANIFEST if manifest is None else WEIGHTS}")
        loaded = decode_bundle(f"{self._blobs.shown}/{folder}", manifest, weights)
        self._require_own(bundle, loaded.manifest)
        return loaded

    def is_sound(self, bundle: str) -> bool:
        """Whether a bundle can be loaded."""
        try:
            self.load(bundle)
        except BundleError:
            return False
        return True

    def manifests(self, bundles: Sequence[str]) -> list[Manifest | BundleError]:
        """See `Registry.manifests`."""
        raws = self._blobs.get([f"{_FOLDER}/{bundle}/{MANIFEST}" for bundle in bundles])
        found: list[Manifest | BundleError] = []
        for bundle, raw in zip(bundles, raws, strict=True):
            try:
                if raw is None:
                    raise self._missing(f"{_FOLDER}/{bundle}/{MANIFEST}")
                manifest = decode_manifest(f"{self._blobs.shown}/{_FOLDER}/{bundle}", raw)
                self._require_own(bundle, manifest)
                found.append(manifest)
            except BundleError as exc:
                found.append(exc)
        return found

    def put(self, bundle: str, files: dict[str, bytes]) -> None:
        """Write the files in their order, and read them back.

        Raises:
            BundleError: what was written did not come back.
        """
        for name, content in files.items():
            self._blobs.put(f"{_FOLDER}/{bundle}/{name}", content)
        self.load(bundle)

    def remove(self, bundle: str) -> None:
        """Remove the files, the manifest first: without it a folder is no bundle to anybody who reads it."""
        self._blobs.remove(f"{_FOLDER}/{bundle}/{MANIFEST}")
        self._blobs.remove(f"{_FOLDER}/{bundle}")

    def others(self, bundles: Sequence[str]) -> list[str]:
        """Names of what lies there and belongs to none of the bundles."""
        folders = [f"{_FOLDER}/{one}" for one in self._blobs.names(_FOLDER) if one not in bundles]
        return [*folders, *(f"{PARTIAL}/{one}" for one in self._blobs.names(PARTIAL))]

    def _require_own(self, bundle: str, manifest: Manifest) -> None:
        if manifest.id != bundle:
            raise BundleError(
                f"{self._blobs.shown}/{_FOLDER}/{bundle}: found bundle {short(manifest.id)}; expected the one that the "
                "folder is named after: put both in again with driftline models add"
            )

    def _missing(self, name: str) -> BundleError:
        return BundleError(
            f"{self._blobs.shown}/{name}: found no such file; expected a part of a bundle: put it in again with "
            "driftline models add"
        )
