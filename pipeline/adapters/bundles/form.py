"""A bundle as bytes: `manifest.json` and `weights.safetensors`, known by the hash of their content.

The manifest holds the SHA-256 of the weights; the bundle's id is the SHA-256 of the manifest without its id. A manifest
has exactly one form as bytes, and reading compares with it, so a flipped byte in either file is found, and equal
content is equal bytes.

A bundle is written in the oldest version that can say what is in it, so that a service not yet upgraded reads it.
Version 2 added `training_window`, `normaliser` and `code_version`, version 3 `network.fields`, version 4
`joint_calibration`, version 5 `network.cell`, `network.convolution` and `network.attention`; what is not known, or
there is none of, is left out.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from safetensors import SafetensorError
from safetensors.numpy import load as decode_tensors
from safetensors.numpy import save as encode_tensors

from detectors.network import Network
from detectors.structure import PLAIN, Structure
from pipeline.errors import BundleError

FORMAT = "driftline-bundle"
VERSIONS = 1, 2, 3, 4, 5
MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"


class NetworkShape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Sizes of the network whose weights lie beside the manifest; see `detectors.network.Network`.

    Fields are those of a joint network; a shared one names none. What `detectors.structure.Structure` has a network be
    unless told is left out.
    """

    layers: int
    hidden: int
    inputs: int
    horizons: tuple[int, ...]
    fields: tuple[str, ...] = ()
    cell: str = PLAIN.cell
    convolution: int = PLAIN.convolution
    attention: int = PLAIN.attention

    @classmethod
    def of(cls, network: Network) -> "NetworkShape":
        """That of a network."""
        made = network.structure
        return cls(
            network.layers, network.hidden, network.inputs, network.horizons, network.fields,
            made.cell, made.convolution, made.attention,
        )  # fmt: skip

    @property
    def structure(self) -> Structure:
        """Kind of cell, and what is around it.

        Raises:
            ValueError: there is none like it.
        """
        return Structure(self.cell, self.convolution, self.attention)


class Lineage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a bundle comes from: id of the bundle it was trained on from (None: from nothing), and what made it."""

    parent: str | None
    created_by: str


class TrainingWindow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Event times of the records trained on: the first, and the one before which they end; both with a time zone."""

    start: datetime
    end: datetime


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
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
        training_window: of recorded data; None for synthetic streams.
        normaliser: constants of the normaliser that the network's inputs were made with, by name; None: not recorded.
        code_version: version of the code that trained it; None: not recorded.
        joint_calibration: as `calibration`, of joint lanes; None: theirs is that of any lane.
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
    training_window: TrainingWindow | None = None
    normaliser: dict[str, float] | None = None
    code_version: str | None = None
    joint_calibration: dict[str, Any] | None = None


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
    training_window: TrainingWindow | None = None,
    normaliser: dict[str, float] | None = None,
    code_version: str | None = None,
    joint_calibration: dict[str, Any] | None = None,
) -> Bundle:
    """A bundle of this content, with its id; the dicts hold what JSON can, and come back as JSON gives it.

    Raises:
        ValueError: a training window without time zones, or that ends before it starts.
    """
    if training_window is not None:
        _require_window(training_window)
    manifest = Manifest(
        format=FORMAT,
        version=VERSIONS[0],
        id="",
        weights_sha256=hashlib.sha256(_encode_weights(network)).hexdigest(),
        network=NetworkShape.of(network),
        inputs_version=inputs_version,
        training=training,
        seed=seed,
        data_hash=data_hash,
        metrics=metrics,
        lineage=lineage,
        calibration=calibration,
        training_window=training_window,
        normaliser=normaliser,
        code_version=code_version,
        joint_calibration=joint_calibration,
    )
    manifest = msgspec.structs.replace(manifest, version=_oldest_version(manifest))
    manifest = msgspec.json.decode(msgspec.json.encode(manifest), type=Manifest)
    return Bundle(network, msgspec.structs.replace(manifest, id=_content_id(manifest)))


