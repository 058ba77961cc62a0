"""Checkpoints on disk; `pipeline.codec.checkpoints` tells what is in them."""

import mmap
from pathlib import Path

from pipeline.adapters.outputs.durable import replacing
from pipeline.codec.checkpoints import decode_checkpoint, encode_checkpoint
from pipeline.errors import CheckpointError
from pipeline.records import Checkpoint, RunIdentity

FILE = "checkpoint.safetensors"


def save_checkpoint(directory: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` as that of `directory`; the one before stays until this one is whole and durable.

    Raises:
        ValueError: an array that holds Python objects.
        OSError: the directory cannot be written.
    """
    parts = encode_checkpoint(checkpoint, directory)
    partial = directory / f"{FILE}.partial"
    with replacing(directory / FILE, partial), partial.open("wb") as file:
        for part in parts:
            file.write(part)


def load_checkpoint(directory: Path) -> Checkpoint | None:
    """The checkpoint of `directory`, with arrays of its own that can be written to; None when there is none.

    Raises:
        CheckpointError: damaged in any byte, of another format or version, or not readable.
    """
    path = directory / FILE
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                return decode_checkpoint(str(path), memoryview(b""))
            # left to the garbage collector, since an error's traceback may still hold views of it
            return decode_checkpoint(str(path), memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise CheckpointError(f"{path}: found no readable file ({exc.strerror}); expected a checkpoint") from exc


def require_same_run(path: Path, found: RunIdentity, expected: RunIdentity) -> None:
    """Refuse to go on from another run's checkpoint.

    Raises:
        CheckpointError: naming every difference.
    """
    names = {"config_hash": "configuration", "bundle": "bundle", "source": "source", "past": "history"}
    differing = [name for name in names if getattr(found, name) != getattr(expected, name)]
    if differing:
        was, now = (
            ", ".join(f"{names[name]} {getattr(run, name)!r}" for name in differing) for run in (found, expected)
        )
        raise CheckpointError(
            f"{path}: found a checkpoint of {was}; expected {now}: "
            "go on with what the interrupted run was given, or start afresh"
        )
