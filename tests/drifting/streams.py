"""A small fleet whose streams change for good: another level, and another season, which a network can learn."""

import json
from collections.abc import Iterator

import numpy as np

START_MS = 1_767_571_200_000
INTERVAL_MS = 300_000


def make_drifting(
    points: int, *, change: int, keys: int = 12, partitions: int = 2, seed: int = 7, begin: int = 0, poisoned: int = 0
) -> Iterator[tuple[int, bytes, bytes]]:
    """(partition, key, value) in order of time.

    Args:
        points: of each key.
        change: the point from which on streams are other ones.
        begin: the first point that is given.
        poisoned: points at first that are noise, from which there is nothing to learn but what is wrong later.
    """
    rng = np.random.default_rng(seed)
    scale, phase = 10.0 ** rng.uniform(-1, 2, keys), rng.integers(0, 48, keys)
    point = np.arange(points)[:, None]
    noise = np.array([np.random.default_rng([seed, n]).normal(0, 0.05, keys) for n in range(points)])
    tick = point + phase
    smooth = 5.0 + np.sin(2 * np.pi * tick / 48)
    # two steps up, one down, a rest: nothing that a shared prior has by heart
    pattern = np.array([0.0, 1.0, 0.3, 1.6, 0.2, 0.9, -0.8, 0.4, -1.2])
    sharp = 7.0 + pattern[tick % len(pattern)]
    values = np.where(point < change, smooth, sharp) + noise
    values = scale * np.where(point < poisoned, 5.0 + 20.0 * noise, values)
    for at in range(begin, points):
        for key in range(keys):
            told = {"time": START_MS + at * INTERVAL_MS, "value": round(float(values[at, key]), 6)}
            yield key % partitions, b"key-%d" % key, json.dumps(told).encode()
