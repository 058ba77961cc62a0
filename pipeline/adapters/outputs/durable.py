"""Files that are whole or absent after a crash, and whose errors are told in the product's words."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import UserError


def sync(path: Path) -> None:
    """Return once the content of a file, or the names in a directory, will outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path, partial: Path) -> Iterator[None]:
    """After a block that wrote `partial`, on the same file system, make it `path`, whole or not at all, and durable."""
    yield
    sync(partial)
    partial.replace(path)
    sync(path.parent)


@contextmanager
def told_as_user_error(directory: Path) -> Iterator[None]:
    """An OSError of the block becomes a UserError that names the output directory."""
    try:
        yield
    except OSError as exc:
        reason = exc.strerror or str(exc).splitlines()[0]
        raise UserError(
            f"{directory}: found that it cannot be written ({reason}); expected a writable directory with room: "
            "see to that or choose another"
        ) from exc
