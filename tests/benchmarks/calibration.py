"""Whether the risk is what users get: false alarms asked for and observed, on streams that calibration never saw.

Two sources, each lane from its warm-up on: fault-free synthetic streams of other seeds than calibration's, more of them
for rare alarms, and the files of the Numenta Anomaly Benchmark outside their labelled windows. A false alarm is an
episode that opens there. How many there were decides how much they say, so each rate has the 95 % interval of a Poisson
count (Garwood 1936).
`build/calibration.svg` is a plot of it.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import chi2

from detectors.detector import Detector
from detectors.episodes import OPENED, Decision
from detectors.evaluation.ranking import label_rows
from detectors.false_alarms import Points, open_episodes
from detectors.kernel import Verdicts
from detectors.layout import allocate
from detectors.network import Network
from detectors.profiles import PROFILES
from detectors.synthetic import DAY_US, SyntheticStreams, generate
from detectors.thresholds import RISK_POINTS, ThresholdTable, make_decision
from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.config import DEFAULT_RISK
from tests.nab import load_nab

TICKS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
RISKS = tuple(sorted({*TICKS, DEFAULT_RISK}))
RISKS_PER_DAY = (0.003, 0.01, 0.03)
"""Within what lanes of an hour can have, whose 24 points a day bear 0.1 alarms at most."""
STREAMS, POINTS, SEED = 100, 12_000, 77
RARE, RARE_BLOCKS = 0.03, 8
"""Risks up to which so many times as many streams are counted in, those of the next seeds."""
WITHIN = 1.5
PLOT = Path("build/calibration.svg")
_SIDE, _MARGIN = 420, 56


class Observed(NamedTuple):
    """False alarms observed.

    Attributes:
        asked: rate asked for.
        rate: observed, in the same unit.
        alarms: how many that were.
        interval: in which the rate lies with 95 %.
        judged: whether it is within the promised factor: 'yes', 'no', or 'open' where chance can have it either way.
    """

    asked: float
    rate: float
    alarms: int
    interval: tuple[float, float]
    judged: str


def run() -> dict[str, Any]:
    """What was observed, by profile and source for each risk, and by sampling interval for each risk per day."""
    bundle = load_bundle(shipped_bundle_path())
    made = generate(np.random.default_rng(SEED), STREAMS, POINTS, faults=False)
    observed: dict[str, dict[str, list[Observed]]] = {}
    for profile in ("balanced", "dense"):
        table = ThresholdTable(**bundle.manifest.calibration[profile])
        observed[profile] = {"synthetic": _by_risk(bundle.network, profile, table), "NAB outside windows": []}
        for risk in RISKS:
            decision = make_decision(table, risk)
            alarms, points = _on_nab(bundle.network, profile, decision)
            observed[profile]["NAB outside windows"].append(judge(risk, alarms, points / RISK_POINTS))
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    PLOT.write_text(_plot(observed["balanced"]))
    table = ThresholdTable(**bundle.manifest.calibration["balanced"])
    return {"observed": observed, "per_day": _by_interval(bundle.network, table, made), "within": WITHIN}


def judge(asked: float, alarms: int, exposure: float) -> Observed:
    """What so many alarms in so much time, or so many thousand points, say of the rate asked for."""
    lowest = chi2.ppf(0.025, 2 * alarms) / 2 if alarms else 0.0
    interval = lowest / exposure, chi2.ppf(0.975, 2 * alarms + 2) / 2 / exposure
    rate = alarms / exposure
    if asked / WITHIN <= rate <= asked * WITHIN:
        judged = "yes"
    else:
        judged = "open" if interval[1] >= asked / WITHIN and interval[0] <= asked * WITHIN else "no"
    return Observed(asked, round(rate, 5), alarms, (round(interval[0], 5), round(float(interval[1]), 5)), judged)


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """Observed rates of synthetic streams that are not within the promised factor, and not by chance."""
    told = {f"{profile}, per 1,000 points": sources["synthetic"] for profile, sources in figures["observed"].items()}
    return [
        f"{name}: found {one.rate} false alarms at {one.asked}, expected within a factor of {WITHIN}"
        for name, rows in {**told, **figures["per_day"]}.items()
        for one in rows
        if one.judged == "no"
    ]


def rows(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Cells of a table: a risk a row."""
    sources = [source for profile in figures["observed"].values() for source in profile.values()]
    for told in zip(*sources, strict=True):
        yield f"{told[0].asked:g}", *map(_cell, told)


