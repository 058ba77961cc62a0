"""How useful a stream's verdicts are right behind its warm-up, and at once where it begins with a past.

Streams of the demonstration's fleet from before its own faults, half of them with one clear fault at a given age, go
through the engine with the shipped bundle. A fault is found when one of its first points is flagged.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detectors.fleet import make_fleet
from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.adapters.spill import SqliteSpill
from pipeline.cli.wiring import make_detector, make_engine
from pipeline.config import Config
from pipeline.engine import PartitionEngine
from pipeline.episodes import Origin
from pipeline.records import Batch, KeyedRows

FAULTS: Final = ("spike", "level_shift", "drop_to_zero", "burst")
LENGTH: Final = 24
"""Points of a fault, but for a spike, which has two; also of the time in which it has to be found."""
LANES, SEEDS = 192, (1, 2, 3)
CASES = ((0, 150), (0, 170), (0, 200), (0, 300), (0, 1000), (288, 0), (2000, 0))
"""(points of history, point of what is scored with which a fault begins)."""
AT_LEAST = {288: 0.6, 2000: 0.85}
"""Share of the faults to be found at once, by points of history; behind a day thresholds are those of the young."""


@dataclass(frozen=True, slots=True)
class Found:
    """What came of it.

    Attributes:
        faults, found: by kind.
        delay: median points from the start of a fault to its first flagged point; 0 is its first point.
        false_per_1000: episodes opened per 1,000 scored points of streams without a fault.
    """

    faults: dict[str, int]
    found: dict[str, int]
    delay: float
    false_per_1000: float


def streams(seed: int, lanes: int, points: int) -> NDArray[np.float64]:
    """(lanes, points) values without faults, five minutes apart."""
    fleet = make_fleet(seed, lanes, max(800, -(-points * 20 // 9)))
    order = np.argsort(fleet.key_codes, kind="stable")
    starts = np.searchsorted(fleet.key_codes[order], np.arange(lanes))
    return np.stack([fleet.values[order][start : start + points] for start in starts])


def spoil(values: NDArray[np.float64], at: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The values with one fault at a point in each second lane, kind after kind."""
    spoilt = values.copy()
    low, high = np.quantile(values, [0.01, 0.99], axis=1)
    during = slice(at, at + LENGTH)
    for number, lane in enumerate(range(0, len(values), 2)):
        span = high[lane] - low[lane]
        match FAULTS[number % len(FAULTS)]:
            case "spike":
                spoilt[lane, at : at + 2] += 1.3 * span
            case "level_shift":
                spoilt[lane, at:] += 0.8 * span
            case "drop_to_zero":
                spoilt[lane, during] = 0.0
            case _:
                spoilt[lane, during] += 0.5 * span * rng.normal(size=LENGTH)
    return spoilt


def as_batch(values: NDArray[np.float64], first: int, last: int) -> Batch:
    """Points `first` to before `last` of all lanes, in order of time."""
    lanes = len(values)
    codes = np.tile(np.arange(lanes, dtype=np.int32), last - first)
    time_us = 1_700_000_000_000_000 + np.repeat(np.arange(first, last), lanes) * 300_000_000 + codes * 1000
    names = [f"lane{lane}" for lane in range(lanes)]
    return Batch(names, codes, time_us, values[:, first:last].T.reshape(-1, 1), np.arange(1, len(codes) + 1))


def measure(seed: int, lanes: int, age: int, *, history: int = 0) -> Found:
    """What is found of faults that begin with point `age` of what is scored, counted from 0.

    Args:
        history: points of each lane that it begins with.
    """
    at, length = history + age, history + age + LENGTH
    clean = streams(seed, lanes, max(length, history + 300))
    spoilt = spoil(clean, at, np.random.default_rng(seed))
    config = Config()
    bundle = load_bundle(shipped_bundle_path())
    detector = make_detector(config, bundle)
    with tempfile.TemporaryDirectory() as name:

        def engine(past: KeyedRows | None) -> PartitionEngine:
            spill = SqliteSpill(Path(name))
            return make_engine(config, detector, Origin("cold", "0", bundle.short_id), ("value",), spill, past)

        past = None
        if history:
            before = engine(None)
            batch = as_batch(spoilt, 0, history)
            before.process(replace(batch, position=np.full(len(batch), -1)))
            before.lanes.put_away()
            spilled = before.save().spilled
            past = spilled if isinstance(spilled, KeyedRows) else None
        outcome = engine(past).process(as_batch(spoilt, history, spoilt.shape[1]))
    (table,) = outcome.verdicts
    flagged = table.is_anomaly.reshape(-1, lanes).T  # (lanes, points)
    window = flagged[::2, age : age + LENGTH]
    found = np.asarray(window.any(axis=1))
    scored = np.isfinite(table.score.reshape(-1, lanes).T)[1::2].sum()
    odd = {f"lane{lane}" for lane in range(1, lanes, 2)}
    opened = sum(one.event == "opened" and one.kind != "silence" and one.key in odd for one in outcome.anomalies)
    delays = window[found].argmax(axis=1)
    kinds = np.arange(len(window)) % len(FAULTS)
    return Found(
        faults={kind: int((kinds == number).sum()) for number, kind in enumerate(FAULTS)},
        found={kind: int(found[kinds == number].sum()) for number, kind in enumerate(FAULTS)},
        delay=float(np.median(delays)) if len(delays) else np.nan,
        false_per_1000=1000 * opened / scored,
    )


def run() -> dict[str, Any]:
    """Shares of faults found, by kind, for each of `CASES`."""
    cases = []
    for history, age in CASES:
        results = [measure(seed, LANES, age, history=history) for seed in SEEDS]
        shares = {kind: float(np.mean([one.found[kind] / one.faults[kind] for one in results])) for kind in FAULTS}
        false = float(np.mean([one.false_per_1000 for one in results]))
        cases.append({"history": history, "fault_at": age, "found": shares, "false_per_1000": false})
    return {"lanes": LANES, "seeds": list(SEEDS), "cases": cases, "at_least_by_history": AT_LEAST}


def rows(figures: dict[str, Any]) -> list[list[str]]:
    """Of the table."""
    return [
        [
            str(case["history"]), str(case["fault_at"]), *(f"{case['found'][kind]:.0%}" for kind in FAULTS),
            f"{np.mean(list(case['found'].values())):.0%}", f"{case['false_per_1000']:.2f}",
        ]
        for case in figures["cases"]
    ]  # fmt: skip


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """A line for each figure below what is expected."""
    return [
        f"{case['history']} points of history: {np.mean(list(case['found'].values())):.0%} of faults found at once"
        for case in figures["cases"]
        if np.mean(list(case["found"].values())) < AT_LEAST.get(case["history"], 0.0)
    ]
