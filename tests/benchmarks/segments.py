"""How well long anomalies are ranked: VUS-PR of both read-outs beside simpler detectors, on streams made by recipe.

- *pattern outliers* after the generator of TODS (Lai et al. 2021, "Revisiting time series outlier detection"): a sine
  in which stretches become square, drift, oscillate faster, or stand still;
- *sines on a random walk* after Boniol et al. 2020 (the SRW streams of "Series2Graph"): stretches of 200 points with
  another frequency and phase;
- *disturbed oscillations* after GutenTAG (Wenig et al. 2022, "TimeEval"): two sines and noise, in which for 60 to 250
  points amplitude, mean, variance, frequency or pattern is another, or the value stands still;
- *the fleet* of the demonstration: all of its faults but the silences, which leave no points to rank.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from river.anomaly import HalfSpaceTrees

from detectors.detector import Detector
from detectors.evaluation.ranking import vus_pr
from detectors.fleet import make_fleet
from detectors.layout import allocate
from detectors.profiles import PROFILES
from detectors.thresholds import ThresholdTable, make_decision
from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.config import DEFAULT_RISK

SKIPPED = 150
"""Points of a stream that nothing is said of: the warm-up."""
BUFFER = 50
LEAST_BEST = 3
_SEGMENT = "driftline, segment"
GAUSSIAN_WINDOW = 6400
PCA_WINDOW, PCA_TRAINED, PCA_KEPT = 32, 1000, 8
_MINUTE_US = 60_000_000

Floats = NDArray[np.float64]


class Labelled(NamedTuple):
    """A stream (n,) with its labels."""

    time_us: NDArray[np.int64]
    value: Floats
    is_anomaly: NDArray[np.bool_]


def run() -> dict[str, Any]:
    """Mean VUS-PR by collection and detector."""
    collections = {
        "pattern outliers": list(_pattern_outliers(np.random.default_rng(21))),
        "sines on a random walk": list(_sines_on_a_walk(np.random.default_rng(22))),
        "disturbed oscillations": list(_disturbed_oscillations(np.random.default_rng(23))),
        "the fleet": list(fleet_streams()),
    }
    return {
        "vus_pr": {
            name: {
                detector: round(float(np.mean([volume(score(stream), stream) for stream in streams])), 3)
                for detector, score in DETECTORS.items()
            }
            for name, streams in collections.items()
        },
        "streams": {name: len(streams) for name, streams in collections.items()},
    }


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """Whether the segment read-out is best on the fleet and on two recipes at least."""
    best = [name for name, found in figures["vus_pr"].items() if max(found, key=found.__getitem__) == _SEGMENT]
    if "the fleet" in best and len(best) >= LEAST_BEST:
        return []
    return [f"the segment score is best on {', '.join(best) or 'none'}, expected the fleet and two of the others"]


def rows(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Cells of a table: a detector a row, a collection a column."""
    for detector in DETECTORS:
        yield detector, *(f"{found[detector]:.3f}" for found in figures["vus_pr"].values())


def volume(score: Floats, stream: Labelled) -> float:
    """VUS-PR behind the warm-up."""
    return vus_pr(np.nan_to_num(score[SKIPPED:]), stream.is_anomaly[SKIPPED:], BUFFER)


def _minutes(count: int) -> NDArray[np.int64]:
    return 1_700_000_000_000_000 + np.arange(count) * _MINUTE_US


def _starts(rng: np.random.Generator, count: int, first: int, last: int) -> list[int]:
    """Starts of anomalies, one in each part of the stream."""
    slots = (np.arange(count) + 0.8 * rng.random(count)) / count
    return [int(first + slot * (last - first)) for slot in slots]


def _pattern_outliers(rng: np.random.Generator) -> Iterator[Labelled]:
    count, frequency = 6000, 0.04
    t = np.arange(count)
    for kind in ("square", "trend", "faster", "still") * 3:
        value = 1.5 * np.sin(2 * np.pi * frequency * t) + 0.05 * rng.normal(size=count)
        is_anomaly = np.zeros(count, np.bool_)
        for start in _starts(rng, 6, 1500, count - 200):
            part = slice(start, start + 2 * int(rng.integers(20, 60)))
            length = part.stop - part.start
            noise = 0.05 * rng.normal(size=length)
            if kind == "square":
                value[part] = 1.5 * np.sign(np.sin(2 * np.pi * frequency * t[part])) + noise
            elif kind == "trend":
                value[part] += rng.choice((-0.03, 0.03)) * np.arange(length)
            elif kind == "faster":
                value[part] = 1.5 * np.sin(6 * np.pi * frequency * t[part]) + noise
            else:
                value[part] = value[start]
            is_anomaly[part] = True
        yield Labelled(_minutes(count), value, is_anomaly)


