"""What a swap of networks costs a micro-batch: states of lanes are rebuilt from their windows as their points come."""

import time
from statistics import median
from typing import Any

import numpy as np

from detectors.detector import Detector
from detectors.layout import allocate
from detectors.profiles import PROFILES
from detectors.thresholds import fixed_decision
from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.config import Config
from tests.fakes import INTERVAL_US, START_US
from tests.pipeline.cli.bundles import variant

POINTS = 200
"""Of each lane before the swap: more than a window has."""
ROUNDS = 7
AT_MOST_S = 5.0
"""For the dearest micro-batch; far below what a consumer may be away for, `kafka.max_poll_interval`."""


def run() -> dict[str, Any]:
    """Seconds of a micro-batch as large as the service takes, each point of it of another lane."""
    lanes = Config().service.micro_batch
    before, after = (
        Detector(network, PROFILES["balanced"], fixed_decision(1.5, warm_up=60))
        for network in (load_bundle(shipped_bundle_path()).network, variant(gain=0.98).network)
    )
    rng = np.random.default_rng(1)
    values = rng.normal(size=(POINTS + 1, lanes)) + np.sin(np.arange(POINTS + 1) / 10)[:, None]
    slab, rows = allocate(before.lane_dtype, lanes), np.arange(lanes)

    def score(detector: Detector, state: dict[str, Any], point: int) -> float:
        began = time.perf_counter()
        detector.score(state, rows, np.full(lanes, START_US + INTERVAL_US * point), values[point], rows)
        return time.perf_counter() - began

    for point in range(POINTS):
        score(before, slab, point)
    usual, swapping = [], []
    for _ in range(ROUNDS):
        usual.append(score(before, {name: part.copy() for name, part in slab.items()}, POINTS))
        moved = {name: part.copy() for name, part in slab.items()}
        moved["hidden"][:] = 0
        swapping.append(score(after, moved, POINTS))
    pairs = list(zip(swapping, usual, strict=True))
    return {
        "lanes": lanes,
        "usual_s": median(usual),
        "swapping_s": median(swapping),
        "ratio": median(behind / without for behind, without in pairs),
        "at_most_s": AT_MOST_S,
    }


def rows(figures: dict[str, Any]) -> list[list[str]]:
    """Of the table."""
    lanes = figures["lanes"]
    return [
        [name, f"{figures[key] * 1e3:.1f}", f"{figures[key] / lanes * 1e6:.1f}"]
        for name, key in (("any", "usual_s"), ("the first behind a swap", "swapping_s"))
    ]


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """A micro-batch that keeps polls waiting."""
    if figures["swapping_s"] <= figures["at_most_s"]:
        return []
    return [f"the first behind a swap takes {figures['swapping_s']:.1f} s, expected {figures['at_most_s']:.0f} at most"]
