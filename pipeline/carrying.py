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

HIDDEN = "hidden"


def carry_state(old: PartitionEngine, new: PartitionEngine) -> bool:
    """Have a fresh engine go on where another one is; False, and nothing done, where their lanes do not fit.

    Args:
        old: at rest, and not used any more afterwards.
        new: fresh.
    """
    before, after = old.lanes.row_type, new.lanes.row_type
    if old.lane_names != new.lane_names or without_hidden(before) != without_hidden(after):
        return False
    state = old.save()
    if before != after:
        hidden = state.arrays[HIDDEN]
        state = replace(
            state,
            arrays=state.arrays | {HIDDEN: np.zeros((len(hidden), *after[HIDDEN].shape), after[HIDDEN].base)},
            spilled=_refit(state.spilled, before, after, old.lanes.fields),
        )
    new.load(state, old.counts.to_dict())
    return True


def _refit(
    spilled: Iterable[tuple[str, bytes]], before: np.dtype[Any], after: np.dtype[Any], lanes: int
) -> Iterator[tuple[str, bytes]]:
    """Evicted keys, each with so many lanes, with the room for (h, c) that the other rows have, as zeros."""
    start = 0
    for name in before.names or ():
        if name == HIDDEN:
            break
        start += before[name].itemsize * lanes
    stop = start + before[HIDDEN].itemsize * lanes
    zeros = bytes(after[HIDDEN].itemsize * lanes)
    for key, packed in spilled:
        yield key, packed[:start] + zeros + packed[stop:]
