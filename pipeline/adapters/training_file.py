"""Files that an interrupted training is gone on from: one a training, replaced whole at each validation.

A file is of the format safetensors. Its metadata names format and version, the training that it is of, and a SHA-256
over names and content of its arrays.
"""

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from pipeline.errors import CheckpointError, UserError

Arrays = Mapping[str, NDArray[Any]]
_FORMAT, _VERSION = "driftline-training", "1"
MEND = "begin anew with --fresh, or name another by --resume-file"
"""What to do about a file that cannot be gone on from."""


class TrainingFile:
    """The file of one training; of none where its path is.

    Args:
        path: where it is, or will be.
        fresh: begin anew, whatever is there.
        mend: what errors tell to do where it cannot be gone on from.
        named_by: option or key of the configuration that says where it is; for errors.
    """

    def __init__(self, path: Path, *, fresh: bool = False, mend: str = MEND, named_by: str = "--resume-file") -> None:
        self.path = path
        self._fresh = fresh
        self._mend = mend
        self._named_by = named_by

    def load(self, identity: str) -> dict[str, NDArray[Any]] | None:
        """What was kept last; None where nothing was, or is to be begun anew.

        Args:
            identity: of the training: what it learns from, begins with, and how.

        Raises:
            CheckpointError: the file is damaged, or of another training.
        """
        if self._fresh or not self.path.exists():
            return None
        expected = f"expected one of an interrupted training: {self._mend}"
        try:
            with safe_open(self.path, "numpy") as file:
                meta = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
        except (OSError, SafetensorError) as exc:
            raise CheckpointError(f"{self.path}: found a file that cannot be read ({exc}); {expected}") from exc
        if meta.get("format") != _FORMAT or meta.get("version") != _VERSION:
            found = f"{meta.get('format', 'something else')} of version {meta.get('version', 'unknown')}"
            raise CheckpointError(f"{self.path}: found {found}; {expected}")
        if meta.get("sha256") != _digest(arrays):
            raise CheckpointError(f"{self.path}: found a damaged file; {expected}")
        if meta.get("identity") != identity:
            raise CheckpointError(
                f"{self.path}: found an interrupted training of another history or with other options; expected the "
                f"history and options of then, to go on: {self._mend}"
            )
        return arrays

    def keep(self, identity: str, arrays: Arrays) -> None:
        """Put the arrays into the file, whole or not at all; they outlive a power cut.

        Raises:
            UserError: it cannot be written.
        """
        meta = {"format": _FORMAT, "version": _VERSION, "identity": identity, "sha256": _digest(arrays)}
        partial = self._partial
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                file.write(save(dict(arrays), meta))
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path)
        except OSError as exc:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise UserError(
                f"{self.path}: found that it cannot be written ({exc.strerror or exc}); expected a writable folder "
                f"with room: see to that, or choose another by {self._named_by}"
            ) from exc

    def remove(self) -> None:
        """Forget it: there is nothing to go on with."""
        for path in (self.path, self._partial):
            path.unlink(missing_ok=True)

    @property
    def _partial(self) -> Path:
        return self.path.with_name(f"{self.path.name}.partial")


def _digest(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(repr((name, array.dtype.str, array.shape)).encode() + array.tobytes())
    return digest.hexdigest()
