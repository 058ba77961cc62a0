"""A fleet of machines that follow the day, and half-way begin to run a recipe, at another level."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.drifting.streams import INTERVAL_MS, START_MS

DAY = 86_400_000 // INTERVAL_MS
"""Points of a day."""
RECIPE = np.array([0.0, 1.0, 0.3, 1.6, 0.2, 0.9, -0.8, 0.4, -1.2])
"""Levels of the steps of the recipe, a point each: 45 minutes, which is no part of a day's rhythm."""
NOISE = 0.1
HANGS = 6
"""Points for which a machine that hangs stays at a level of the recipe."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Streams of a point every five minutes, alike but for level, unit, gain and phase.

    Before the change each has the rhythm of the day and its half, about one level; behind it the recipe, about another
    one. The change is at midnight, for all.

    Attributes:
        before: days until the change.
        behind: days from then on.
        faulty: of these the last, in which each machine hangs once.
        rise: of the level at the change, where the rhythm of the day has an amplitude of about one.
    """

    keys: int
    before: int
    behind: int
    faulty: int
    rise: float
    partitions: int
    seed: int

    @property
    def change(self) -> int:
        """First point behind the change."""
        return self.before * DAY

    @property
    def points(self) -> int:
        """Of each key."""
        return (self.before + self.behind) * DAY

    def faults(self) -> NDArray[np.int64]:
        """First point at which each key hangs; behind the end where none does."""
        if not self.faulty:
            return np.full(self.keys, self.points)
        dice = np.random.default_rng([self.seed, 1])
        return dice.integers(self.points - self.faulty * DAY, self.points - HANGS - len(RECIPE), self.keys)

    def values(self) -> NDArray[np.float64]:
        """Of all points (points, keys)."""
        dice = np.random.default_rng(self.seed)
        scale, phase = 10.0 ** dice.uniform(-1, 2, self.keys), dice.integers(0, DAY, self.keys)
        gain = dice.uniform(0.8, 1.2, self.keys)
        point = np.arange(self.points)[:, None]
        day = 2 * np.pi * (point + phase) / DAY
        daily = 5.0 + gain * (np.sin(day) + 0.4 * np.sin(2 * day + 1.0))
        hangs = (point >= self.faults()) & (point < self.faults() + HANGS)
        step = np.where(hangs, self.faults() + phase, point + phase) % len(RECIPE)
        value = np.where(point < self.change, daily, 5.0 + self.rise + gain * RECIPE[step])
        return scale * (value + dice.normal(0, NOISE, value.shape))

    def records(self, values: NDArray[np.float64], begin: int, end: int) -> Iterator[tuple[int, bytes, bytes]]:
        """(partition, key, value) of some points, in order of time.

        Args:
            values: of all.
            begin, end: first point, and the one behind the last.
        """
        for at in range(begin, end):
            for key in range(self.keys):
                told = {"time": START_MS + at * INTERVAL_MS, "value": round(float(values[at, key]), 6)}
                yield key % self.partitions, b"key-%d" % key, json.dumps(told).encode()
