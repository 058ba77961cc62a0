"""Snapshots in pages: how a checkpoint is cut, marked as complete and put together again."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import zstandard

from pipeline.codec.checkpoints import decode_checkpoint, encode_checkpoint
from pipeline.errors import CheckpointError
from pipeline.records import Checkpoint, Place

VERSION = 1
PAGE_BYTES = 2**19
"""Before compression; a page fits into a message of a mebibyte even when it does not compress."""
_LEVEL = 1


class Mark(msgspec.Struct, frozen=True):
    """Says that a snapshot is complete.

    Attributes:
        version: of this layout.
        id: of the snapshot; its pages bear the same.
        offset: of the record before which the state was so.
        size: bytes of all pages before compression.
        digest: blake2b of those, as hex.
        config_hash, bundle: what made it.
    """

    version: int
    id: str
    offset: int
    pages: int
    size: int
    digest: str
    config_hash: str
    bundle: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot in pages.

    Attributes:
        pages: compressed, made one by one as they are asked for.
    """

    mark: Mark
    pages: Iterator[bytes]


def cut(offset: int, state: Checkpoint) -> Snapshot:
    """The pages of a state and the mark that goes behind them."""
    parts = [memoryview(part) for part in encode_checkpoint(state)]
    size = sum(part.nbytes for part in parts)
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    mark = Mark(
        version=VERSION,
        id=f"{offset}-{digest.hexdigest()[:12]}",
        offset=offset,
        pages=-(-size // PAGE_BYTES),
        size=size,
        digest=digest.hexdigest(),
        config_hash=state.run.config_hash,
        bundle=state.run.bundle,
    )
    return Snapshot(mark, map(zstandard.ZstdCompressor(level=_LEVEL).compress, _pages(parts)))


def _pages(parts: list[memoryview]) -> Iterator[bytes]:
    page = bytearray()
    for part in parts:
        start = 0
        while start < part.nbytes:
            taken = part[start : start + PAGE_BYTES - len(page)]
            page += taken
            start += taken.nbytes
            if len(page) == PAGE_BYTES:
                yield bytes(page)
                page.clear()
    if page:
        yield bytes(page)


def read_mark(where: str, content: bytes) -> Mark:
    """The mark in a content.

    Raises:
        CheckpointError: it is none, or of another version.
    """
    try:
        mark = msgspec.json.decode(content, type=Mark)
    except msgspec.MsgspecError as exc:
        raise CheckpointError(f"{where}: found no mark of a snapshot ({exc}); expected one") from exc
    if mark.version != VERSION:
        raise CheckpointError(
            f"{where}: found version {mark.version}; expected {VERSION}: go on with the driftline that made it"
        )
    return mark


def join(where: str, mark: Mark, pages: list[bytes]) -> Checkpoint:
    """The state in the pages.

    Raises:
        CheckpointError: they are not what the mark says.
    """
    if len(pages) != mark.pages:
        raise CheckpointError(f"{where}: found {len(pages)} pages of snapshot {mark.id}; expected {mark.pages}")
    content = bytearray()
    decompressor = zstandard.ZstdDecompressor()
    try:
        for page in pages:
            content += decompressor.decompress(page, max_output_size=PAGE_BYTES)
    except zstandard.ZstdError as exc:
        raise CheckpointError(f"{where}: found a damaged page of snapshot {mark.id} ({exc})") from exc
    found = hashlib.blake2b(content, digest_size=16).hexdigest()
    if found != mark.digest:
        raise CheckpointError(f"{where}: found content {found[:12]} of snapshot {mark.id}; expected {mark.digest[:12]}")
    return decode_checkpoint(where, memoryview(content))


def name(place: Place) -> str:
    """A partition as users write it."""
    return f"{place.topic}/{place.partition}"
