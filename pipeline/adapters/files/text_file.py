"""Files of text, plain or gzip: opening, the size of the whole, and a guess at the rows in it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from pipeline.errors import InputError

BOM = b"\xef\xbb\xbf"
_HEAD_BYTES = 1 << 16


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Translate what the operating system and Arrow say about `path`, a file of `kind`.

    Raises:
        InputError: instead of either.
    """
    try:
        yield
    except (OSError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
        if isinstance(exc, OSError) and exc.errno is not None:
            found = f"a file that cannot be read ({os.strerror(exc.errno)})"
            raise InputError(str(path), found=found, expected="access to it") from exc
        reason = str(exc).splitlines()[0]
        raise InputError(str(path), found=f"damaged data ({reason})", expected=f"a whole {kind} file") from exc


def open_text(path: Path) -> pa.NativeFile:
    """The uncompressed bytes of `path`; gzip is known by its extension."""
    file = pa.OSFile(str(path))
    return pa.CompressedInputStream(file, "gzip") if _is_gzip(path) else file


def read_head(path: Path) -> bytes:
    """The first bytes of the uncompressed text.

    Raises:
        InputError: there is nothing but blanks in the file.
    """
    with open_text(path) as stream:
        head: bytes = stream.read(_HEAD_BYTES)
    if not head.removeprefix(BOM).strip() and len(head) < _HEAD_BYTES:
        raise InputError(str(path), found="an empty file", expected="rows of data")
    return head


def estimate_lines(path: Path) -> int:
    """About how many lines the file has, were they all as long as its first."""
    head = read_head(path)
    lines = head.count(b"\n") + (not head.endswith(b"\n"))
    return lines if len(head) < _HEAD_BYTES else round(_text_size(path) * lines / len(head))


def _text_size(path: Path) -> int:
    """Uncompressed bytes; a gzip file's own record of them counts modulo 4 GiB and for its last part only."""
    size = path.stat().st_size
    if not _is_gzip(path):
        return size
    with path.open("rb") as file:
        file.seek(-4, 2)
        return max(size, int.from_bytes(file.read(4), "little"))


def _is_gzip(path: Path) -> bool:
    return path.suffix.lower() == ".gz"
