"""Temporary files, in which a snapshot waits on its way."""

import os
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from pipeline.errors import CheckpointError


def scratch_file() -> IO[bytes]:
    """A temporary file without a name."""
    with no_room_told():
        return tempfile.TemporaryFile()


class FileContent:
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
