"""Files of lanes: what a history has left, for the keys of a later stream to begin with.

The format is that of checkpoints, see `pipeline.codec.checkpoints`: all keys are in it as evicted ones are, so that any
of them is found without reading the others. A file is never changed; its id is a hash of its content.
"""

import mmap
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pipeline.codec.checkpoints import decode_checkpoint, encode_checkpoint
from pipeline.errors import CheckpointError, UserError
from pipeline.records import Checkpoint, KeyedRows, RunIdentity

SUFFIX = ".lanes"
_META = "lanes"
_ID_BYTES = 8


class Making(msgspec.Struct, frozen=True, kw_only=True):
    """What made a file of lanes, and what it was made of.

    Attributes:
        detector: kind, options and profile, as far as lanes depend on them.
        windows: section of the configuration.
        fields: names of the values of a record.
        row: of what a lane's row is made.
        counts: what became of its records; see `Counts.to_dict`.
        left_out: records at or behind the end of the history.
        keys: how many there are.
        first_us, last_us: range of event time; None without records.
        end_us: event time before which the history ends; None for no such bound.
    """

    detector: dict[str, Any]
    windows: dict[str, Any]
    fields: tuple[str, ...]
    row: str
    counts: dict[str, Any]
    left_out: int
    keys: int
    first_us: int | None
    last_us: int | None
    end_us: int | None

    @property
    def lanes(self) -> int:
        """Of all keys, joint lanes included."""
        return self.keys * (len(self.fields) + bool(self.detector.get("joint", False)))


@dataclass(frozen=True, slots=True)
class LanesFile:
    """A file of lanes, opened.

    Attributes:
        id: 16 hex digits that follow from its content.
        rows: by key; stay readable when the file's name goes.
        run: configuration and bundle that made it, the name of the history, and a digest of it as the past.
    """

    path: Path
    id: str
    rows: KeyedRows
    run: RunIdentity
    making: Making


def write_lanes(path: Path, run: RunIdentity, making: Making, rows: Iterable[tuple[str, bytes]]) -> None:
    """Write the rows of all keys, in order of the keys, as a file, whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    partial = path.with_name(f"{path.name}.partial")
    content = Checkpoint(run, {_META: msgspec.to_builtins(making)}, {}, [], rows)
    try:
        with partial.open("wb") as file:
            for part in encode_checkpoint(content, path.parent):
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as exc:
        partial.unlink(missing_ok=True)
        raise UserError(
            f"{path}: found that it cannot be written ({exc.strerror or exc}); expected a writable folder with room: "
            "see to that or choose another"
        ) from exc


def open_lanes(path: Path) -> LanesFile:
    """A file that `write_lanes` has written.

    Raises:
        UserError: there is none, or something else.
        CheckpointError: damaged in any byte, or of another version.
    """
    expected = "a file of lanes: make one from a history with `driftline warm`"
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise UserError(f"{path}: found an empty file; expected {expected}")
            # left to the garbage collector: rows are read from it for as long as there are any engines
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as exc:
        raise UserError(f"{path}: found no readable file ({exc.strerror}); expected {expected}") from exc
    try:
        found = decode_checkpoint(str(path), memoryview(content))
    except CheckpointError as exc:
        raise UserError(f"{exc} with `driftline warm`") from exc
    if _META not in found.meta or not isinstance(found.spilled, KeyedRows):
        raise UserError(f"{path}: found a checkpoint; expected {expected}")
    making = msgspec.convert(found.meta[_META], Making)
    return LanesFile(path, content[-_ID_BYTES:].hex(), found.spilled, found.run, making)
