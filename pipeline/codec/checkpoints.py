"""Checkpoints as bytes: a versioned safetensors content that ends in a checksum of all that precedes it.

It is made straight from the arrays, so that saving needs no second copy of the state; any safetensors reader can open
it. All tensors hold bytes; the metadata, one JSON text, tells their dtypes and shapes. The checksum is the last tensor.
"""

import ast
import hashlib
import math
from typing import Any

import msgspec
import numpy as np
from numpy.lib.format import descr_to_dtype, dtype_to_descr
from numpy.typing import NDArray

from pipeline.errors import CheckpointError
from pipeline.records import Checkpoint, RunIdentity

FORMAT = "driftline-checkpoint"
VERSION = 1
_DIGEST_BYTES = 32
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


def encode_checkpoint(checkpoint: Checkpoint) -> list[bytes | memoryview]:
    """The content in parts, most of them views of the arrays.

    Raises:
        ValueError: an array that holds Python objects.
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
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    parts: list[bytes | memoryview] = [len(header).to_bytes(8, "little"), header, *tensors.values()]
    for part in parts:
        digest.update(part)
    return [*parts, digest.digest()]


def decode_checkpoint(where: str, content: memoryview) -> Checkpoint:
    """The checkpoint in a content, with arrays of its own that can be written to.

    Args:
        where: named in errors.

    Raises:
        CheckpointError: damaged in any byte, or of another format or version.
    """
    body, expected = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    digest = hashlib.blake2b(body, digest_size=_DIGEST_BYTES)
    if digest.digest() != expected:
        raise CheckpointError(
            f"{where}: found content with the checksum {digest.hexdigest()[:16]}; expected {expected.hex()[:16]}: "
            "the file is damaged, start afresh"
        )
    start = 8 + int.from_bytes(content[:8], "little")
    extents = msgspec.json.decode(content[8:start], type=dict[str, msgspec.Raw])
    header = _decode_header(where, extents["__metadata__"])
    contents = {}
    for name, kind in header.tensors.items():
        dtype = descr_to_dtype(ast.literal_eval(kind.dtype))
        offset = start + msgspec.json.decode(extents[name], type=_Extent).data_offsets[0]
        count = math.prod(kind.shape)
        contents[name] = np.empty(kind.shape, dtype)
        contents[name].reshape(-1).view(np.uint8)[:] = np.frombuffer(content, np.uint8, count * dtype.itemsize, offset)
    names, rows = _from_json_array(contents["spilled_names"]), contents["spilled_rows"].tobytes()
    ends = np.cumsum(contents["spilled_lengths"]).tolist()
    return Checkpoint(
        header.run,
        header.meta,
        {name.removeprefix(_ARRAY): array for name, array in contents.items() if name.startswith(_ARRAY)},
        _from_json_array(contents["key_names"]),
        [(name, rows[first:end]) for name, first, end in zip(names, [0, *ends], ends, strict=False)],
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


def _decode_header(where: str, metadata: msgspec.Raw) -> _Header:
    told = msgspec.json.decode(msgspec.json.decode(metadata, type=dict[str, str])["driftline"], type=dict[str, Any])
    found = (told.get("format"), told.get("version"))
    if found != (FORMAT, VERSION):
        raise CheckpointError(
            f"{where}: found format {found[0]!r}, version {found[1]!r}; expected {FORMAT!r}, version {VERSION}: "
            "go on with the version of driftline that made it, or start afresh"
        )
    return msgspec.convert(told, _Header)
