"""Feedback in a file: lines of JSON as in the topic, of which the later of an id takes the place of the earlier."""

import os
from pathlib import Path

from pipeline.codec.feedback import FeedbackLog
from pipeline.errors import InputError
from pipeline.feedback import Ranges


def read_feedback(path: Path) -> Ranges:
    """What a file says in the end; empty lines say nothing.

    Raises:
        InputError: it cannot be read, or a line is no feedback: unlike in a topic, that can be put right.
    """
    log = FeedbackLog()
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as exc:
        raise InputError(
            str(path), found=f"no readable file ({exc.strerror})", expected="feedback in JSON lines"
        ) from exc
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                log.take_line(line)
            except ValueError as exc:
                found, _, expected = str(exc).removeprefix("found ").partition("; expected ")
                raise InputError(f"{path}, line {number}", found=found, expected=expected or "feedback") from exc
    return log.ranges()


def append_feedback(path: Path, line: bytes) -> None:
    """Add a line to a file, which is made if need be, and see it to the disk.

    Raises:
        InputError: it cannot be written.
    """
    try:
        with path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        raise InputError(
            str(path), found=f"that it cannot be written ({exc.strerror})", expected="a file to add to"
        ) from exc
