"""What each part of the detector is worth on the Numenta Anomaly Benchmark: the shipped detector with one part missing.

A variant's scores are on another scale, so each gets the best of several shifts of its threshold, which favours it. The
held-out figures are those of the protocol of `detectors.evaluation.nab.held_out`.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.detector import Detector
from detectors.episodes import OPENED, WORSENED, Decision
from detectors.evaluation.nab import NabFile, held_out, score_corpus
from detectors.layout import allocate
from detectors.network import Network
from detectors.profiles import PROFILES, Profile
from detectors.thresholds import ThresholdTable, make_decision
from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.config import DEFAULT_RISK
from tests.fakes import make_network
from tests.nab import NabStream, load_nab

SHIFTS = (-0.2, -0.1, 0.0, 0.1, 0.2)
BALANCED = PROFILES["balanced"]
_LARGEST = 100.0
"""Scores of alerts are divided by this for NAB, whose scores end at 1."""
_FORECASTS = ("residual", "mean_residual", "mean_surprise")


def run() -> dict[str, Any]:
    """NAB's three scores and the held-out standard one (mean, sd), by variant, at the best of the shifts."""
    bundle = load_bundle(shipped_bundle_path())
    decision = make_decision(ThresholdTable(**bundle.manifest.calibration["balanced"]), DEFAULT_RISK)
    streams = [in_order(stream) for stream in load_nab()]
    variants: dict[str, Callable[[NabStream, Decision], NDArray[np.float64]]] = {
        "as shipped": _walked(bundle.network, BALANCED),
        "state not carried": _walked(bundle.network, BALANCED, carry=False),
        "no prior (random weights)": _walked(make_network(1, 64), BALANCED),
        "no LSTM (no stream of a forecast)": _walked(bundle.network, _without(_FORECASTS)),
        "one horizon": _walked(
            bundle.network, _without(tuple(f"{kind}_{h}" for kind in _FORECASTS for h in (8, 32, 96)))
        ),
        "no change, no week": _walked(bundle.network, _without(("change", "weekly", "mean_weekly"))),
        "no novelty (one-step residual / sigma)": _surprised(bundle.network),
        "no rest": _walked(bundle.network, BALANCED, rest=0, quiet=1),
    }
    return {"variants": {name: _best(alert, streams, decision) for name, alert in variants.items()}}


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """Parts that the detector would be better without."""
    whole = figures["variants"]["as shipped"]["scores"]["standard"]
    return [
        f"{name}: {variant['scores']['standard']} on NAB, expected less than the {whole} of the whole"
        for name, variant in figures["variants"].items()
        if name != "as shipped" and variant["scores"]["standard"] >= whole
    ]


def rows(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Cells of a table."""
    for name, variant in figures["variants"].items():
        mean, sd = variant["held_out"]
        yield name, *(f"{score:.1f}" for score in variant["scores"].values()), f"{mean:.1f} (sd {sd:.1f})"


def in_order(stream: NabStream) -> NabStream:
    """The stream without what is late, which the engine does not score."""
    kept = np.append(True, stream.time_us[1:] > np.maximum.accumulate(stream.time_us)[:-1])
    return stream._replace(time_us=stream.time_us[kept], value=stream.value[kept])


def _without(starts: tuple[str, ...]) -> Profile:
    """`balanced` without the streams whose names begin like this."""
    kept = tuple(name for name in BALANCED.streams if not name.startswith(starts))
    return replace(BALANCED, streams=kept)


def _walked(
    network: Network, profile: Profile, *, carry: bool = True, **rules: Any
) -> Callable[[NabStream, Decision], NDArray[np.float64]]:
    """Scores of the alerts of a stream, 0 elsewhere, of a variant of the detector."""

    def alert(stream: NabStream, decision: Decision) -> NDArray[np.float64]:
        detector = Detector(network, profile, decision._replace(**rules))
        slab = allocate(detector.lane_dtype, 1)
        position = np.arange(len(stream.value))
        scores = np.zeros(len(position))
        step = len(position) if carry else 1
        for start in range(0, len(position), step):
            part = slice(start, start + step)
            if not carry:
                slab["hidden"][:] = 0
            lane = np.zeros(len(position[part]), np.int64)
            verdicts = detector.score(slab, lane, stream.time_us[part], stream.value[part], position[part])
            told = (verdicts.event == OPENED) | (verdicts.event == WORSENED)
            scores[part] = np.where(told, np.nan_to_num(verdicts.score), 0.0)
        return scores

    return alert


def _surprised(network: Network) -> Callable[[NabStream, Decision], NDArray[np.float64]]:
    """The same of a detector whose score is the size of the one-step residual, with the rest of the shipped one."""

    def alert(stream: NabStream, decision: Decision) -> NDArray[np.float64]:
        detector = Detector(network, BALANCED, decision)
        count = len(stream.value)
        verdicts = detector.score(
            allocate(detector.lane_dtype, 1), np.zeros(count, np.int64), stream.time_us, stream.value, np.arange(count)
        )
        surprise = np.abs(np.nan_to_num(verdicts.surprise))
        # thresholds from 4 to 20 sigma for the shifts
        threshold = 4.0 * 5.0 ** ((decision.thresholds[-1, 0] - _base(detector) + 0.2) / 0.4)
        scores, last, since = np.zeros(count), 0.0, decision.rest + 1
        for n in range(decision.warm_up, count):
            since += 1
            if surprise[n] >= threshold and (since > decision.rest or surprise[n] > 1.5 * last):
                scores[n], last, since = surprise[n], surprise[n], 0
        return scores

    return alert


def _base(detector: Detector) -> float:
    bundle = load_bundle(shipped_bundle_path())
    table = ThresholdTable(**bundle.manifest.calibration[detector.profile.name])
    return float(make_decision(table, DEFAULT_RISK).thresholds[-1, 0])


def _best(
    alert: Callable[[NabStream, Decision], NDArray[np.float64]], streams: list[NabStream], decision: Decision
) -> dict[str, Any]:
    found = []
    for shift in SHIFTS:
        shifted = decision._replace(thresholds=decision.thresholds + shift)
        files = [
            NabFile(stream.name, stream.time_us, alert(stream, shifted) / _LARGEST, stream.windows)
            for stream in streams
        ]
        mean, sd = held_out(files)
        found.append({
            "shift": shift,
            "scores": {name: round(result.score, 1) for name, result in score_corpus(files).items()},
            "held_out": (round(mean["standard"], 1), round(sd["standard"], 1)),
        })  # fmt: skip
    return max(found, key=lambda one: float(one["scores"]["standard"]))
