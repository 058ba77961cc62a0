"""Bundles on disk: a directory with `manifest.json` and `weights.safetensors`."""

import os
import shutil
import tempfile
from importlib import resources
from pathlib import Path

from pipeline.adapters.bundles.durable import sync_directory
from pipeline.adapters.bundles.form import MANIFEST, WEIGHTS, Bundle, decode_bundle, encode_bundle
from pipeline.errors import BundleError


def load_bundle(path: Path) -> Bundle:
    """The bundle in directory `path`.

    Raises:
        BundleError: missing, damaged in any byte, of another format or version, or with weights that do not fit.
    """
    return decode_bundle(str(path), _read(path / MANIFEST), _read(path / WEIGHTS))


def save_bundle(bundle: Bundle, directory: Path) -> None:
    """Write `bundle` as `directory`, whole or not at all; once there, the same bundle is left as it is.

    Raises:
        BundleError: `directory` exists and is not this bundle, or cannot be written.
    """
    if directory.exists():
        existing = load_bundle(directory)
        if existing.manifest.id != bundle.manifest.id:
            raise BundleError(
                f"{directory}: found bundle {existing.short_id}; expected {bundle.short_id} or nothing: "
                "choose another folder"
            )
        return
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
        try:
            for name, content in encode_bundle(bundle).items():
                _write_durably(partial / name, content)
            partial.chmod(0o755)  # mkdtemp makes it for its owner alone
            sync_directory(partial)
            partial.rename(directory)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        sync_directory(directory.parent)
    except OSError as exc:
        raise BundleError(f"{directory}: cannot be written ({exc.strerror}); choose another folder") from exc


def shipped_bundle_path() -> Path:
    """Directory of the prior that comes with the package."""
    return Path(str(resources.files("pipeline") / "bundles" / "prior"))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise BundleError(f"{path}: found no readable file ({exc.strerror}); expected a part of a bundle") from exc


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
