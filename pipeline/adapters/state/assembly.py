"""Snapshots from pages: put together again and checked, step by step, by way of a temporary file."""

import hashlib
from collections.abc import Generator, Iterable

import msgspec
import zstandard

from pipeline.adapters.state.pages import DIGEST_BYTES, PAGE_BYTES, VERSION, Mark
from pipeline.adapters.state.scratch import FileContent, no_room_told
from pipeline.codec.checkpoints import decode_in_steps
from pipeline.codec.steps import finish
from pipeline.errors import CheckpointError
from pipeline.records import Checkpoint


class DamagedError(CheckpointError):
    """What was read is no whole snapshot; reading it again would not help."""


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
        self._digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
        self._decompressor = zstandard.ZstdDecompressor()
        self.pages = 0
        with no_room_told():
            self._content = FileContent()

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
