"""Recordings to tune on."""

from collections.abc import Mapping, Sequence

import numpy as np

from pipeline.tuning.history import Recording, label

START_US, STEP_US = 1_700_000_000_000_000, 300_000_000


def recording(
    points: int = 1500,
    keys: Sequence[str] = ("a",),
    *,
    name: str = "file",
    windows: Mapping[str, Sequence[tuple[int, int]]] | None = None,
) -> Recording:
    """Rhythms with noise, a record of each key in turn; windows are first and last record of a key, by number."""
    rng = np.random.default_rng(7)
    count = points * len(keys)
    key = np.tile(np.arange(len(keys), dtype=np.int32), points)
    time_us = START_US + np.arange(count) // len(keys) * STEP_US
    values = 50 + 5 * np.sin(np.arange(count) / len(keys) / 20) + rng.normal(0, 0.5, count)
    plain = Recording(
        name,
        ("value",),
        tuple(keys),
        key,
        time_us,
        values[:, None],
        (np.empty((0, 2), np.int64),) * len(keys),
        np.zeros(len(keys), np.int64),
    )
    spans = {
        of: [(START_US + first * STEP_US, START_US + last * STEP_US) for first, last in pairs]
        for of, pairs in (windows or {}).items()
    }
    return label(plain, spans)
