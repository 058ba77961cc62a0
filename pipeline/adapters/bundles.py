"""Bundles on disk: a directory with `manifest.json` and `weights.safetensors`, known by the hash of its content.

The manifest holds the SHA-256 of the weights; the bundle's id is the SHA-256 of the manifest without its id. A manifest
has exactly one form as bytes, and reading compares with it, so a flipped byte in either file is found, and equal
content is equal bytes.
"""

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from safetensors import SafetensorError
from safetensors.numpy import load as decode_tensors
from safetensors.numpy import save as encode_tensors

from detectors.network import Network
from pipeline.errors import BundleError

FORMAT = "driftline-bundle"
VERSION = 1
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"


class NetworkShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sizes of the network whose weights lie beside the manifest; see `detectors.network.Network`."""

    layers: int
    hidden: int
    inputs: int
    horizons: tuple[int, ...]


class Lineage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a bundle comes from: id of the bundle it was trained on from (None: from nothing), and what made it."""

    parent: str | None
    created_by: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of a bundle but its weights.

    Attributes:
        format: always 'driftline-bundle'.
        version: of this format.
        id: content address, 64 hex digits.
        weights_sha256: of the bytes of the weights file.
        network: sizes.
        inputs_version: version of the meaning of the network's inputs.
        training: configuration of the run that made the weights.
        seed: of that run.
        data_hash: SHA-256 of the data trained on.
        metrics: measured by that run, learning curves included.
        lineage: parent and maker.
        calibration: by profile name, what turns scores into expected false alarms.
    """

    format: str
    version: int
    id: str
    weights_sha256: str
    network: NetworkShape
    inputs_version: int
    training: dict[str, Any]
    seed: int
    data_hash: str
    metrics: dict[str, Any]
    lineage: Lineage
    calibration: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A network with all that must change together with it."""

    network: Network
    manifest: Manifest

    @property
    def short_id(self) -> str:
        """First 16 hex digits of the id, as shown to people."""
        return self.manifest.id[:16]


def make_bundle(
    network: Network,
    *,
    inputs_version: int,
    training: dict[str, Any],
    seed: int,
    data_hash: str,
    metrics: dict[str, Any],
    lineage: Lineage,
    calibration: dict[str, Any],
) -> Bundle:
    """A bundle of this content, with its id; the dicts hold what JSON can, and come back as JSON gives it."""
    manifest = Manifest(
        format=FORMAT,
        version=VERSION,
        id="",
        weights_sha256=hashlib.sha256(_encode_weights(network)).hexdigest(),
        network=NetworkShape(network.layers, network.hidden, network.inputs, network.horizons),
        inputs_version=inputs_version,
        training=training,
        seed=seed,
        data_hash=data_hash,
        metrics=metrics,
        lineage=lineage,
        calibration=calibration,
    )
    manifest = msgspec.json.decode(msgspec.json.encode(manifest), type=Manifest)
    return Bundle(network, msgspec.structs.replace(manifest, id=_content_id(manifest)))


def load_bundle(path: Path) -> Bundle:
    """The bundle in directory `path`.

    Raises:
        BundleError: missing, damaged in any byte, of another format or version, or with weights that do not fit.
    """
    raw_manifest, raw_weights = (_read(path / name) for name in (MANIFEST, WEIGHTS))
    manifest = _decode_manifest(path / MANIFEST, raw_manifest)
    found = hashlib.sha256(raw_weights).hexdigest()
    if found != manifest.weights_sha256:
        raise BundleError(
            f"{path / WEIGHTS}: found content {found[:16]}; expected {manifest.weights_sha256[:16]}; "
            "the file is damaged or of another bundle: copy the whole bundle again"
        )
    shape = manifest.network
    try:
        arrays = decode_tensors(raw_weights)
        network = Network(shape.layers, shape.hidden, shape.inputs, shape.horizons, arrays)
    except (SafetensorError, ValueError) as exc:
        raise BundleError(f"{path / WEIGHTS}: {exc}") from exc
    return Bundle(network, manifest)


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
            _write_durably(partial / WEIGHTS, _encode_weights(bundle.network))
            _write_durably(partial / MANIFEST, _encode_manifest(bundle.manifest))
            partial.chmod(0o755)  # mkdtemp makes it for its owner alone
            _sync_directory(partial)
            partial.rename(directory)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        _sync_directory(directory.parent)
    except OSError as exc:
        raise BundleError(f"{directory}: cannot be written ({exc.strerror}); choose another folder") from exc


def shipped_bundle_path() -> Path:
    """Directory of the prior that comes with the package."""
    return Path(str(resources.files("pipeline") / "bundles" / "prior"))


def _encode_weights(network: Network) -> bytes:
    return encode_tensors(dict(network.arrays))


def _encode_manifest(manifest: Manifest) -> bytes:
    """The one form of a manifest as bytes: indented, keys sorted."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=2) + b"\n"


def _content_id(manifest: Manifest) -> str:
    """SHA-256 in hex of the manifest without its id."""
    content = msgspec.to_builtins(manifest)
    del content["id"]
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def _decode_manifest(path: Path, raw: bytes) -> Manifest:
    """The checked manifest of `path`, or BundleError."""
    try:
        header = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise BundleError(f"{path}: found text that is not a manifest ({exc}); expected a JSON object") from exc
    found = (header.get("format"), header.get("version"))
    if found != (FORMAT, VERSION):
        raise BundleError(
            f"{path}: found format {found[0]!r}, version {found[1]!r}; expected {FORMAT!r}, version {VERSION}: "
            "use a bundle made by this version of driftline"
        )
    try:
        manifest = msgspec.convert(header, type=Manifest)
    except msgspec.ValidationError as exc:
        raise BundleError(f"{path}: {exc}") from exc
    if _encode_manifest(manifest) != raw or _content_id(manifest) != manifest.id:
        raise BundleError(
            f"{path}: found content that does not match its id {manifest.id[:16]!r}; "
            "the file is damaged or was edited: copy the whole bundle again"
        )
    return manifest


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


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
