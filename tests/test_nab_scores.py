"""The whole engine on the Numenta Anomaly Benchmark: agreement with the prototype, and the shipped prior's scores."""

from pathlib import Path

import numpy as np
import pytest

from detectors.detector import Detector
from detectors.episodes import Decision
from detectors.evaluation.nab import NabFile, score_corpus
from detectors.layout import PROFILES
from detectors.network import HORIZONS, Network
from detectors.thresholds import ThresholdTable, fixed_decision, make_decision
from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.config import DEFAULT_RISK
from pipeline.engine import EngineConfig, PartitionEngine
from pipeline.episodes import Origin
from pipeline.records import Batch
from tests.fakes import MemorySpill
from tests.nab import NabStream, load_nab

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


def alert_scores(stream: NabStream, network: Network, profile: str, decision: Decision) -> np.ndarray:
    """Score of each row at which an episode opened or worsened, 0 at the others."""
    engine = PartitionEngine(
        Detector(network, PROFILES[profile], decision),
        EngineConfig(),
        ("value",),
        Origin("nab", "0", "b"),
        MemorySpill(),
    )
    rows = np.arange(len(stream.time_us)) + 1
    batch = Batch([stream.name], np.zeros(len(rows), np.int32), stream.time_us, stream.value[:, None].copy(), rows)
    scores = np.zeros(len(rows))
    for anomaly in engine.process(batch).anomalies:
        if anomaly.event != "closed" and anomaly.score is not None:
            scores[anomaly.position - 1] = anomaly.score / 100
    return scores


def nab_scores(network: Network, profile: str, decision: Decision) -> dict[str, float]:
    """Normalised scores of the three profiles of NAB over all 58 files."""
    files = [
        NabFile(stream.name, stream.time_us, alert_scores(stream, network, profile, decision), stream.windows)
        for stream in load_nab()
    ]
    return {name: result.score for name, result in score_corpus(files).items()}


def test_agrees_with_the_prototype() -> None:
    """With the prototype's weights and rules the engine is within 1.5 points of it in every profile of NAB."""
    scores = nab_scores(prototype_network(), "balanced", fixed_decision(PROTOTYPE_THRESHOLD, **PROTOTYPE_RULES))
    assert scores == pytest.approx(PROTOTYPE_SCORES, abs=1.5)


@pytest.mark.parametrize("profile", ["balanced", "dense"])
def test_shipped_prior_with_default_risk(profile: str) -> None:
    """The shipped prior scores at least 70 on NAB's standard profile, with the risk that every user gets by default."""
    bundle = load_bundle(shipped_bundle_path())
    decision = make_decision(ThresholdTable(**bundle.manifest.calibration[profile]), DEFAULT_RISK)
    assert nab_scores(bundle.network, profile, decision)["standard"] >= 70.0
