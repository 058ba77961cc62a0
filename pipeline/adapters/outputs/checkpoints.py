"""Checkpoints on disk: a versioned safetensors file that ends in a checksum of all that precedes it.

The file is written straight from the arrays in one pass, so that saving needs no second copy of the state; any
safetensors reader can open it. All tensors hold bytes; the metadata, one JSON text, tells their dtypes and shapes. The
checksum is the last tensor.
"""

import ast
import hashlib
import math
import os
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.lib.format import descr_to_dtype, dtype_to_descr
from numpy.typing import NDArray

from pipeline.adapters.outputs.durable import replacing
from pipeline.errors import CheckpointError
from pipeline.records import Checkpoint, RunIdentity

FORMAT = "driftline-checkpoint"
VERSION = 1
FILE = "checkpoint.safetensors"
_DIGEST_BYTES = 32
_BLOCK_BYTES = 1 << 20
_ARRAY = "array."


class _ArrayType(msgspec.Struct, frozen=True):
    """How to read the bytes of an array: its dtype as numpy's own files write it, and its shape."""

    dtype: str
    shape: tuple[int, ...]


class _Header(msgspec.Struct, frozen=True):
    format: str
    version: int
    run: RunIdentity
    meta: dict[str, Any]
    tensors: dict[str, _ArrayType]


class _Extent(msgspec.Struct, frozen=True):
    """Where a tensor lies in the file, as safetensors says it."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


def save_checkpoint(directory: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` as that of `directory`; the one before stays until this one is whole and durable.

    Raises:
        ValueError: an array that holds Python objects.
        OSError: the directory cannot be written.
    """
    contents = {f"{_ARRAY}{name}": array for name, array in checkpoint.arrays.items()} | {
        "key_names": _json_array(checkpoint.key_names),
        "spilled_names": _json_array([name for name, _ in checkpoint.spilled]),
        "spilled_lengths": np.array([len(rows) for _, rows in checkpoint.spilled], np.int64),
        "spilled_rows": np.frombuffer(b"".join(rows for _, rows in checkpoint.spilled), np.uint8),
    }
    tensors = {name: _as_bytes(name, array) for name, array in contents.items()}
    types = {name: _ArrayType(repr(dtype_to_descr(array.dtype)), array.shape) for name, array in contents.items()}
    metadata = msgspec.json.encode(_Header(FORMAT, VERSION, checkpoint.run, checkpoint.meta, types))
    header = _safetensors_header(metadata, {name: tensor.nbytes for name, tensor in tensors.items()})
    partial = directory / f"{FILE}.partial"
    with replacing(directory / FILE, partial), partial.open("wb") as file:
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        parts: list[bytes | memoryview] = [len(header).to_bytes(8, "little"), header, *tensors.values()]
        for part in parts:
            digest.update(part)
            file.write(part)
        file.write(digest.digest())


def load_checkpoint(directory: Path) -> Checkpoint | None:
    """The checkpoint of `directory`, with arrays of its own that can be written to; None when there is none.

    Raises:
        CheckpointError: damaged in any byte, of another format or version, or not readable.
    """
    path = directory / FILE
    try:
        with path.open("rb") as file:
            _verify(path, file)
            return _decode(path, file)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise CheckpointError(f"{path}: found no readable file ({exc.strerror}); expected a checkpoint") from exc


def require_same_run(path: Path, found: RunIdentity, expected: RunIdentity) -> None:
    """Refuse to go on from another run's checkpoint.

    Raises:
        CheckpointError: naming every difference.
    """
    names = {"config_hash": "configuration", "bundle": "bundle", "source": "source"}
    differing = [name for name in names if getattr(found, name) != getattr(expected, name)]
    if differing:
        was, now = (
            ", ".join(f"{names[name]} {getattr(run, name)!r}" for name in differing) for run in (found, expected)
        )
        raise CheckpointError(
            f"{path}: found a checkpoint of {was}; expected {now}: "
            "go on with what the interrupted run was given, or start afresh"
        )


def _as_bytes(name: str, array: NDArray[Any]) -> memoryview:
    if array.dtype.hasobject:
        raise ValueError(f"found Python objects in array {name.removeprefix(_ARRAY)!r}; expected numbers or bytes")
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _json_array(names: list[str]) -> NDArray[np.uint8]:
    return np.frombuffer(msgspec.json.encode(names), np.uint8)


def _from_json_array(array: NDArray[np.uint8]) -> list[str]:
    return msgspec.json.decode(array.data, type=list[str])


def _safetensors_header(metadata: bytes, sizes: dict[str, int]) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"driftline": metadata.decode()}}
    start = 0
    for name, size in (sizes | {"checksum": _DIGEST_BYTES}).items():
        header[name] = _Extent("U8", (size,), (start, start + size))
        start += size
    return msgspec.json.encode(header)


def _verify(path: Path, file: BinaryIO) -> None:
    """Compare the last bytes with the digest of the others."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    remaining = max(0, os.fstat(file.fileno()).st_size - _DIGEST_BYTES)
    while block := file.read(min(remaining, _BLOCK_BYTES)):
        digest.update(block)
        remaining -= len(block)
    expected = file.read()
    if digest.digest() != expected:
        raise CheckpointError(
            f"{path}: found content with the checksum {digest.hexdigest()[:16]}; expected {expected.hex()[:16]}: "
            "the file is damaged, start afresh"
        )


def _decode(path: Path, file: BinaryIO) -> Checkpoint:
    """The content of a file that is as it was written."""
    file.seek(0)
    extents = msgspec.json.decode(file.read(int.from_bytes(file.read(8), "little")), type=dict[str, msgspec.Raw])
    start = file.tell()
    header = _decode_header(path, extents["__metadata__"])
    contents = {}
    for name, kind in header.tensors.items():
        file.seek(start + msgspec.json.decode(extents[name], type=_Extent).data_offsets[0])
        dtype = descr_to_dtype(ast.literal_eval(kind.dtype))
        contents[name] = np.fromfile(file, dtype, math.prod(kind.shape)).reshape(kind.shape)

    names, rows = _from_json_array(contents["spilled_names"]), contents["spilled_rows"].tobytes()
    ends = np.cumsum(contents["spilled_lengths"]).tolist()
    return Checkpoint(
        header.run,
        header.meta,
        {name.removeprefix(_ARRAY): array for name, array in contents.items() if name.startswith(_ARRAY)},
        _from_json_array(contents["key_names"]),
        [(name, rows[first:end]) for name, first, end in zip(names, [0, *ends], ends, strict=False)],
    )


def _decode_header(path: Path, metadata: msgspec.Raw) -> _Header:
    told = msgspec.json.decode(msgspec.json.decode(metadata, type=dict[str, str])["driftline"], type=dict[str, Any])
    found = (told.get("format"), told.get("version"))
    if found != (FORMAT, VERSION):
        raise CheckpointError(
            f"{path}: found format {found[0]!r}, version {found[1]!r}; expected {FORMAT!r}, version {VERSION}: "
            "go on with the version of driftline that made it, or start afresh"
        )
    return msgspec.convert(told, _Header)
