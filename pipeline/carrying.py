"""The state of lanes under another network: their rows as an engine with a network of another size keeps them.

All that a lane remembers but (h, c) means the same under every network, and (h, c) are rebuilt from the lane's window
when the kernel meets it again, see `detectors.rebuilding`. So rows that differ in the room for (h, c) alone go over.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from detectors.layout import without_hidden
from pipeline.engine import PartitionEngine

HIDDEN, SCALARS, MARK = "hidden", "scalars", "network"


def carry_state(old: PartitionEngine, new: PartitionEngine, *, rebuild: bool = False) -> bool:
    """Have a fresh engine go on where another one is; False, and nothing done, where their lanes do not fit.

    Args:
        old: at rest, and not used any more afterwards, but that a rebuilt state can be carried over more than once.
        new: fresh.
        rebuild: whether (h, c) are rebuilt even under the network that they are of, so that what is carried over is the
            same whatever network comes next.
    """
    before, after = old.lanes.row_type, new.lanes.row_type
    lanes = old.lanes.fields
    if (old.fields, lanes) != (new.fields, new.lanes.fields) or without_hidden(before) != without_hidden(after):
        return False
    state = old.save()
    if rebuild:
        scalars = state.arrays[SCALARS].copy()
        scalars[MARK] = 0
        state = replace(
            state,
            arrays=state.arrays | {SCALARS: scalars},
            spilled=_unmark(state.spilled, before, old.lanes.fields),
        )
    if before != after:
        hidden = state.arrays[HIDDEN]
        state = replace(
            state,
            arrays=state.arrays | {HIDDEN: np.zeros((len(hidden), *after[HIDDEN].shape), after[HIDDEN].base)},
            spilled=_refit(state.spilled, before, after, old.lanes.fields),
        )
    new.load(state, old.counts.to_dict())
    return True


def _unmark(spilled: Iterable[tuple[str, bytes]], row: np.dtype[Any], lanes: int) -> Iterator[tuple[str, bytes]]:
    """Evicted keys, each with so many lanes, whose (h, c) are of no network."""
    start = _offset(row, SCALARS, lanes)
    stop = start + row[SCALARS].itemsize * lanes
    for key, packed in spilled:
        scalars = np.frombuffer(packed, row[SCALARS], lanes, start).copy()
        scalars[MARK] = 0
        yield key, packed[:start] + scalars.tobytes() + packed[stop:]


def _refit(
    spilled: Iterable[tuple[str, bytes]], before: np.dtype[Any], after: np.dtype[Any], lanes: int
) -> Iterator[tuple[str, bytes]]:
    """Evicted keys, each with so many lanes, with the room for (h, c) that the other rows have, as zeros."""
    start = _offset(before, HIDDEN, lanes)
    stop = start + before[HIDDEN].itemsize * lanes
    zeros = bytes(after[HIDDEN].itemsize * lanes)
    for key, packed in spilled:
        yield key, packed[:start] + zeros + packed[stop:]


def _offset(row: np.dtype[Any], name: str, lanes: int) -> int:
    """Where an array of the rows of a key with so many lanes begins when they are packed."""
    names = row.names or ()
    return sum(row[other].itemsize for other in names[: names.index(name)]) * lanes