def _sines_on_a_walk(rng: np.random.Generator) -> Iterator[Labelled]:
    count, length = 8000, 200
    for _ in range(10):
        period = rng.uniform(40, 120)
        walk = 0.01 * np.cumsum(rng.normal(size=count))
        value = np.sin(2 * np.pi * np.arange(count) / period) + walk + 0.05 * rng.normal(size=count)
        is_anomaly = np.zeros(count, np.bool_)
        for start in _starts(rng, 6, 1500, count - 300):
            part = slice(start, start + length)
            faster = rng.uniform(1.5, 3) * rng.choice((1.0, 0.3))
            wave = np.sin(2 * np.pi * faster * np.arange(length) / period + rng.uniform(0, 2 * np.pi))
            value[part] = wave + walk[part] + 0.05 * rng.normal(size=length)
            is_anomaly[part] = True
        yield Labelled(_minutes(count), value, is_anomaly)


def _disturbed_oscillations(rng: np.random.Generator) -> Iterator[Labelled]:
    count = 6000
    t = np.arange(count)
    for kind in ("amplitude", "mean", "variance", "still", "frequency", "pattern") * 2:
        period = rng.uniform(30, 100)
        base = np.sin(2 * np.pi * t / period) + 0.3 * np.sin(4 * np.pi * t / period + 1)
        value = base + 0.08 * rng.normal(size=count)
        is_anomaly = np.zeros(count, np.bool_)
        for start in _starts(rng, 4, 1500, count - 400):
            part = slice(start, start + int(rng.integers(60, 250)))
            noise = 0.08 * rng.normal(size=part.stop - part.start)
            match kind:
                case "amplitude":
                    value[part] = 1.8 * base[part] + noise
                case "mean":
                    value[part] += 0.8
                case "variance":
                    value[part] += 4 * noise
                case "still":
                    value[part] = base[start] + 0.1 * noise
                case "frequency":
                    value[part] = np.sin(4 * np.pi * t[part] / period) + noise
                case _:
                    value[part] = np.abs(base[part]) + noise
            is_anomaly[part] = True
        yield Labelled(_minutes(count), value, is_anomaly)


def fleet_streams() -> Iterator[Labelled]:
    """Those of the demonstration's fleet that have a fault with points."""
    fleet = make_fleet(3, 96, 3000)
    for label in fleet.labels:
        if label.fault == "silence":
            continue
        rows = fleet.key_codes == fleet.key_names.index(label.key)
        time_us = fleet.time_us[rows]
        yield Labelled(time_us, fleet.values[rows], (time_us >= label.start_us) & (time_us < label.end_us))


def _ours(read_out: str) -> Callable[[Labelled], Floats]:
    bundle = load_bundle(shipped_bundle_path())
    decision = make_decision(ThresholdTable(**bundle.manifest.calibration["balanced"]), DEFAULT_RISK)
    detector = Detector(bundle.network, PROFILES["balanced"], decision)

    def score(stream: Labelled) -> Floats:
        count = len(stream.value)
        slab, lane = allocate(detector.lane_dtype, 1), np.zeros(count, np.int64)
        verdicts = detector.score(slab, lane, stream.time_us, stream.value, np.arange(count))
        return np.asarray(getattr(verdicts, read_out), np.float64)

    return score


def _windowed_gaussian(stream: Labelled) -> Floats:
    """Distance from the mean of the values before, in their standard deviations."""
    value, score = stream.value, np.zeros(len(stream.value))
    for n in range(10, len(value)):
        before = value[max(0, n - GAUSSIAN_WINDOW) : n]
        score[n] = abs(value[n] - before.mean()) / max(before.std(), 1e-12)
    return score


def _persistence(stream: Labelled) -> Floats:
    return np.abs(np.diff(stream.value, prepend=stream.value[0]))


def _half_space_trees(stream: Labelled) -> Floats:
    """river's, with its defaults but 10 trees; values are scaled by the range so far, as it wants them in [0, 1]."""
    model, score = HalfSpaceTrees(n_trees=10, seed=1), np.zeros(len(stream.value))
    low = high = stream.value[0]
    for n, value in enumerate(stream.value.tolist()):
        low, high = min(low, value), max(high, value)
        point = {"value": (value - low) / (high - low) if high > low else 0.5}
        score[n] = model.score_one(point)
        model.learn_one(point)
    return score


def _pca_error(stream: Labelled) -> Floats:
    """Squared error of windows of 32 points outside the 8 main components of those in the first 1,000 points."""
    windows = np.lib.stride_tricks.sliding_window_view(stream.value, PCA_WINDOW)
    centred = windows - windows[:PCA_TRAINED].mean(axis=0)
    main = np.linalg.svd(centred[:PCA_TRAINED], full_matrices=False)[2][:PCA_KEPT]
    error = ((centred - centred @ main.T @ main) ** 2).mean(axis=1)
    return np.concatenate([np.zeros(PCA_WINDOW - 1), error])


DETECTORS: dict[str, Callable[[Labelled], Floats]] = {
    _SEGMENT: _ours("segment"),
    "driftline, event": _ours("score"),
    "PCA error": _pca_error,
    "windowed Gaussian": _windowed_gaussian,
    "persistence": _persistence,
    "river HalfSpaceTrees": _half_space_trees,
}
