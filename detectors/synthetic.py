"""Synthetic streams to pre-train on: a mixture wide enough that real streams look like draws from it.

Each stream is a sum of optional parts (daily cycle, other cycles, autoregression, random walk, trend, noise, native
spikes), disturbed by optional faults, passed through an optional transform (exponential, counts, rectified, quantised)
and put on a random scale and offset. Everything is drawn for a whole batch at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.waves import Floats, autoregressive, periodic

Times = NDArray[np.int64]

DAY_US = 86_400_000_000
WEEK_US = 7 * DAY_US
MONDAY_US = 4 * DAY_US  # 1970-01-05, the first Monday of the epoch
FIRST_FAULT = 60
RAREST_SPIKES, RAREST_HABIT = -3, -2
"""log10 of the share of points that are native spikes, at least: with faults, and where there are habits only."""
POINTS_PER_DAY = np.array([24, 48, 96, 144, 288, 1440])
POINTS_PER_DAY_SHARE = np.array([0.15, 0.15, 0.15, 0.15, 0.35, 0.05])


@dataclass(frozen=True, slots=True)
class SyntheticStreams:
    """Regularly sampled streams.

    Attributes:
        values: (count, length), finite, no row constant.
        time_us: (count, length) microseconds since 1970-01-01 UTC, rising by `interval_us` along a row.
        interval_us: (count,) sampling interval.
    """

    values: Floats
    time_us: Times
    interval_us: Times

    def to_bytes(self) -> bytes:
        """Values, then times, little-endian: what is hashed to tell what a network was trained on."""
        return self.values.astype("<f8", copy=False).tobytes() + self.time_us.astype("<i8", copy=False).tobytes()


@dataclass(frozen=True, slots=True)
class Corpus:
    """An endless supply of streams in numbered blocks.

    Attributes:
        seed: of the whole corpus, at least 0.
        part: tells apart what must not overlap, such as streams to train on and streams held out.
        count: streams per block.
        length: points per stream.
        faults: as for `generate`.
    """

    seed: int
    part: int
    count: int
    length: int
    faults: bool = True

    def block(self, index: int) -> SyntheticStreams:
        """The streams of block `index`, which depend on this corpus and the index alone."""
        rng = np.random.default_rng([self.seed, self.part, index])
        return generate(rng, self.count, self.length, faults=self.faults)


def generate(rng: np.random.Generator, count: int, length: int, *, faults: bool = True) -> SyntheticStreams:
    """`count` streams of `length` points each.

    Args:
        rng: source of all randomness.
        count: number of streams.
        length: points per stream.
        faults: disturb the streams with level shifts, spikes, stuck values, bursts and changes of scale, 1.2 a stream
            on average. Without them the streams hold habits only: native spikes that come at least once in 100 points,
            so that they are seen before a lane is judged, and nothing that grows exponentially with a heavy tail,
            which has no mean, so that its extremes never come to an end.

    Raises:
        ValueError: `count` below 1, or `length` too short to hold a fault.
    """
    if count < 1 or length <= FIRST_FAULT:
        msg = f"found count {count} and length {length}; expected count >= 1 and length > {FIRST_FAULT}"
        raise ValueError(msg)
    interval_us, time_us = make_clock(rng, count, length)
    values, boundless = _streams(rng, time_us, faults=faults)
    while (again := _is_dull(values) | (boundless & (not faults))).any():
        values[again], boundless[again] = _streams(rng, time_us[again], faults=faults)
    return SyntheticStreams(values, time_us, interval_us)


def _is_dull(values: Floats) -> NDArray[np.bool_]:
    """Which rows are constant."""
    is_dull: NDArray[np.bool_] = np.ptp(values, axis=1) <= 1e-9 * np.abs(values).max(axis=1)
    return is_dull


def make_clock(rng: np.random.Generator, count: int, length: int) -> tuple[Times, Times]:
    """Sampling intervals (count,) and times (count, length), starting anywhere in a week between 2000 and 2039."""
    per_day = rng.choice(POINTS_PER_DAY, size=count, p=POINTS_PER_DAY_SHARE)
    interval_us = DAY_US // per_day
    start = MONDAY_US + rng.integers(1565, 3650, count) * WEEK_US + rng.integers(0, 7 * per_day) * interval_us
    return interval_us, start[:, None] + np.arange(length) * interval_us[:, None]


def _some(rng: np.random.Generator, count: int, share: float) -> NDArray[np.intp]:
    """Row numbers, each of `count` taken with probability `share`."""
    return np.flatnonzero(rng.random(count) < share)


def _streams(rng: np.random.Generator, time_us: Times, *, faults: bool) -> tuple[Floats, NDArray[np.bool_]]:
    """Values (count, length) at the given times, and which rows have a heavy tail in an exponential."""
    y = make_signal(rng, time_us)
    noise, is_heavy = make_noise(rng, time_us)
    y += noise
    rows = _some(rng, len(y), 0.35)
    y[rows] += _native_spikes(rng, (len(rows), y.shape[1]), RAREST_SPIKES if faults else RAREST_HABIT)
    is_heavy[rows] = True
    if faults:
        _add_faults(rng, y)
    is_exponential = _transform(rng, y)
    scale = 10.0 ** rng.uniform(-1, 3, (len(y), 1))
    values = y * scale + rng.normal(size=(len(y), 1)) * 10.0 ** rng.uniform(0, 4, (len(y), 1))
    return values, is_heavy & is_exponential


def make_signal(rng: np.random.Generator, time_us: Times) -> Floats:
    """Cycles, autoregression, random walk and trend."""
    count, length = time_us.shape
    y = np.zeros((count, length))

    rows = _some(rng, count, 0.6)
    daily = rng.lognormal(0, 0.7, (len(rows), 1)) * periodic(rng, time_us[rows] % DAY_US / DAY_US)
    weekly = _some(rng, len(rows), 0.4)
    weekend = (time_us[rows[weekly]] - MONDAY_US) // DAY_US % 7 >= 5  # Saturday and Sunday
    daily[weekly] *= np.where(weekend, rng.uniform(0, 1.2, (len(weekly), 1)), 1.0)
    y[rows] += daily

    extra = rng.choice(3, size=count, p=(0.55, 0.3, 0.15))
    for order in (1, 2):
        rows = np.flatnonzero(extra >= order)
        period = np.exp(rng.uniform(np.log(5), np.log(400), (len(rows), 1)))
        step = np.ones((len(rows), length))
        jittery = _some(rng, len(rows), 0.3)
        step[jittery] += 0.1 * rng.normal(size=(len(jittery), length))
        y[rows] += rng.lognormal(-0.5, 0.8, (len(rows), 1)) * periodic(rng, np.cumsum(step, axis=1) / period)

    rows = _some(rng, count, 0.4)
    phi = 1.0 - 10.0 ** rng.uniform(-2.5, -0.3, (len(rows), 1))
    size = rng.lognormal(-0.7, 0.8, (len(rows), 1)) * np.sqrt(1.0 - phi**2)
    y[rows] += autoregressive(size * rng.normal(size=(len(rows), length)), phi)

    rows = _some(rng, count, 0.15)
    y[rows] += np.cumsum(rng.normal(size=(len(rows), length)), axis=1) * 10.0 ** rng.uniform(-3, -0.5, (len(rows), 1))

    rows = _some(rng, count, 0.2)
    y[rows] += np.linspace(0, 1, length) * 3.0 * rng.normal(size=(len(rows), 1))
    return y


def make_noise(rng: np.random.Generator, time_us: Times) -> tuple[Floats, NDArray[np.bool_]]:
    """White noise (count, length): Gaussian, Student-t or exponential; in a quarter its size follows the day.

    Beside it, which rows are of Student's t.
    """
    count, length = time_us.shape
    kind = np.asarray(rng.choice(3, size=count, p=(0.5, 0.25, 0.25)))
    gaussian, heavy, skewed = (np.flatnonzero(kind == k) for k in range(3))
    out = np.empty((count, length))
    out[gaussian] = rng.normal(size=(len(gaussian), length))
    out[heavy] = rng.standard_t(rng.uniform(1.8, 5, (len(heavy), 1)), size=(len(heavy), length))
    out[skewed] = rng.exponential(size=(len(skewed), length)) - 1.0
    rows = _some(rng, count, 0.25)
    out[rows] *= 1.0 + 0.7 * np.abs(periodic(rng, time_us[rows] % DAY_US / DAY_US))
    return out * 10.0 ** rng.uniform(-2.2, 0.3, (count, 1)), np.equal(kind, 1)


def _native_spikes(rng: np.random.Generator, shape: tuple[int, int], rarest: float) -> Floats:
    """Spikes that are normal for their stream, one-sided, in a tenth of its points or fewer, at least 10^`rarest`."""
    rate = 10.0 ** rng.uniform(rarest, -1, (shape[0], 1))
    size = rng.lognormal(1, 0.7, (shape[0], 1)) * rng.choice((1.0, -1.0), p=(0.7, 0.3), size=(shape[0], 1))
    out = np.zeros(shape)
    hit = rng.random(shape) < rate
    out[hit] = rng.exponential(size=np.count_nonzero(hit))
    out *= size
    return out


def _add_faults(rng: np.random.Generator, y: Floats) -> None:
    """Disturb `y` (count, length) in place, each stream by Poisson(1.2) faults of six kinds."""
    count, length = y.shape
    number = np.asarray(rng.poisson(1.2, count))
    index = np.arange(length)
    for order in range(1, number.max(initial=0) + 1):
        rows = np.flatnonzero(number >= order)
        start = rng.integers(FIRST_FAULT, length, len(rows))
        size = 3.0 * rng.normal(size=len(rows)) * np.maximum(y[rows].std(axis=1), 0.1)
        stop = start + np.exp(rng.uniform(0, 5, len(rows))).astype(np.int64)
        kind = rng.integers(0, 6, len(rows))
        after = index >= start[:, None]
        during = after & (index < stop[:, None])

        shift, shifted_once, spike, stuck, burst, scale = (kind == k for k in range(6))
        y[rows[shift]] += after[shift] * size[shift, None]
        y[rows[shifted_once]] += during[shifted_once] * size[shifted_once, None]
        y[rows[spike], start[spike]] += 2.0 * size[spike]
        held = y[rows[stuck], start[stuck]]
        y[rows[stuck]] = np.where(during[stuck], held[:, None], y[rows[stuck]])
        extra = rng.normal(size=(np.count_nonzero(burst), length)) * np.abs(size[burst, None])
        y[rows[burst]] += during[burst] * extra
        factor = np.exp(0.7 * rng.normal(size=(np.count_nonzero(scale), 1)))
        y[rows[scale]] *= np.where(after[scale], factor, 1.0)


def _transform(rng: np.random.Generator, y: Floats) -> NDArray[np.bool_]:
    """Make, in place, a fifth of the streams exponential, 15 % counts, 15 % rectified and 10 % quantised.

    Returns:
        (count,) whether the row is exponential or counts of a rate that is.
    """
    kind = rng.choice(5, size=len(y), p=(0.2, 0.15, 0.15, 0.1, 0.4))
    exponential, counts, rectified, quantised = (np.flatnonzero(kind == k) for k in range(4))

    y[exponential] = np.exp(np.clip(y[exponential] * rng.uniform(0.3, 1, (len(exponential), 1)), -8, 8))

    log_rate = y[counts] * 0.5 + 1.5 * rng.normal(size=(len(counts), 1))
    y[counts] = rng.poisson(np.exp(np.clip(log_rate, -4, 7)))

    floor_rank = (rng.uniform(0, 0.5, len(rectified)) * (y.shape[1] - 1)).astype(np.int64)
    floor = np.sort(y[rectified], axis=1)[np.arange(len(rectified)), floor_rank]
    y[rectified] = np.maximum(y[rectified] - floor[:, None], 0.0)

    step = rng.uniform(0.1, 1, (len(quantised), 1)) * y[quantised].std(axis=1, keepdims=True) + 1e-6
    y[quantised] = np.round(y[quantised] / step) * step
    return np.less_equal(kind, 1)
