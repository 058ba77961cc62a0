"""Snapshots in pages: how a checkpoint is cut, marked as complete and put together again, step by step.

Neither way needs memory for the evicted keys, of which there may be many: they go through temporary files.
"""

import hashlib
import math
import os
import tempfile
import time
import weakref
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Generic, TypeVar

import msgspec
import zstandard

from pipeline.codec.checkpoints import EncodedCheckpoint, decode_in_steps, encode_in_steps
from pipeline.codec.steps import finish
from pipeline.errors import CheckpointError
from pipeline.records import Checkpoint, Place

VERSION = 1
PAGE_BYTES = 2**19
"""Before compression; a page fits into a message of a mebibyte even when it does not compress."""
PREPARE_S = 0.25
"""Most time that a writer prepares between two commits."""
_LEVEL = 1
_DIGEST_BYTES = 16

T = TypeVar("T")


class DamagedError(CheckpointError):
    """What was read is no whole snapshot; reading it again would not help."""


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
        """What came of it, once it is done."""
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
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
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


def read_mark(where: str, content: bytes) -> Mark:
    """The mark in a content.

    Raises:
        DamagedError: it is none, or of another version.
    """
    try:
        mark = msgspec.json.decode(content, type=Mark)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise DamagedError(f"{where}: found no mark of a snapshot ({exc}); expected one") from exc
    if mark.version != VERSION:
        raise DamagedError(
            f"{where}: found version {mark.version}; expected {VERSION}: go on with the driftline that made it"
        )
    return mark


class Assembly:
    """Puts the pages of a snapshot together, in a temporary file.

    Args:
        where: named in errors.

    Attributes:
        pages: those added so far.
    """

    def __init__(self, where: str, mark: Mark) -> None:
        self._where = where
        self._mark = mark
        self._digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        self._decompressor = zstandard.ZstdDecompressor()
        self.pages = 0
        with no_room_told():
            self._content = _FileContent()

    def add(self, page: bytes) -> None:
        """Take the next page.

        Raises:
            DamagedError: it is none.
            CheckpointError: there is no room for the temporary file.
        """
        damaged = f"{self._where}: found a damaged page of snapshot {self._mark.id}"
        try:
            size = zstandard.frame_content_size(page)
            # by itself the decompressor makes room for whatever size the page says it has
            content = b"" if size > PAGE_BYTES else self._decompressor.decompress(page, max_output_size=PAGE_BYTES)
        except zstandard.ZstdError as exc:
            raise DamagedError(f"{damaged} ({exc})") from exc
        if size > PAGE_BYTES:
            raise DamagedError(f"{damaged} of {size} bytes; expected at most {PAGE_BYTES}")
        self._digest.update(content)
        with no_room_told():
            self._content.write(content)
        self.pages += 1

    def finish(self) -> Generator[None, None, Checkpoint]:
        """The state, once all pages are there, after some steps of a few milliseconds.

        Raises:
            DamagedError: they are not what the mark says.
        """
        if self.pages != self._mark.pages:
            raise DamagedError(
                f"{self._where}: found {self.pages} pages of snapshot {self._mark.id}; expected {self._mark.pages}"
            )
        found = self._digest.hexdigest()
        if found != self._mark.digest:
            raise DamagedError(
                f"{self._where}: found content {found[:12]} of snapshot {self._mark.id}; "
                f"expected {self._mark.digest[:12]}"
            )
        with no_room_told():
            self._content.flush()
            return (yield from decode_in_steps(self._where, self._content, is_whole=True))


def join(where: str, mark: Mark, pages: Iterable[bytes]) -> Checkpoint:
    """The state in the pages.

    Raises:
        DamagedError: they are not what the mark says.
        CheckpointError: there is no room for temporary files.
    """
    assembly = Assembly(where, mark)
    for page in pages:
        assembly.add(page)
    return finish(assembly.finish())


def weight(page: bytes) -> int:
    """Bytes that a page counts for in a writer's share: making a short one takes its time too."""
    return max(len(page), PAGE_BYTES // 8)


def name(place: Place) -> str:
    """A partition as users write it."""
    return f"{place.topic}/{place.partition}"


def scratch_file() -> IO[bytes]:
    """A temporary file without a name."""
    with no_room_told():
        return tempfile.TemporaryFile()


class _FileContent:
    """Bytes in a temporary file; fulfils `pipeline.codec.stored_rows.Content`."""

    def __init__(self) -> None:
        self._file = scratch_file()
        weakref.finalize(self, self._file.close)
        self._size = 0

    def write(self, content: bytes) -> None:
        """Add some more."""
        self._file.write(content)
        self._size += len(content)

    def flush(self) -> None:
        """Let what was written be read."""
        self._file.flush()

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice, /) -> bytes:
        start, stop, _ = part.indices(self._size)
        return os.pread(self._file.fileno(), stop - start, start)


@contextmanager
def no_room_told() -> Iterator[None]:
    """Tells a full disk as `CheckpointError`."""
    try:
        yield
    except OSError as exc:
        raise CheckpointError(
            f"{tempfile.gettempdir()}: found no room for a snapshot on its way ({exc}); expected a writable directory "
            "with room: see to that, or choose another by TMPDIR"
        ) from exc
