"""What learning was worth: errors of forecasts and alarms, served and by the bundle that would have stayed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tests.drifting.fleet import DAY, HANGS, RECIPE, Fleet

CLEAR = HANGS + len(RECIPE)
"""Points from the beginning of a fault on that are of it."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What one replay says, by point and key.

    Attributes:
        value, expected: (points, keys), as observed and as forecast from the point before.
        is_inside: whether the band of 95 % held the value.
        opens: whether a point opens an episode.
        is_open: whether a point lies in one.
    """

    value: NDArray[np.float64]
    expected: NDArray[np.float64]
    is_inside: NDArray[np.bool_]
    opens: NDArray[np.bool_]
    is_open: NDArray[np.bool_]


def read_scored(fleet: Fleet, replayed: Path) -> Scored:
    """Of a directory of `driftline replay`."""
    table = pq.read_table(replayed / "verdicts.parquet")
    key = np.array([int(name.rpartition("-")[2]) for name in table["key"].to_pylist()])
    position = table["position"].to_numpy()
    order = np.lexsort((position, key))

    def column(name: str) -> NDArray[np.float64]:
        values: NDArray[np.float64] = table[name].to_numpy().astype(np.float64)[order]
        return values.reshape(fleet.keys, fleet.points).T

    value, episode, place = column("value"), column("episode"), position[order].reshape(fleet.keys, fleet.points).T
    is_inside = (column("lower") <= value) & (value <= column("upper"))
    return Scored(value, column("expected"), is_inside, episode == place, np.isfinite(episode))


@dataclass(frozen=True, slots=True)
class Figures:
    """Of some points.

    Attributes:
        error: mean absolute one-step error, in standard deviations of each stream behind the change, mean of all.
        coverage: share of values in the band of 95 %.
        alarms: episodes opened per stream and day, faults left out.
    """

    error: float
    coverage: float
    alarms: float


def measure(fleet: Fleet, scored: Scored, where: NDArray[np.bool_]) -> Figures:
    """Of the points (points, keys) that are told."""
    healthy = where & ~_faulty(fleet)
    deviation = scored.value[fleet.change :].std(axis=0)
    error = np.abs(scored.value - scored.expected) / deviation
    known = healthy & np.isfinite(error)
    return Figures(
        float(error[known].mean()),
        float(scored.is_inside[known].mean()),
        float((scored.opens & healthy).sum() / healthy.sum() * DAY),
    )


def found(fleet: Fleet, scored: Scored) -> int:
    """Faults in which an episode is open."""
    return int((scored.is_open & _faulty(fleet)).any(axis=0).sum())


def _faulty(fleet: Fleet) -> NDArray[np.bool_]:
    point = np.arange(fleet.points)[:, None]
    return (point >= fleet.faults()) & (point < fleet.faults() + CLEAR)


def behind_swap(fleet: Fleet, offsets: dict[int, int]) -> NDArray[np.bool_]:
    """Points (points, keys) from the offset on that is told for each partition."""
    key = np.arange(fleet.keys)
    at_once = np.bincount(key % fleet.partitions, minlength=fleet.partitions)
    place = key // fleet.partitions + np.arange(fleet.points)[:, None] * at_once[key % fleet.partitions]
    return place >= np.array([offsets[int(one)] for one in key % fleet.partitions])


def all_points(fleet: Fleet, day: int) -> NDArray[np.bool_]:
    """Points (points, keys) of a day, counted from the first."""
    return np.repeat((np.arange(fleet.points) // DAY == day)[:, None], fleet.keys, axis=1)
