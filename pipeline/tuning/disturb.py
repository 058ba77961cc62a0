"""Copies of recordings with faults of known kinds put into them: what recall is told by where there are no labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from detectors.faults import KINDS, Fault, disturb, longest, shows, value_range
from pipeline.tuning.history import Recording

SPACING = 800
"""Measured records of a stream from fault to fault, so that one is hardly judged in the light of the one before."""
GRACE = 12
"""Records behind a fault in which an alarm is still taken to be of it."""
AIM = 60
"""Faults that make recall worth telling."""
MOST_COPIES = 4
_LEAD, _TAIL = 20, 60  # records of a stretch before and behind a fault


@dataclass(frozen=True, slots=True)
class PlacedFault:
    """A fault in a recording.

    Attributes:
        key: stream.
        kind, size: see `detectors.faults.Fault`.
        first, last: rows of the recording, both inclusive, at which an alarm is of this fault.
    """

    key: int
    kind: str
    size: float
    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class Disturbed:
    """A copy of a recording with faults.

    Attributes:
        original: number of the recording that it is a copy of.
        recording: the copy.
        faults: in it.
    """

    original: int
    recording: Recording
    faults: tuple[PlacedFault, ...]


def disturb_all(recordings: Sequence[Recording], seed: Sequence[int]) -> tuple[Disturbed, ...]:
    """As many copies of each recording as it takes to have `AIM` faults, at most `MOST_COPIES`; the same for a seed.

    A copy has a fault about every `SPACING` records of each measured stream, kinds in random order, in one field drawn.
    """
    first = _copies(recordings, [*seed, 0])
    count = sum(len(one.faults) for one in first)
    wanted = min(-(-AIM // count), MOST_COPIES) if count else 0
    return tuple(one for copy in range(wanted) for one in (first if copy == 0 else _copies(recordings, [*seed, copy])))


def _copies(recordings: Sequence[Recording], seed: Sequence[int]) -> tuple[Disturbed, ...]:
    rng = np.random.default_rng(list(seed))
    copies = []
    for number, recording in enumerate(recordings):
        values = recording.values.copy()
        faults: list[PlacedFault] = []
        for key in range(len(recording.keys)):
            faults += _disturb_stream(recording, key, values, rng)
        if faults:
            copies.append(Disturbed(number, replace(recording, values=values), tuple(faults)))
    return tuple(copies)


def _disturb_stream(
    recording: Recording, key: int, values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], rng: np.random.Generator
) -> list[PlacedFault]:
    """Faults of one stream, put into `values` (n, fields) in place."""
    measured = recording.rows_of(key)
    stretch = min(SPACING, len(measured))
    possible = [kind for kind in KINDS if longest(kind) + _LEAD + _TAIL <= stretch]
    rows = np.flatnonzero(recording.key == key)
    before = len(rows) - len(measured)
    extents = [value_range(recording.values[rows, field]) for field in range(len(recording.fields))]
    alive = [field for field, extent in enumerate(extents) if extent > 0]
    if not (possible and alive):
        return []
    faults = []
    for number in range(len(measured) // stretch):
        field = alive[int(rng.integers(len(alive)))]
        for kind in rng.permutation(possible).tolist():
            slack = stretch - longest(kind) - _LEAD - _TAIL
            start = before + number * stretch + _LEAD + int(rng.integers(slack + 1))
            lane = values[rows, field]
            out, fault = disturb(lane, kind, start, extents[field], rng)
            if shows(lane, out, fault, extents[field]):
                values[rows, field] = out
                faults.append(_placed(key, fault, rows))
                break
    return faults


def _placed(key: int, fault: Fault, rows: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> PlacedFault:
    last = min(fault.stop - 1 + GRACE, len(rows) - 1)
    return PlacedFault(key, fault.kind, fault.size, int(rows[fault.start]), int(rows[last]))
