"""The whole engine on the Numenta Anomaly Benchmark: agreement with the prototype, and the shipped prior's scores."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from detectors.detector import Detector
from detectors.episodes import Decision
from detectors.evaluation.nab import score_corpus
from detectors.layout import PROFILES
from detectors.network import HORIZONS, Network
from detectors.thresholds import ThresholdTable, fixed_decision, make_decision
from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.config import DEFAULT_RISK
from pipeline.engine import EngineConfig, PartitionEngine
from pipeline.episodes import Origin
from pipeline.evaluation.nab import nab_file
from pipeline.evaluation.scoring import score_stream
from tests.fakes import MemorySpill
from tests.nab import NabStream, labelled, load_nab

PROTOTYPE_WEIGHTS = Path(__file__).parent / "data" / "prototype" / "prior.npz"
PROTOTYPE_SCORES = {"standard": 71.49, "reward_low_FP_rate": 62.78, "reward_low_FN_rate": 76.40}
PROTOTYPE_RULES = {"rest": 100, "accept": 0}
"""The prototype rests for 100 points after an alert, and learns every point."""
PROTOTYPE_THRESHOLD = 1.7


def prototype_network() -> Network:
    """The prototype's weights in this project's form."""
    weights = np.load(PROTOTYPE_WEIGHTS)
    return Network(
        layers=1,
        hidden=64,
        inputs=10,
        horizons=HORIZONS,
        arrays={
            "weight_ih_l0": weights["l.weight_ih_l0"],
            "weight_hh_l0": weights["l.weight_hh_l0"],
            "bias_l0": weights["l.bias_ih_l0"] + weights["l.bias_hh_l0"],
            "head_weight": weights["o.weight"],
            "head_bias": weights["o.bias"],
        },
    )


@dataclass(frozen=True, slots=True)
class Engines:
    """Engines of a network, profile and decision."""

    network: Network
    profile: str
    decision: Decision

    @contextmanager
    def __call__(self, stream: str, fields: tuple[str, ...]) -> Iterator[PartitionEngine]:
        """A fresh engine."""
        detector = Detector(self.network, PROFILES[self.profile], self.decision)
        yield PartitionEngine(detector, EngineConfig(), fields, Origin("nab", stream, "b"), MemorySpill())


def nab_scores(engines: Engines, streams: Sequence[NabStream] | None = None) -> dict[str, float]:
    """Normalised scores of the three profiles of NAB over all 58 files, or some."""
    files = []
    for stream in streams or load_nab():
        scores = score_stream(labelled(stream), engines, clock=time.process_time, micro_batch=10_000)
        files.append(nab_file(stream.name, stream.time_us, stream.windows, scores.alert_score))
    return {name: result.score for name, result in score_corpus(files).items()}


def test_agrees_with_the_prototype() -> None:
    """With the prototype's weights and rules the engine is within 1.5 points of it in every profile of NAB."""
    scores = nab_scores(
        Engines(prototype_network(), "balanced", fixed_decision(PROTOTYPE_THRESHOLD, **PROTOTYPE_RULES))
    )
    assert scores == pytest.approx(PROTOTYPE_SCORES, abs=1.5)


@pytest.mark.parametrize("profile", ["balanced", "dense"])
def test_shipped_prior_with_default_risk(profile: str) -> None:
    """The shipped prior scores at least 70 on NAB's standard profile, with the risk that every user gets by default."""
    bundle = load_bundle(shipped_bundle_path())
    decision = make_decision(ThresholdTable(**bundle.manifest.calibration[profile]), DEFAULT_RISK)
    assert nab_scores(Engines(bundle.network, profile, decision))["standard"] >= 70.0