def daily_rows(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Cells of a table: a risk per day a row, a sampling interval a column."""
    for told in zip(*figures["per_day"].values(), strict=True):
        yield f"{told[0].asked:g}", *map(_cell, told)


def _cell(one: Observed) -> str:
    return f"{one.rate:.2g} ({one.alarms}: {one.interval[0]:.2g} to {one.interval[1]:.2g}) {one.judged}"


def _by_risk(network: Network, profile: str, table: ThresholdTable) -> list[Observed]:
    """What a risk per 1,000 points comes to."""
    alarms, points = np.zeros(len(RISKS), int), np.zeros(len(RISKS), int)
    for block in range(RARE_BLOCKS):
        asked = [n for n, risk in enumerate(RISKS) if block == 0 or risk <= RARE]
        made = generate(np.random.default_rng(SEED + block), STREAMS, POINTS, faults=False)
        decisions = [make_decision(table, RISKS[n]) for n in asked]
        opened = open_episodes(network, PROFILES[profile], decisions, STREAMS, _in_turn(made))
        alarms[asked] += [len(ages) for ages in opened.ages]
        points[asked] += int((opened.points >= decisions[0].warm_up).sum())
    told = zip(RISKS, alarms.tolist(), points.tolist(), strict=True)
    return [judge(risk, count, scored / RISK_POINTS) for risk, count, scored in told]


def _in_turn(made: SyntheticStreams) -> Points:
    return Points(np.tile(np.arange(STREAMS), POINTS), made.time_us.T.ravel(), made.values.T.ravel())


def _by_interval(network: Network, table: ThresholdTable, made: SyntheticStreams) -> dict[str, list[Observed]]:
    """What a risk per day comes to in lanes of different sampling intervals."""
    found: dict[str, list[Observed]] = {}
    for risk in RISKS_PER_DAY:
        decision = make_decision(table, risk_per_day=risk)
        verdicts = _on_synthetic(network, "balanced", decision, made)
        alarms = np.bincount(np.flatnonzero(verdicts.event == OPENED) % STREAMS, minlength=STREAMS)
        for interval_us in np.unique(made.interval_us).tolist():
            lanes = made.interval_us == interval_us
            days = int(lanes.sum()) * (POINTS - decision.warm_up) * interval_us / DAY_US
            told = judge(risk, int(alarms[lanes].sum()), days)
            found.setdefault(f"{interval_us // 60_000_000} min", []).append(told)
    return found


def _on_synthetic(network: Network, profile: str, decision: Decision, made: SyntheticStreams) -> Verdicts:
    detector = Detector(network, PROFILES[profile], decision)
    slab = allocate(detector.lane_dtype, STREAMS)
    return detector.score(slab, *_in_turn(made), np.arange(STREAMS * POINTS))


def _on_nab(network: Network, profile: str, decision: Decision) -> tuple[int, int]:
    """(alarms, points) outside the windows."""
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
    return alarms, points


def _plot(observed: dict[str, list[Observed]]) -> str:
    """Asked against observed with its interval, both logarithmic, the diagonal and the promised band, as SVG."""
    low, high = math.log10(RISKS[0]) - 0.3, math.log10(RISKS[-1]) + 0.3

    def at(value: float) -> float:
        place = min(max(math.log10(max(value, 1e-9)), low), high)
        return _MARGIN + (place - low) / (high - low) * (_SIDE - 2 * _MARGIN)

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
    for risk in TICKS:
        place = at(risk)
        lines += [
            f'<text x="{place:.1f}" y="{_SIDE - _MARGIN + 16}" text-anchor="middle">{risk:g}</text>',
            f'<text x="{_MARGIN - 8}" y="{_SIDE - place + 4:.1f}" text-anchor="end">{risk:g}</text>',
        ]
    for number, (source, colour) in enumerate(zip(observed, ("#1f5fa8", "#c4551a"), strict=True)):
        aside = 4 * number - 2
        for one in observed[source]:
            x, (least, most) = at(one.asked) + aside, one.interval
            ys = f'y1="{_SIDE - at(least):.1f}" y2="{_SIDE - at(most):.1f}"'
            lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" {ys} stroke="{colour}"/>')
            if one.alarms:
                lines.append(f'<circle cx="{x:.1f}" cy="{_SIDE - at(one.rate):.1f}" r="3.5" fill="{colour}"/>')
        top = _MARGIN + 16 * number
        lines.append(f'<text x="{_MARGIN + 12}" y="{top}" fill="{colour}">{source}</text>')
    middle = _SIDE / 2
    lines += [
        (
            f'<text x="{middle}" y="{_SIDE - 14}" text-anchor="middle">'
            "asked for: false alarms per 1,000 points (band: within a factor of 1.5)</text>"
        ),
        (
            f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">'
            "observed, with its 95 % interval</text>"
        ),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