def encode_bundle(bundle: Bundle) -> dict[str, bytes]:
    """Content of each file by name, in the order in which they are to be written: the manifest makes it whole."""
    return {WEIGHTS: _encode_weights(bundle.network), MANIFEST: _encode_manifest(bundle.manifest)}


def decode_bundle(place: str, raw_manifest: bytes, raw_weights: bytes) -> Bundle:
    """The bundle of two files.

    Args:
        place: folder or URL where they lie, for messages.

    Raises:
        BundleError: damaged in any byte, of another format or version, or with weights that do not fit.
    """
    manifest = decode_manifest(place, raw_manifest)
    found = hashlib.sha256(raw_weights).hexdigest()
    if found != manifest.weights_sha256:
        raise BundleError(
            f"{place}/{WEIGHTS}: found content {found[:16]}; expected {manifest.weights_sha256[:16]}; "
            "the file is damaged or of another bundle: copy the whole bundle again"
        )
    shape = manifest.network
    try:
        arrays = decode_tensors(raw_weights)
        network = Network(
            shape.layers, shape.hidden, shape.inputs, shape.horizons, arrays, shape.fields, shape.structure
        )
    except (SafetensorError, ValueError) as exc:
        raise BundleError(f"{place}/{WEIGHTS}: {exc}") from exc
    return Bundle(network, manifest)


def decode_manifest(place: str, raw: bytes) -> Manifest:
    """The checked manifest of a bundle.

    Args:
        place: folder or URL where it lies, for messages.

    Raises:
        BundleError: damaged in any byte, or of another format or version.
    """
    path = f"{place}/{MANIFEST}"
    try:
        header = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise BundleError(f"{path}: found text that is not a manifest ({exc}); expected a JSON object") from exc
    name, version = header.get("format"), header.get("version")
    if name != FORMAT or version not in VERSIONS:
        is_newer = name == FORMAT and isinstance(version, int) and version > VERSIONS[-1]
        raise BundleError(
            f"{path}: found format {name!r}, version {version!r}; expected {FORMAT!r}, version "
            f"{', '.join(map(str, VERSIONS[:-1]))} or {VERSIONS[-1]}: "
            + ("upgrade driftline to read it" if is_newer else "use a bundle made by this version of driftline")
        )
    try:
        manifest = msgspec.convert(header, type=Manifest)
    except msgspec.ValidationError as exc:
        raise BundleError(f"{path}: {exc}") from exc
    try:
        needed = _oldest_version(manifest)
    except ValueError as exc:
        raise BundleError(f"{path}: {exc}: upgrade driftline if a newer version made it") from exc
    if version < needed:
        raise BundleError(
            f"{path}: found fields of version {needed} in version {version}; expected none: copy the whole bundle again"
        )
    if _encode_manifest(manifest) != raw or _content_id(manifest) != manifest.id:
        raise BundleError(
            f"{path}: found content that does not match its id {manifest.id[:16]!r}; "
            "the file is damaged or was edited: copy the whole bundle again"
        )
    return manifest


def _oldest_version(manifest: Manifest) -> int:
    """The first version that can say what is in a manifest."""
    if not manifest.network.structure.is_plain:
        return 5
    if manifest.joint_calibration is not None:
        return 4
    if manifest.network.fields:
        return 3
    since_2 = (manifest.training_window, manifest.normaliser, manifest.code_version)
    return 1 if since_2 == (None, None, None) else 2


def _require_window(window: TrainingWindow) -> None:
    if window.start.tzinfo is None or window.end.tzinfo is None or window.start >= window.end:
        raise ValueError(
            f"found a training window from {window.start} to {window.end}; expected two times with a time zone, the "
            "first the earlier"
        )


def _encode_weights(network: Network) -> bytes:
    return encode_tensors(dict(network.arrays))


def _encode_manifest(manifest: Manifest) -> bytes:
    """The one form of a manifest as bytes: indented, keys sorted."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=2) + b"\n"


def _content_id(manifest: Manifest) -> str:
    """SHA-256 in hex of the manifest without its id."""
    content = msgspec.json.decode(msgspec.json.encode(manifest))
    del content["id"]
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()
