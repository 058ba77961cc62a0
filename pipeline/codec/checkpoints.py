"""Checkpoints as bytes: a versioned safetensors content that ends in a checksum of all that precedes it.

It is made straight from the arrays, so that saving needs no second copy of the state; any safetensors reader can open
it. All tensors hold bytes; the metadata, one JSON text, tells their dtypes and shapes. The checksum is the last tensor.

Evicted keys are never in memory all at once: on the way out they go through temporary files, on the way in they are
left where they are. Both ways can be gone step by step, with other work in between.
"""

import ast
import hashlib
import math
import tempfile
import weakref
from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import msgspec
import numpy as np
from numpy.lib.format import descr_to_dtype, dtype_to_descr
from numpy.typing import NDArray

from pipeline.codec.steps import finish
from pipeline.codec.stored_rows import Content, index_rows
from pipeline.errors import CheckpointError
from pipeline.records import Checkpoint, RunIdentity

FORMAT = "driftline-checkpoint"
VERSION = 1
_DIGEST_BYTES = 32
_ARRAY = "array."
_STEP_BYTES = 2**22
"""Done in a step: a few milliseconds."""
_STEP_KEYS = 256
_IN_MEMORY_BYTES = 2**20
"""Of a temporary file."""

Part: TypeAlias = bytes | memoryview


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


class Digest(Protocol):
    """A hash that is fed bit by bit."""

    def update(self, data: Part, /) -> None:
        """Take some more."""


class _Spool:
    """Bytes that are written once and then read as often as wanted; on disk when they are many."""

    def __init__(self, directory: Path | None) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES, dir=None if directory is None else str(directory))  # noqa: SIM115  see below
        weakref.finalize(self, self._file.close)
        self.size = 0

    def write(self, content: bytes) -> None:
        """Add some more."""
        self._file.write(content)
        self.size += len(content)

    def parts(self) -> Iterator[bytes]:
        """All of it."""
        for start in range(0, self.size, _STEP_BYTES):
            self._file.seek(start)
            yield self._file.read(min(_STEP_BYTES, self.size - start))


_Tensor: TypeAlias = memoryview | _Spool


class EncodedCheckpoint:
    """The content of a checkpoint, most of it views of the arrays.

    Attributes:
        size: bytes of it all.
    """

    def __init__(self, header: bytes, tensors: Sequence[_Tensor]) -> None:
        self._header = header
        self._tensors = tensors
        self._checksum = b""
        self.size = 8 + len(header) + sum(map(_size, tensors)) + _DIGEST_BYTES

    def parts(self) -> Iterator[Part]:
        """All of it, a few megabytes at a time; may be read more than once."""
        yield from self._body()
        yield self._checksum

    def _body(self) -> Iterator[Part]:
        yield len(self._header).to_bytes(8, "little")
        yield self._header
        for tensor in self._tensors:
            if isinstance(tensor, _Spool):
                yield from tensor.parts()
            else:
                for start in range(0, tensor.nbytes, _STEP_BYTES):
                    yield tensor[start : start + _STEP_BYTES]

    def seal(self, digest: Digest) -> Iterator[None]:
        """Make the checksum, step by step, and feed a digest of one's own with all of the content on the way."""
        checksum = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        for part in self._body():
            checksum.update(part)
            digest.update(part)
            yield
        self._checksum = checksum.digest()
        digest.update(self._checksum)


def encode_checkpoint(checkpoint: Checkpoint, directory: Path | None = None) -> Iterator[Part]:
    """The content in parts.

    Args:
        directory: for temporary files; None for the system's usual one.

    Raises:
        ValueError: an array that holds Python objects.
        OSError: there is no room for the temporary files.
    """
    return finish(encode_in_steps(checkpoint, hashlib.blake2b(), directory)).parts()


