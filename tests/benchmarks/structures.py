"""What each structure of the network is worth and costs: each trained alike, briefly, and measured side by side.

Environment: STEPS of each training (150), series of LENGTH points (600), SEEDS (1; several as 1,2,3, of which the means
are told), CALIBRATION streams for the thresholds (10). Twenty times the steps is what the shipped network was given.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.calibration import calibrate
from detectors.detector import Detector
from detectors.episodes import OPENED, WORSENED, Decision
from detectors.evaluation.nab import NabFile, score_corpus
from detectors.layout import allocate
from detectors.network import Network
from detectors.profiles import PROFILES
from detectors.structure import PLAIN, Structure
from detectors.thresholds import fixed_decision, make_decision
from detectors.training import TrainingConfig
from pipeline.config import DEFAULT_RISK
from pipeline.pretrain import PretrainConfig, pretrain
from tests.benchmarks.ablation import SHIFTS, in_order
from tests.benchmarks.segments import fleet_streams, volume
from tests.fakes import INTERVAL_US, START_US
from tests.nab import NabStream, load_nab

BALANCED = PROFILES["balanced"]
LANES, POINTS, ROUNDS = 200, 100, 7
"""Of the measurement of speed: structures take turns, and the quickest of their rounds counts."""
_LARGEST = 100.0
"""Scores of alerts are divided by this for NAB, whose scores end at 1."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network to train."""

    layers: int = 1
    hidden: int = 64
    structure: Structure = PLAIN


CANDIDATES = {
    "LSTM of 64 (the default)": Candidate(),
    "LSTM of 32": Candidate(hidden=32),
    "LSTM of 96": Candidate(hidden=96),
    "two LSTMs of 64": Candidate(layers=2),
    "GRU of 64": Candidate(structure=Structure("gru")),
    "layer-norm LSTM of 64": Candidate(structure=Structure("layer-norm-lstm")),
    "default, convolution over 4": Candidate(structure=Structure(convolution=4)),
    "default, attention over 8": Candidate(structure=Structure(attention=8)),
}


def run() -> dict[str, Any]:
    """By candidate: loss, detection, speed and bytes per lane; and the budget."""
    steps, length, streams = (_number(*given) for given in (("STEPS", 150), ("LENGTH", 600), ("CALIBRATION", 10)))
    seeds = [int(seed) for seed in os.environ.get("SEEDS", "1").split(",")]
    corpus, fleet = [in_order(stream) for stream in load_nab()], list(fleet_streams())
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CANDIDATES}
    networks: dict[str, Network] = {}
    for seed in seeds:
        for name, candidate in CANDIDATES.items():
            began = time.monotonic()
            network, loss = _train(candidate, seed, steps, length)
            trained_s = time.monotonic() - began
            table = calibrate(network, BALANCED, seed=seed, streams=streams, progress=lambda _fraction: None)
            decision = make_decision(table, DEFAULT_RISK)
            found[name].append({
                "loss": loss,
                "training_s": trained_s,
                "nab": _nab(network, decision, corpus),
                "vus_pr_event": _vus_pr(network, decision, fleet, "score"),
                "vus_pr_segment": _vus_pr(network, decision, fleet, "segment"),
            })  # fmt: skip
            networks[name] = network
            print(f"seed {seed}, {name}: loss {loss:.3f}, trained in {trained_s:.0f} s", flush=True)
    speeds = _points_per_s(networks)
    return {
        "budget": {"steps": steps, "length": length, "seeds": seeds, "calibration_streams": streams},
        "candidates": {
            name: {measure: float(np.mean([one[measure] for one in runs])) for measure in runs[0]}
            | {"points_per_s": speeds[name]}
            | {f"bytes_{profile}": _detector(networks[name], profile).lane_dtype.itemsize for profile in PROFILES}
            for name, runs in found.items()
        },
    }


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """Structures that would be a better default: better on every measure, at no more cost."""
    best = next(iter(CANDIDATES))
    default = figures["candidates"][best]
    return [
        f"{name} is better than {best} on every measure and costs no more: make it the default"
        for name, one in figures["candidates"].items()
        if one["loss"] < default["loss"]
        and min(one[measure] - default[measure] for measure in ("nab", "vus_pr_event", "vus_pr_segment")) > 0
        and one["points_per_s"] >= default["points_per_s"]
        and one["bytes_balanced"] <= default["bytes_balanced"]
    ]


