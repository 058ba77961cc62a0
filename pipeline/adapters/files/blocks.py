"""What a reader of one format gives: blocks of raw columns, before times and numbers are made of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from pipeline.errors import InputError

LONGEST_FOUND = 40
"""Characters of an offending text that are shown."""


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows of a file as they stand there.

    Attributes:
        first_row: data row of the first, counted from 1.
        columns: one array of n cells per column asked for, in that order; text, numbers or times, null where absent.
    """

    first_row: int
    columns: tuple[pa.Array, ...]


class Reader(Protocol):
    """Reads one file of one format; every error is an InputError that names the file."""

    @property
    def path(self) -> Path:
        """The file."""

    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in file order.

        Raises:
            InputError: the file cannot be read or has no rows, or its columns no proper names.
        """

    def estimate_rows(self) -> int:
        """About how many data rows the file has, at least 1; cheap."""

    def read(self, columns: Sequence[str], *, after_row: int = 0) -> Iterator[Block]:
        """Blocks of the rows behind `after_row`, all of them exactly once and in order.

        Raises:
            InputError: a row that cannot be taken apart.
        """


def check_names(path: Path, names: Sequence[str]) -> None:
    """Refuse a file without names of columns, or with the same for two.

    Raises:
        InputError: for either.
    """
    if not names:
        raise InputError(str(path), found="no named columns", expected="one of times and one of numbers at least")
    for name in names:
        if names.count(name) > 1:
            raise InputError(str(path), found=f"two columns named {name!r}", expected="each name once")


def shorten(text: str) -> str:
    """`text`, cut to what an error or a report can show."""
    return text if len(text) <= LONGEST_FOUND else text[: LONGEST_FOUND - 1] + "…"


def listed(names: Sequence[str]) -> str:
    """Column names for a message, the first ten of them."""
    shown = ", ".join(repr(shorten(name)) for name in names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown
