"""The state of lanes under another network: their rows as an engine with a network of another size keeps them.

All that a lane remembers but (h, c) means the same under every network, and (h, c) are rebuilt from the lane's window
when the kernel meets it again, see `detectors.rebuilding`. So rows that differ in the room for (h, c) alone go over,
those of a joint network among them, whose lanes have a share of their key's. They are marked as of no network then: a
lane that is not heard of until the network before is back would else go on from what is no longer there.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    if rebuild or before != after:
        scalars = state.arrays[SCALARS]
        arrays = state.arrays | {SCALARS: _unmarked(scalars)}
        if before != after:
            arrays |= {HIDDEN: np.zeros((len(scalars), *after[HIDDEN].shape), after[HIDDEN].base)}
        state = replace(state, arrays=arrays, spilled=_refit(state.spilled, before, after, lanes))
    new.load(state, old.counts.to_dict())
    return True


def _refit(
    spilled: Iterable[tuple[str, bytes]], before: np.dtype[Any], after: np.dtype[Any], lanes: int
) -> Iterator[tuple[str, bytes]]:
    """Evicted keys, of so many lanes each, without marks, and where it differs with zeros in the room for (h, c)."""
    zeros = np.zeros((lanes, *after[HIDDEN].shape), after[HIDDEN].base).tobytes()
    for key, packed in spilled:
        parts, start = [], 0
        for name in before.names or ():
            stop = start + before[name].itemsize * lanes
            part = packed[start:stop]
            if name == HIDDEN and before != after:
                part = zeros
            elif name == SCALARS:
                part = _unmarked(np.frombuffer(part, before[name])).tobytes()
            parts.append(part)
            start = stop
        yield key, b"".join(parts)


def _unmarked(scalars: NDArray[Any]) -> NDArray[Any]:
    """Scalars of lanes that carry nothing of any network."""
    unmarked = scalars.copy()
    unmarked[MARK] = 0
    return unmarked