def encode_in_steps(
    checkpoint: Checkpoint, digest: Digest, directory: Path | None = None
) -> Generator[None, None, EncodedCheckpoint]:
    """The content, after some steps of a few milliseconds; raises as `encode_checkpoint`.

    Args:
        digest: fed with the content.
        directory: as for `encode_checkpoint`.
    """
    contents = {f"{_ARRAY}{name}": array for name, array in checkpoint.arrays.items()}
    contents["key_names"] = np.frombuffer(msgspec.json.encode(checkpoint.key_names), np.uint8)
    tensors: dict[str, _Tensor] = {name: _as_bytes(name, array) for name, array in contents.items()}
    types = {name: _ArrayType(repr(dtype_to_descr(array.dtype)), array.shape) for name, array in contents.items()}

    names, lengths, rows = (_Spool(directory) for _ in range(3))
    spilled = iter(checkpoint.spilled)
    names.write(b"[")
    while some := list(islice(spilled, _STEP_KEYS)):
        told = msgspec.json.encode([name for name, _ in some])[1:-1]
        names.write(told if names.size == 1 else b"," + told)
        lengths.write(np.array([len(row) for _, row in some], np.int64).tobytes())
        rows.write(b"".join(row for _, row in some))
        yield
    names.write(b"]")
    tensors |= {"spilled_names": names, "spilled_lengths": lengths, "spilled_rows": rows}
    for name, dtype in (("spilled_names", np.uint8), ("spilled_lengths", np.int64), ("spilled_rows", np.uint8)):
        count = _size(tensors[name]) // np.dtype(dtype).itemsize
        types[name] = _ArrayType(repr(dtype_to_descr(np.dtype(dtype))), (count,))

    metadata = msgspec.json.encode(_Header(FORMAT, VERSION, checkpoint.run, checkpoint.meta, types))
    header = _safetensors_header(metadata, {name: _size(tensor) for name, tensor in tensors.items()})
    encoded = EncodedCheckpoint(header, list(tensors.values()))
    yield from encoded.seal(digest)
    return encoded


def decode_checkpoint(where: str, content: Content) -> Checkpoint:
    """The checkpoint in a content, with arrays of its own that can be written to.

    The evicted keys stay in the content, which has to remain as it is.

    Args:
        where: named in errors.

    Raises:
        CheckpointError: damaged in any byte, or of another format or version.
    """
    return finish(decode_in_steps(where, content))


def decode_in_steps(where: str, content: Content, *, is_whole: bool = False) -> Generator[None, None, Checkpoint]:
    """As `decode_checkpoint`, after some steps of a few milliseconds.

    Args:
        is_whole: known not to be damaged.
    """
    if not is_whole:
        yield from _require_whole(where, content)
    start = 8 + int.from_bytes(content[:8], "little")
    extents = msgspec.json.decode(content[8:start], type=dict[str, msgspec.Raw])
    header = _decode_header(where, extents["__metadata__"])
    stretches: dict[str, tuple[int, int]] = {}
    contents: dict[str, NDArray[Any]] = {}
    for name, kind in header.tensors.items():
        dtype = descr_to_dtype(ast.literal_eval(kind.dtype))
        offset = start + msgspec.json.decode(extents[name], type=_Extent).data_offsets[0]
        size = math.prod(kind.shape) * dtype.itemsize
        stretches[name] = (offset, offset + size)
        if name.startswith("spilled_"):
            continue
        contents[name] = np.empty(kind.shape, dtype)
        into = contents[name].reshape(-1).view(np.uint8)
        for at in range(0, size, _STEP_BYTES):
            stop = min(at + _STEP_BYTES, size)
            into[at:stop] = np.frombuffer(content[offset + at : offset + stop], np.uint8)
            yield
    spilled = yield from index_rows(
        content, stretches["spilled_names"], stretches["spilled_lengths"], stretches["spilled_rows"]
    )
    return Checkpoint(
        header.run,
        header.meta,
        {name.removeprefix(_ARRAY): array for name, array in contents.items() if name.startswith(_ARRAY)},
        msgspec.json.decode(contents["key_names"].data, type=list[str]),
        spilled,
    )


def _require_whole(where: str, content: Content) -> Iterator[None]:
    end = max(len(content) - _DIGEST_BYTES, 0)
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for start in range(0, end, _STEP_BYTES):
        digest.update(content[start : min(start + _STEP_BYTES, end)])
        yield
    expected = bytes(content[end : len(content)])
    if digest.digest() != expected:
        raise CheckpointError(
            f"{where}: found content with the checksum {digest.hexdigest()[:16]}; expected {expected.hex()[:16]}: "
            "the file is damaged, start afresh"
        )


def _size(tensor: _Tensor) -> int:
    return tensor.size if isinstance(tensor, _Spool) else tensor.nbytes


def _as_bytes(name: str, array: NDArray[Any]) -> memoryview:
    if array.dtype.hasobject:
        raise ValueError(f"found Python objects in array {name.removeprefix(_ARRAY)!r}; expected numbers or bytes")
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


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
