"""The local folder in which a trainer keeps the training that it is at.

    <folder>/<16 hex digits of the registry>.json      what it is
    <folder>/<16 hex digits of the registry>.resume    how far it is; written by the process that trains
    <folder>/<16 hex digits of the registry>.lock      locked by whoever is at it

The lock is that of an open file, which processes that were started with it hold on: it is free when all of them are
gone, however they went.
"""

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import CheckpointError, UserError
from pipeline.learning.unfinished import Unfinished, decode, encode

_NAP_S = 0.05
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


class UnfinishedFiles:
    """The files of the training of one registry.

    Args:
        folder: made where it is missing.
        registry: its URL.

    Attributes:
        state: file of how far the training is, see `pipeline.adapters.training_file`.
    """

    def __init__(self, folder: Path, registry: str) -> None:
        url = registry if "://" in registry else str(Path(registry).resolve())
        stem = hashlib.sha256(url.encode()).hexdigest()[:16]
        self._folder = folder
        self._about = folder / f"{stem}.json"
        self._lock = folder / f"{stem}.lock"
        self.state = folder / f"{stem}.resume"

    @contextmanager
    def hold(self, wait_s: float) -> Iterator[int]:
        """Within the block these files are nobody else's; gives the descriptor of the lock, to be held on by others.

        Args:
            wait_s: for another process to be done.

        Raises:
            UserError: the folder cannot be written, or another process is at it.
        """
        with self._told():
            self._folder.mkdir(parents=True, exist_ok=True)
            file = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take(file, wait_s)
            yield file
        finally:
            os.close(file)

    def load(self) -> Unfinished | None:
        """The training that was not finished; None where there is none.

        Raises:
            CheckpointError: what is there cannot be read.
        """
        try:
            return decode(self._about.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as exc:
            raise CheckpointError(f"{self._about}: {exc}") from exc

    def keep(self, training: Unfinished) -> None:
        """Keep what the training is, whole or not at all.

        Raises:
            UserError: it cannot be written.
        """
        partial = self._about.with_suffix(".json.partial")
        with self._told():
            partial.write_bytes(encode(training))
            partial.replace(self._about)

    def remove(self) -> None:
        """Forget it: it has come to its end, or is not to be gone on with."""
        for path in (self._about, self.state):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _take(self, file: int, wait_s: float) -> None:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as exc:
                if exc.errno in _NO_LOCKS:
                    return
                if time.monotonic() >= deadline:
                    raise UserError(
                        f"{self._lock}: found that another trainer is at it; expected a folder of one trainer: name "
                        "another by retrain.folder"
                    ) from exc
                time.sleep(_NAP_S)
            else:
                return

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise UserError(
                f"{self._folder}: found that it cannot be written ({exc.strerror or exc}); expected a writable folder "
                "with room: see to that, or name another by retrain.folder"
            ) from exc
