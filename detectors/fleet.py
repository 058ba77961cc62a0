"""A seeded fleet of machine-like streams with labelled faults, to show and to test detection on.

Six families of lanes (daily cycles of several shapes, fast cycles, counts, wandering loads) differ in scale, offset and
noise. About half the lanes carry one fault of a size that shows on a plot; the others stay clean.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.synthetic import DAY_US, MONDAY_US, WEEK_US
from detectors.waves import Floats, autoregressive

Ints = NDArray[np.int64]

FAMILIES: Final = ("pump", "boiler", "meter", "fan", "shop", "host")
FAULTS: Final = (
    "spike",
    "level_shift",
    "drift",
    "frozen",
    "drop_to_zero",
    "burst",
    "changed_period",
    "silence",
)
FAULT_POINTS: Final = MappingProxyType(
    {
        "spike": (1, 2),
        "level_shift": (48, 48),
        "drift": (200, 300),
        "frozen": (60, 150),
        "drop_to_zero": (6, 24),
        "burst": (24, 60),
        "changed_period": (150, 300),
        "silence": (36, 120),
    }
)
"""Shortest and longest fault, in points. A level shift lasts to the end; its first 48 points are labelled."""

MIN_LANES: Final = 16
MIN_POINTS: Final = 800
FAULTY_FROM: Final = 0.45
START_US: Final = MONDAY_US + 2922 * WEEK_US  # a Monday in January 2026


@dataclass(frozen=True, slots=True)
class FaultLabel:
    """One fault: `start_us` is its first point, `end_us` the first point after it (both inclusive for matching)."""

    key: str
    start_us: int
    end_us: int
    fault: str


@dataclass(frozen=True, slots=True)
class Fleet:
    """Records of all lanes in order of time.

    Attributes:
        key_names: name of each lane, such as 'pump-018'.
        key_codes: (n,) int32 index into `key_names`.
        time_us: (n,) int64, rising; microseconds since 1970-01-01 UTC.
        values: (n,) float64, finite.
        labels: the faults in order of time, at most one a lane.
    """

    key_names: tuple[str, ...]
    key_codes: NDArray[np.int32]
    time_us: Ints
    values: Floats
    labels: tuple[FaultLabel, ...]


@dataclass(frozen=True, slots=True)
class _Schedule:
    """Where the faults are: `lane`, `kind` (index into FAULTS), `start`, `stop` (half open), each (faults,) int64."""

    lane: Ints
    kind: Ints
    start: Ints
    stop: Ints


def make_fleet(seed: int, lanes: int = 200, points: int = 2000, interval_us: int = 300_000_000) -> Fleet:
    """A fleet of `lanes` streams of `points` points, `interval_us` apart; the same arguments give the same fleet.

    Every kind of fault falls on the same number of lanes, about lanes / 16, at times spread evenly over the last 55 %
    of the stream.

    Raises:
        ValueError: fewer than 16 lanes or 800 points, or an interval below one millisecond.
    """
    if lanes < MIN_LANES or points < MIN_POINTS or interval_us < 1000:
        msg = (
            f"found {lanes} lanes of {points} points, {interval_us} us apart; "
            f"expected at least {MIN_LANES} lanes, {MIN_POINTS} points and 1000 us"
        )
        raise ValueError(msg)
    rng = np.random.default_rng(seed)
    family = np.arange(lanes) % len(FAMILIES)
    names = tuple(f"{FAMILIES[f]}-{lane:03d}" for lane, f in enumerate(family))
    phase_us = 1000 * rng.integers(0, interval_us // 1000, (lanes, 1))
    time_us = START_US + phase_us + np.arange(points) * interval_us

    faults = _schedule(rng, family, points)
    ticks = _ticks(rng, faults, lanes, points)
    values = np.empty_like(ticks)
    for number, name in enumerate(FAMILIES):
        rows = family == number
        scale = 1.0 if name == "shop" else 10.0 ** rng.uniform(-2, 3, (np.count_nonzero(rows), 1))
        values[rows] = scale * _family(rng, name, time_us[rows], ticks[rows])
    present = _apply(rng, faults, values)
    counts = family == FAMILIES.index("shop")
    values[counts] = np.maximum(np.round(values[counts]), 0.0)

    lane, point = np.nonzero(present)
    order = np.lexsort((lane, time_us[lane, point]))
    return Fleet(
        key_names=names,
        key_codes=lane[order].astype(np.int32),
        time_us=time_us[lane, point][order],
        values=values[lane, point][order],
        labels=_labels(faults, names, time_us),
    )


def _schedule(rng: np.random.Generator, family: Ints, points: int) -> _Schedule:
    """Spread the faults over the lanes and over time; a changed period goes to lanes with a fast cycle."""
    each = round(len(family) / (2 * len(FAULTS)))
    changed = FAULTS.index("changed_period")
    kind = np.repeat([k for k in range(len(FAULTS)) if k != changed] + [changed], each)
    fans = rng.permutation(np.flatnonzero(family == FAMILIES.index("fan")))[:each]
    others = rng.permutation(np.setdiff1d(np.arange(len(family)), fans))[: len(kind) - each]

    shortest, longest = np.array([FAULT_POINTS[fault] for fault in FAULTS]).T
    length = rng.integers(shortest[kind], longest[kind] + 1)
    first, last = FAULTY_FROM * points, points - longest.max() - 2
    slot = (rng.permutation(len(kind)) + rng.random(len(kind))) / len(kind)
    start = np.ceil(first + slot * (last - first)).astype(np.int64)
    return _Schedule(np.concatenate([others, fans]), kind, start, start + length)


def _ticks(rng: np.random.Generator, faults: _Schedule, lanes: int, points: int) -> Floats:
    """Time as the fast cycles feel it (lanes, points), in points: slower or faster during a changed period."""
    speed = np.ones((lanes, points))
    chosen = np.flatnonzero(faults.kind == FAULTS.index("changed_period"))
    changed = rng.choice((0.45, 2.2), len(chosen))
    during = _between(points, faults.start[chosen], faults.stop[chosen])
    speed[faults.lane[chosen]] = np.where(during, changed[:, None], 1.0)
    return np.cumsum(speed, axis=1)


def _between(points: int, start: Ints, stop: Ints) -> NDArray[np.bool_]:
    """(rows, points) mask of start <= point < stop."""
    index = np.arange(points)
    return (index >= start[:, None]) & (index < stop[:, None])


def _family(rng: np.random.Generator, name: str, time_us: Ints, ticks: Floats) -> Floats:
    """Fault-free values (lanes, points) of one family, positive and well above zero, before scaling."""

    def draw(low: float, high: float) -> Floats:
        return rng.uniform(low, high, (len(time_us), 1))

    noise = rng.normal(size=time_us.shape)
    day = time_us % DAY_US / DAY_US + draw(-0.08, 0.08)
    weekend = (time_us - MONDAY_US) // DAY_US % 7 >= 5  # Saturday and Sunday
    match name:
        case "pump":
            wave = np.sin(2 * np.pi * day) + draw(0.1, 0.5) * np.sin(4 * np.pi * day + draw(0, 6))
            return draw(3, 6) + wave + autoregressive(draw(0.03, 0.1) * noise, draw(0.6, 0.95))
        case "boiler":
            warm = np.tanh(draw(10, 40) * (np.sin(2 * np.pi * (day - 0.25)) + draw(-0.3, 0.3)))
            return draw(4, 8) + warm + draw(0.04, 0.12) * noise
        case "meter":
            morning = np.exp(-0.5 * ((day % 1.0 - 0.33) / 0.06) ** 2)
            evening = draw(0.8, 1.6) * np.exp(-0.5 * ((day % 1.0 - 0.8) / 0.08) ** 2)
            return (draw(0.6, 1.2) + morning + evening) * np.exp(draw(0.04, 0.1) * noise)
        case "fan":
            turn = ticks / draw(24, 60) + draw(0, 1)
            wave = np.sin(2 * np.pi * turn) + draw(0, 0.4) * np.sin(4 * np.pi * turn)
            return draw(2.5, 6) + wave + draw(0.05, 0.15) * noise
        case "shop":
            busy = np.maximum(np.sin(2 * np.pi * (day - 0.3)), 0.0) * np.where(weekend, draw(0.4, 1.3), 1.0)
            return np.asarray(rng.poisson(draw(12, 30) + draw(40, 200) * busy), dtype=np.float64)
        case _:
            wander = autoregressive(draw(0.1, 0.2) * noise, draw(0.9, 0.97))
            return draw(4, 6) + wander + draw(0.05, 0.15) * rng.exponential(size=noise.shape)


def _apply(rng: np.random.Generator, faults: _Schedule, values: Floats) -> NDArray[np.bool_]:
    """Disturb `values` (lanes, points) in place, in proportion to each lane's range; gives which points are present."""
    points = values.shape[1]
    low, high = np.quantile(values, [0.01, 0.99], axis=1)
    span = (high - low)[faults.lane]
    sign = rng.choice((1.0, -1.0), len(span))
    sign[low[faults.lane] < 1.5 * span] = 1.0  # downward would go below zero
    during = _between(points, faults.start, faults.stop)
    since = np.maximum(np.arange(points) - faults.start[:, None] + 1, 0)  # 1 at the first point of the fault
    present = np.ones(values.shape, dtype=np.bool_)
    for number, name in enumerate(FAULTS):
        rows = np.flatnonzero(faults.kind == number)
        lane = faults.lane[rows]
        size = (sign[rows] * span[rows])[:, None]
        within = during[rows]
        match name:
            case "spike":
                values[lane] += within * size * rng.uniform(1.0, 1.6, (len(rows), 1))
            case "level_shift":
                values[lane] += (since[rows] > 0) * size * rng.uniform(0.6, 1.0, (len(rows), 1))
            case "drift":
                slope = rng.uniform(0.9, 1.4, (len(rows), 1)) / (faults.stop - faults.start)[rows, None]
                values[lane] += within * since[rows] * slope * size
            case "frozen":
                values[lane] = np.where(within, values[lane, faults.start[rows]][:, None], values[lane])
            case "drop_to_zero":
                values[lane] = np.where(within, 0.0, values[lane])
            case "burst":
                shake = rng.normal(size=within.shape) * rng.uniform(0.35, 0.6, (len(rows), 1))
                values[lane] += within * shake * np.abs(size)
            case "silence":
                present[lane] = ~within
            case _:  # a changed period is already in the base stream
                pass
    return present


def _labels(faults: _Schedule, names: tuple[str, ...], time_us: Ints) -> tuple[FaultLabel, ...]:
    """The schedule as labels, in order of time."""
    start_us = time_us[faults.lane, faults.start]
    end_us = time_us[faults.lane, faults.stop]
    return tuple(
        FaultLabel(names[faults.lane[i]], int(start_us[i]), int(end_us[i]), FAULTS[faults.kind[i]])
        for i in np.argsort(start_us)
    )