def rows(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Cells of a table."""
    for name, one in figures["candidates"].items():
        yield (
            name, f"{one['loss']:.3f}", f"{one['nab']:.1f}", f"{one['vus_pr_event']:.3f}",
            f"{one['vus_pr_segment']:.3f}", f"{one['points_per_s']:,.0f}",
            f"{one['bytes_balanced']:,}",
        )  # fmt: skip


def _number(name: str, default: int) -> int:
    return int(os.environ.get(name, default))


def _train(candidate: Candidate, seed: int, steps: int, length: int) -> tuple[Network, float]:
    """The network, and its mean validation loss over the horizons."""
    training = TrainingConfig(
        seed=seed, layers=candidate.layers, hidden=candidate.hidden, structure=candidate.structure, steps=steps,
        device="cpu", validate_every=25,
    )  # fmt: skip
    config = PretrainConfig(training, length=length, validation_series=48)
    prior = pretrain(config, clock=time.monotonic, progress=lambda _report: None)
    return prior.network, float(np.mean(list(prior.metrics["validation_loss"].values())))


def _detector(network: Network, profile: str = "balanced", decision: Decision | None = None) -> Detector:
    return Detector(network, PROFILES[profile], decision or fixed_decision(1.7))


def _nab(network: Network, decision: Decision, corpus: list[NabStream]) -> float:
    """NAB's standard score at the best of several shifts of the threshold, which few streams place but roughly."""
    scores = []
    for shift in SHIFTS:
        detector = _detector(network, decision=decision._replace(thresholds=decision.thresholds + shift))
        files = []
        for stream in corpus:
            count = len(stream.value)
            slab, lane = allocate(detector.lane_dtype, 1), np.zeros(count, np.int64)
            said = detector.score(slab, lane, stream.time_us, stream.value, np.arange(count))
            told = (said.event == OPENED) | (said.event == WORSENED)
            score = np.where(told, np.nan_to_num(said.score), 0.0) / _LARGEST
            files.append(NabFile(stream.name, stream.time_us, score, stream.windows))
        scores.append(score_corpus(files)["standard"].score)
    return float(max(scores))


def _vus_pr(network: Network, decision: Decision, fleet: list[Any], read_out: str) -> float:
    """Mean over the streams of the fleet."""
    detector, found = _detector(network, decision=decision), []
    for stream in fleet:
        count = len(stream.value)
        slab, lane = allocate(detector.lane_dtype, 1), np.zeros(count, np.int64)
        said = detector.score(slab, lane, stream.time_us, stream.value, np.arange(count))
        found.append(volume(np.asarray(getattr(said, read_out), np.float64), stream))
    return float(np.mean(found))


def _points_per_s(networks: dict[str, Network]) -> dict[str, float]:
    """Points per second of processor time of the kernel, many lanes taking turns."""
    rng = np.random.default_rng(7)
    values = np.sin(np.arange(POINTS)[:, None] / 9 + rng.normal(size=LANES)) + 0.1 * rng.normal(size=(POINTS, LANES))
    rows, positions = np.tile(np.arange(LANES), POINTS), np.arange(LANES * POINTS)
    time_us = np.repeat(START_US + INTERVAL_US * np.arange(POINTS), LANES)
    least = dict.fromkeys(networks, np.inf)
    for _ in range(ROUNDS):
        for name, network in networks.items():
            detector = _detector(network)
            walk = detector.begin(allocate(detector.lane_dtype, LANES), rows, time_us, values.ravel(), positions)
            began = time.thread_time()
            walk.run()
            least[name] = min(least[name], time.thread_time() - began)
    return {name: LANES * POINTS / took for name, took in least.items()}
