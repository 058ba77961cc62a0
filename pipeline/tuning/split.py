"""The part of a history to tune on, and the part that is held out to judge by.

Streams are divided where there are several, and time where there are few. Nothing of the held-out part is looked at
before the search is over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.tuning.history import Recording, measure_after

LEAST_STREAMS = 4
"""Fewer are divided by time."""
LEAST_MEASURED = 100
"""Records behind its warm-up that make a stream worth measuring."""

By = Literal["streams", "time"]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A history in two.

    Attributes:
        by: what was divided.
        tuning: recordings that trials run over.
        held_out: recordings to judge by. Divided by time they begin where the history does, so that streams are known
            by then, and only what comes behind the tuning part is measured.
        left_out: names of streams that are too short to be in either.
    """

    by: By
    tuning: tuple[Recording, ...]
    held_out: tuple[Recording, ...]
    left_out: tuple[str, ...]


def split_history(
    recordings: Sequence[Recording], warm_up: int, share: float, seed: int, by: By | None = None
) -> Split:
    """A share of the streams, or of the time, held out.

    Streams are drawn by seed, from each folder and from those with many, few and no labelled windows alike.

    Args:
        recordings: the history.
        warm_up: records of a stream before any alarm.
        share: to hold out, in (0, 1).
        seed: of the draw.
        by: what to divide; None chooses.

    Raises:
        ValueError: too little to divide.
    """
    history = [measure_after(recording, warm_up) for recording in recordings]
    streams = [
        (number, key)
        for number, recording in enumerate(history)
        for key in range(len(recording.keys))
        if len(recording.rows_of(key)) >= LEAST_MEASURED
    ]
    kept = set(streams)
    left_out = tuple(
        name
        for number, recording in enumerate(history)
        for key, name in enumerate(recording.keys)
        if (number, key) not in kept
    )
    if not streams:
        raise ValueError(f"found no stream of {warm_up + LEAST_MEASURED} records or more; expected at least one")
    if by is None:
        labelled = sum(len(history[number].windows[key]) > 0 for number, key in streams)
        by = "time" if len(streams) < LEAST_STREAMS or labelled == 1 else "streams"
    if by == "streams":
        if len(streams) < 2:
            raise ValueError("found one stream; expected two or more to divide by streams")
        return Split(by, *_by_streams(history, streams, share, seed), left_out)
    return Split(by, *_by_time(history, streams, share), left_out)


def _by_streams(
    history: Sequence[Recording], streams: list[tuple[int, int]], share: float, seed: int
) -> tuple[tuple[Recording, ...], tuple[Recording, ...]]:
    rng = np.random.default_rng(seed)
    luck = rng.random(len(streams))

    def stratum(index: int) -> tuple[int, str, float]:
        number, key = streams[index]
        windows = min(len(history[number].windows[key]), 2)
        return windows, history[number].keys[key].rpartition("/")[0], luck[index]

    ordered = sorted(range(len(streams)), key=stratum)
    count = min(max(round(share * len(streams)), 1), len(streams) - 1)
    # every so-many-th of the streams in order of their kind, so that each kind gives its share
    drawn = np.floor((np.arange(count) + rng.random()) * len(streams) / count).astype(np.int64)
    held = {streams[ordered[place]] for place in drawn.tolist()}
    parts = []
    for chosen in (set(streams) - held, held):
        keys_of = {number: sorted(key for other, key in chosen if other == number) for number, _ in chosen}
        parts.append(tuple(history[number].of_keys(keys_of[number]) for number in sorted(keys_of)))
    return parts[0], parts[1]


def _by_time(
    history: Sequence[Recording], streams: list[tuple[int, int]], share: float
) -> tuple[tuple[Recording, ...], tuple[Recording, ...]]:
    tuning, held_out = [], []
    for number in sorted({number for number, _ in streams}):
        whole = history[number].of_keys(sorted(key for other, key in streams if other == number))
        row = _cut(whole, share)
        before = whole.until(row)
        behind = measure_after(whole, 0, row)
        if any(len(before.rows_of(key)) for key in range(len(before.keys))):
            tuning.append(before)
        if any(len(behind.rows_of(key)) for key in range(len(behind.keys))):
            held_out.append(behind)
    if not (tuning and held_out):
        raise ValueError("found too few records behind the warm-up to divide them by time; expected more")
    return tuple(tuning), tuple(held_out)


def _cut(recording: Recording, share: float) -> int:
    """First row of the held-out part: the share of measured rows behind it, moved out of labelled windows.

    Where there are several windows it lies between two of them, so that both parts have some.
    """
    first = int(recording.measured_from.min())
    row = first + round((1.0 - share) * (len(recording) - first))
    windows = np.concatenate(recording.windows)
    windows = windows[windows[:, 1] >= recording.time_us[first]]
    newest_us = np.maximum.accumulate(recording.time_us)
    if not len(windows):
        return row
    windows = windows[np.argsort(windows[:, 0], kind="stable")]
    ends = np.maximum.accumulate(windows[:, 1])
    is_gap = ends[:-1] < windows[1:, 0]
    middles = (ends[:-1] + (windows[1:, 0] - ends[:-1]) // 2)[is_gap]
    if len(middles):
        rows = np.searchsorted(newest_us, middles, side="right")
        return int(rows[np.argmin(np.abs(rows - row))])
    at_us = newest_us[min(row, len(recording) - 1)]
    if windows[0, 0] <= at_us <= ends[-1]:
        row = int(np.searchsorted(newest_us, ends[-1], side="right"))
    return row
