"""Points per second of the whole engine beside river's HalfSpaceTrees and a torch LSTM, and bytes per lane."""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from statistics import median
from typing import Any

import numpy as np
from river.anomaly import HalfSpaceTrees

from detectors.detector import Detector
from detectors.fleet import make_fleet
from detectors.network import LEAST_NU, LOG_SIGMA_RANGE, LOG_SIGMA_SHIFT
from detectors.profiles import PROFILES
from detectors.thresholds import ThresholdTable, make_decision
from pipeline.adapters.bundles import Bundle, load_bundle, shipped_bundle_path
from pipeline.engine import EngineConfig, PartitionEngine
from pipeline.episodes import Origin
from pipeline.records import Batch

ROUNDS = 5
MICRO_BATCH = 10_000
RIVER_POINTS = 10_000
TORCH_POINTS = 2_000
LANES, POINTS = 200, 2_000
AT_LEAST = {"river HalfSpaceTrees (10 trees), learn and score": 5.0, "torch nn.LSTM, one point at a time": 80.0}
AT_MOST_BYTES = {"balanced": 4096, "dense": 1280}


def run() -> dict[str, Any]:
    """Figures by name: points per second of each side, ratios of the engine to its peers, bytes per lane."""
    bundle = load_bundle(shipped_bundle_path())
    fleet = make_fleet(seed=3, lanes=LANES, points=POINTS)
    size = len(fleet.values)
    batches = [
        Batch(
            list(fleet.key_names),
            fleet.key_codes[start : start + MICRO_BATCH],
            fleet.time_us[start : start + MICRO_BATCH],
            fleet.values[start : start + MICRO_BATCH].reshape(-1, 1),
            np.arange(start, min(start + MICRO_BATCH, size)) + 1,
        )
        for start in range(0, size, MICRO_BATCH)
    ]
    first_key = fleet.values[fleet.key_codes == 0]
    scaled = ((first_key - first_key.min()) / np.ptp(first_key)).tolist()
    values = (scaled * (RIVER_POINTS // len(scaled) + 1))[:RIVER_POINTS]
    sides: dict[str, Callable[[], float]] = {
        f"engine, {name}": partial(_engine_rate, bundle, name, batches, size) for name in PROFILES
    }
    sides["river HalfSpaceTrees (10 trees), learn and score"] = partial(_river_rate, values)
    sides["torch nn.LSTM, one point at a time"] = partial(_torch_rate, bundle)
    for side in sides.values():
        side()  # compile and warm
    rounds = [{name: side() for name, side in sides.items()} for _ in range(ROUNDS)]
    rates = {name: median(figures[name] for figures in rounds) for name in sides}
    ratios = {peer: median(figures["engine, balanced"] / figures[peer] for figures in rounds) for peer in AT_LEAST}
    return {
        "points_per_s": {name: round(rate) for name, rate in rates.items()},
        "engine_balanced_ratio_to": {peer: round(ratio, 1) for peer, ratio in ratios.items()},
        "at_least": AT_LEAST,
        "bytes_per_lane": {name: _engine(bundle, name).lanes.bytes_per_lane for name in PROFILES},
        "at_most_bytes": AT_MOST_BYTES,
        "rounds": ROUNDS,
        "lanes": LANES,
        "points": size,
        "micro_batch": MICRO_BATCH,
    }


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """What the figures fall short of."""
    slow = [
        f"{figures['engine_balanced_ratio_to'][peer]} times {peer}, expected {ratio}"
        for peer, ratio in AT_LEAST.items()
        if figures["engine_balanced_ratio_to"][peer] < ratio
    ]
    fat = [
        f"{figures['bytes_per_lane'][name]} bytes per lane of {name}, expected at most {most}"
        for name, most in AT_MOST_BYTES.items()
        if figures["bytes_per_lane"][name] > most
    ]
    return slow + fat


class NoSpill:
    """The budget has room for all keys, so nothing is ever evicted."""

    def put_many(self, rows: Iterable[tuple[str, bytes]]) -> None:  # noqa: ARG002
        """Refuse."""
        raise AssertionError("found an eviction, expected none")

    def take_many(self, keys: Sequence[str]) -> dict[str, bytes]:  # noqa: ARG002
        """Nothing is ever kept."""
        return {}

    def items(self) -> Iterable[tuple[str, bytes]]:
        """Nothing is ever kept."""
        return ()


def _engine(bundle: Bundle, profile: str) -> PartitionEngine:
    table = ThresholdTable(**bundle.manifest.calibration[profile])
    detector = Detector(bundle.network, PROFILES[profile], make_decision(table, 1.0))
    origin = Origin("benchmark", "fleet", bundle.short_id)
    return PartitionEngine(detector, EngineConfig(), ("value",), origin, NoSpill())


def _engine_rate(bundle: Bundle, profile: str, batches: list[Batch], points: int) -> float:
    engine = _engine(bundle, profile)
    started = time.perf_counter()
    for batch in batches:
        engine.process(batch)
    return points / (time.perf_counter() - started)


def _river_rate(values: list[float]) -> float:
    model = HalfSpaceTrees(n_trees=10, seed=1)
    started = time.perf_counter()
    for value in values:
        point = {"value": value}
        model.score_one(point)
        model.learn_one(point)
    return len(values) / (time.perf_counter() - started)


def _torch_rate(bundle: Bundle) -> float:
    """The shipped network in torch, a point at a time: inputs, LSTM with carried state, forecasts, likelihood.

    The normaliser, the derived streams and their novelty, which the engine computes too, are left out.
    """
    import torch

    torch.set_num_threads(1)
    network = bundle.network
    horizons = len(network.horizons)
    lstm = torch.nn.LSTM(network.inputs, network.hidden, network.layers)
    head = torch.nn.Linear(network.hidden + network.inputs, 3 * horizons)
    points = np.random.default_rng(7).normal(size=(TORCH_POINTS, network.inputs)).tolist()
    state, forecast, scores = None, None, []
    with torch.inference_mode():
        started = time.perf_counter()
        for inputs in points:
            x = torch.tensor(inputs).reshape(1, 1, -1)
            if forecast is not None:
                scores.append(-forecast.log_prob(x[0, 0, 0])[0].item())  # type: ignore[no-untyped-call]
            h, state = lstm(x, state)
            location, log_scale, freedom = head(torch.cat([h, x], -1))[0, 0].split(horizons)
            forecast = torch.distributions.StudentT(
                torch.nn.functional.softplus(freedom) + LEAST_NU,
                location + x[0, 0, 0],
                (log_scale.clamp(*LOG_SIGMA_RANGE) + LOG_SIGMA_SHIFT).exp(),
            )
        return TORCH_POINTS / (time.perf_counter() - started)
