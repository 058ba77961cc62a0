"""Whether the risk is what users get: false alarms asked for and observed, on streams that calibration never saw.

Two sources, each lane from its warm-up on: fault-free synthetic streams of another seed than calibration's, and the
files of the Numenta Anomaly Benchmark outside their labelled windows. A false alarm is an episode that opens there.
`build/calibration.svg` is a plot of it.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from detectors.detector import Detector
from detectors.episodes import OPENED, Decision
from detectors.evaluation.ranking import label_rows
from detectors.layout import PROFILES, allocate
from detectors.network import Network
from detectors.synthetic import generate
from detectors.thresholds import RISK_POINTS, ThresholdTable, make_decision
from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from tests.nab import load_nab

RISKS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
STREAMS, POINTS, SEED = 600, 5000, 77
WITHIN = 1.5
FEWEST = 20
"""Alarms that an observed rate needs to be judged: with fewer, chance alone may take it out of the band."""
PLOT = Path("build/calibration.svg")
_SIDE, _MARGIN = 420, 56


def run() -> dict[str, Any]:
    """Observed false alarms per 1,000 points, and how many that were, by profile, source and risk."""
    bundle = load_bundle(shipped_bundle_path())
    observed: dict[str, dict[str, list[tuple[float, int]]]] = {}
    for profile in ("balanced", "dense"):
        table = ThresholdTable(**bundle.manifest.calibration[profile])
        observed[profile] = {"synthetic": [], "NAB outside windows": []}
        for risk in RISKS:
            decision = make_decision(table, risk)
            observed[profile]["synthetic"].append(_on_synthetic(bundle.network, profile, decision))
            observed[profile]["NAB outside windows"].append(_on_nab(bundle.network, profile, decision))
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    PLOT.write_text(_plot(observed["balanced"]))
    return {"risks": RISKS, "observed": observed, "within": WITHIN}


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """Observed rates of synthetic streams that are not within the promised factor of what was asked for."""
    return [
        f"{profile}: found {rate} false alarms per 1,000 points at risk {risk}, expected within a factor of {WITHIN}"
        for profile, sources in figures["observed"].items()
        for risk, (rate, alarms) in zip(figures["risks"], sources["synthetic"], strict=True)
        if alarms >= FEWEST and abs(math.log(rate / risk)) > math.log(WITHIN)
    ]


def rows(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Cells of a table: a risk a row."""
    for n, risk in enumerate(figures["risks"]):
        cells = [source[n] for sources in figures["observed"].values() for source in sources.values()]
        yield f"{risk:g}", *(f"{rate:.4g} ({alarms})" for rate, alarms in cells)


def _on_synthetic(network: Network, profile: str, decision: Decision) -> tuple[float, int]:
    made = generate(np.random.default_rng(SEED), STREAMS, POINTS, faults=False)
    detector = Detector(network, PROFILES[profile], decision)
    lane, position = np.tile(np.arange(STREAMS), POINTS), np.arange(STREAMS * POINTS)
    slab = allocate(detector.lane_dtype, STREAMS)
    verdicts = detector.score(slab, lane, made.time_us.T.ravel(), made.values.T.ravel(), position)
    alarms = int((verdicts.event == OPENED).sum())
    return _rate(alarms, int((verdicts.points >= decision.warm_up).sum())), alarms


def _on_nab(network: Network, profile: str, decision: Decision) -> tuple[float, int]:
    detector = Detector(network, PROFILES[profile], decision)
    alarms = points = 0
    for stream in load_nab():
        kept = np.append(True, stream.time_us[1:] > np.maximum.accumulate(stream.time_us)[:-1])
        time_us, count = stream.time_us[kept], int(kept.sum())
        verdicts = detector.score(
            allocate(detector.lane_dtype, 1), np.zeros(count, np.int64), time_us, stream.value[kept], np.arange(count)
        )
        usual = ~label_rows(time_us, stream.windows) & (verdicts.points >= decision.warm_up)
        alarms += int((usual & (verdicts.event == OPENED)).sum())
        points += int(usual.sum())
    return _rate(alarms, points), alarms


def _rate(alarms: int, points: int) -> float:
    return round(alarms / points * RISK_POINTS, 5)


def _plot(observed: dict[str, list[tuple[float, int]]]) -> str:
    """Asked against observed, both logarithmic, with the diagonal and the promised band around it, as SVG."""
    low, high = math.log10(RISKS[0]) - 0.2, math.log10(RISKS[-1]) + 0.2

    def at(value: float) -> float:
        return _MARGIN + (math.log10(value) - low) / (high - low) * (_SIDE - 2 * _MARGIN)

    def point(asked: float, found: float) -> str:
        return f"{at(asked):.1f},{_SIDE - at(found):.1f}"

    ends = (10**low, 10**high)
    band = [point(ends[0], ends[0] * WITHIN), point(ends[1] / WITHIN, ends[1]), point(ends[1], ends[1]),
            point(ends[1], ends[1] / WITHIN), point(ends[0] * WITHIN, ends[0]), point(ends[0], ends[0])]  # fmt: skip
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_SIDE} {_SIDE}" '
            'font-family="sans-serif" font-size="11">'
        ),
        "<title>False alarms per 1,000 points: asked for and observed, profile balanced</title>",
        f'<rect width="{_SIDE}" height="{_SIDE}" fill="white"/>',
        f'<polygon points="{" ".join(band)}" fill="#e3ecf7"/>',
        f'<polyline points="{point(ends[0], ends[0])} {point(ends[1], ends[1])}" stroke="#8aa" fill="none"/>',
    ]
    for risk in RISKS:
        place = at(risk)
        lines += [
            f'<text x="{place:.1f}" y="{_SIDE - _MARGIN + 16}" text-anchor="middle">{risk:g}</text>',
            f'<text x="{_MARGIN - 8}" y="{_SIDE - place + 4:.1f}" text-anchor="end">{risk:g}</text>',
        ]
    for number, (source, colour) in enumerate(zip(observed, ("#1f5fa8", "#c4551a"), strict=True)):
        seen = [(risk, rate) for risk, (rate, _) in zip(RISKS, observed[source], strict=True) if rate > 0]
        path = " ".join(point(risk, min(max(rate, ends[0]), ends[1])) for risk, rate in seen)
        lines.append(f'<polyline points="{path}" stroke="{colour}" stroke-width="2" fill="none"/>')
        for one in path.split():
            x, y = one.split(",")
            lines.append(f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>')
        top = _MARGIN + 16 * number
        lines.append(f'<text x="{_MARGIN + 12}" y="{top}" fill="{colour}">{source}</text>')
    middle = _SIDE / 2
    lines += [
        (
            f'<text x="{middle}" y="{_SIDE - 14}" text-anchor="middle">'
            "asked for: risk, false alarms per 1,000 points</text>"
        ),
        f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">observed</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
