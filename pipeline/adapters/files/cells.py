"""Cells of a column as text, as numbers and as keys."""

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.adapters.files.blocks import shorten

FINITE_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
"""Regular expression of a number as text, without anchors."""

_MISSING = pa.array(["", "na", "nan", "null", "none"])
_NUMBER = f"^({FINITE_NUMBER}|(?i:[+-]?inf(inity)?))$"


def is_numeric(cells: pa.Array) -> bool:
    """Whether the column is of a type of numbers."""
    kind = cells.type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def as_text(cells: pa.Array) -> pa.Array:
    """The cells as strings, null where there is none; numbers as Python writes them, lists and the like as JSON."""
    # Arrow would write 7.0 as 7, and a key must not depend on whether its neighbours are whole
    if not pa.types.is_floating(cells.type):
        try:
            return cells.cast(pa.string())
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            pass  # nested, or bytes that are no text
    return pa.array(map(cell_text, cells.to_pylist()), pa.string())


def cell_text(cell: object) -> str | None:
    """A cell as a string; a number reads back as the same number."""
    if cell is None or isinstance(cell, str):
        return cell
    return repr(cell) if type(cell) in {int, float} else msgspec.json.encode(cell, enc_hook=str).decode()


def parse_values(cells: pa.Array) -> tuple[NDArray[np.float64], list[tuple[int, str]]]:
    """The cells as numbers (n,), and those that are none: their index and their text, shortened.

    Empty cells, NA, NaN, null and None in any case are missing and become NaN, and so does what is not a number.
    """
    if is_numeric(cells):
        return cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), []
    text = as_text(cells)
    trimmed = pc.utf8_trim_whitespace(text)
    number = pc.match_substring_regex(trimmed, _NUMBER)
    missing = pc.or_(pc.is_in(pc.ascii_lower(trimmed), _MISSING), pc.is_null(trimmed))
    values = pc.if_else(number, trimmed, None).cast(pa.float64()).to_numpy(zero_copy_only=False)
    unusable = np.flatnonzero(~pc.or_kleene(number, missing).to_numpy(zero_copy_only=False))
    return values, [(int(i), shorten(text[int(i)].as_py())) for i in unusable]


def parse_keys(cells: pa.Array) -> tuple[pa.Array, NDArray[np.int64]]:
    """The cells as keys, exactly as written, and the indices of those that are absent or blank; these become ''."""
    text = pc.fill_null(as_text(cells), "")
    blank = pc.equal(pc.utf8_trim_whitespace(text), "")
    return pc.if_else(blank, "", text), np.flatnonzero(blank.to_numpy(zero_copy_only=False))
