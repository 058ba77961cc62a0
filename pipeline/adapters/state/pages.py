"""Snapshots in pages: how a checkpoint is cut and marked as complete, step by step.

That needs no memory for the evicted keys, of which there may be many: they go through temporary files.
"""

import hashlib
import math
import time
from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

import msgspec
import zstandard

from pipeline.adapters.state.scratch import no_room_told
from pipeline.codec.checkpoints import EncodedCheckpoint, encode_in_steps
from pipeline.records import Checkpoint, Place

VERSION = 1
PAGE_BYTES = 2**19
"""Before compression; a page fits into a message of a mebibyte even when it does not compress."""
PREPARE_S = 0.25
"""Most time that a writer prepares between two commits."""
_LEVEL = 1
DIGEST_BYTES = 16

T = TypeVar("T")


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """Says that a snapshot is complete.

    Attributes:
        version: of this layout.
        id: of the snapshot; its pages bear the same.
        offset: of the record before which the state was so.
        size: bytes of all pages before compression.
        digest: blake2b of those, as hex.
        config_hash, bundle: what made it.
        beside: pages that the other slot may have, on a topic.
    """

    version: int
    id: str
    offset: int
    pages: int
    size: int
    digest: str
    config_hash: str
    bundle: str
    beside: int = 0


class Steps(Generic[T]):
    """Work that is done for a while now and then."""

    def __init__(self, steps: Generator[None, None, T]) -> None:
        self._steps = steps
        self._result: list[T] = []

    def go_on(self, budget_s: float) -> bool:
        """Work for about so long; True when all is done."""
        deadline = time.monotonic() + budget_s
        while not self._result:
            try:
                next(self._steps)
            except StopIteration as end:
                self._result.append(end.value)
            if time.monotonic() > deadline:
                break
        return bool(self._result)

    def result(self) -> T:
        """What came of it, once it is done.

        Raises:
            RuntimeError: it is not.
        """
        if not self._result:
            raise RuntimeError("found work that is not done; expected go_on() to have said so")
        return self._result[0]


class Snapshot:
    """A state in pages, and the mark that goes behind them.

    The state must be that of the moment at which this is made, whatever comes later.
    """

    def __init__(self, offset: int, state: Checkpoint) -> None:
        self._steps = Steps(_prepare(offset, state))
        self._pages: Iterator[bytes] | None = None

    def prepare(self, budget_s: float = math.inf) -> bool:
        """Find out what the mark has to say, for about so long; True when that is known.

        Raises:
            CheckpointError: there is no room for the temporary files.
        """
        return self._steps.go_on(budget_s)

    @property
    def mark(self) -> Mark:
        """Says that the snapshot is complete."""
        self.prepare()
        return self._steps.result()[0]

    @property
    def pages(self) -> Iterator[bytes]:
        """Compressed, made one by one as they are asked for."""
        if self._pages is None:
            self.prepare()
            self._pages = _pages(self._steps.result()[1])
        return self._pages


def _prepare(offset: int, state: Checkpoint) -> Generator[None, None, tuple[Mark, EncodedCheckpoint]]:
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    with no_room_told():
        encoded = yield from encode_in_steps(state, digest)
    mark = Mark(
        version=VERSION,
        id=f"{offset}-{digest.hexdigest()[:12]}",
        offset=offset,
        pages=-(-encoded.size // PAGE_BYTES),
        size=encoded.size,
        digest=digest.hexdigest(),
        config_hash=state.run.config_hash,
        bundle=state.run.bundle,
    )
    return mark, encoded


def _pages(encoded: EncodedCheckpoint) -> Iterator[bytes]:
    compress = zstandard.ZstdCompressor(level=_LEVEL).compress
    page = bytearray()
    for part in encoded.parts():
        rest = memoryview(part)
        while rest.nbytes:
            taken = rest[: PAGE_BYTES - len(page)]
            page += taken
            rest = rest[taken.nbytes :]
            if len(page) == PAGE_BYTES:
                yield compress(page)
                page.clear()
    if page:
        yield compress(page)


def cut(offset: int, state: Checkpoint) -> Snapshot:
    """The pages of a state and the mark that goes behind them."""
    return Snapshot(offset, state)


def weight(page: bytes) -> int:
    """Bytes that a page counts for in a writer's share: making a short one takes its time too."""
    return max(len(page), PAGE_BYTES // 8)


def name(place: Place) -> str:
    """A partition as users write it."""
    return f"{place.topic}/{place.partition}"
