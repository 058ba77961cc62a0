"""Outputs of a replay as a user would have them, made up: a daily rhythm with noise, and faults that were flagged."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.records import JOINT

START_US = 1_391_212_800_000_000  # 2014-02-01 00:00 UTC
STEP_US = 300_000_000
WARM_UP = 40
SEVERITIES = ("none", "low", "medium", "high", "critical")
PHASES = ("warming", "provisional", "live", "stale")
_SPOKE = {"side": "above", "seen": 1, "among": 3870, "exact": True}
DISPOSITIONS = ("scored", "warming", "late", "duplicate", "dead_lettered", "missing")


@dataclass(frozen=True, slots=True)
class Fault:
    """Flagged points `first` to `last` of a lane, displaced by `by` standard deviations of its noise."""

    first: int
    last: int
    by: float = 12.0
    severity: str = "high"
    kind: str = "point"
    suppressed: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class SampleLane:
    """A lane of `points` points, `warm_up` of them not scored."""

    key: str
    field: str = "value"
    points: int = 1000
    warm_up: int = WARM_UP
    faults: Sequence[Fault] = ()
    silent: tuple[int, int] | None = None


def write_replay(out_dir: Path, lanes: Sequence[SampleLane], summary: Mapping[str, Any] | None = None) -> Path:
    """Writes the three files of a replay of `lanes`, points interleaved by time, and gives back `out_dir`."""
    rng = np.random.default_rng(7)
    out_dir.mkdir(parents=True, exist_ok=True)
    columns = [_lane(lane, number, rng) for number, lane in enumerate(lanes)]
    table = {name: np.concatenate([each[name] for each in columns]) for name in columns[0]} if columns else {}
    _write_verdicts(out_dir / "verdicts.parquet", table, lanes)
    events = [event for lane, each in zip(lanes, columns, strict=True) for event in _events(lane, each)]
    (out_dir / "anomalies.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    total = sum(lane.points for lane in lanes)
    warming = sum(min(lane.warm_up, lane.points) for lane in lanes)
    told = {
        "source": "plant.csv",
        "records": {"consumed": total, "scored": total - warming, "warming": warming, "late": 0, "duplicate": 0},
        **(summary or {}),
    }
    (out_dir / "summary.json").write_text(json.dumps(told))
    return out_dir


def iso(index: float) -> str:
    """Event time of the `index`th point of a lane."""
    return (datetime.fromtimestamp(START_US / 1e6, UTC) + timedelta(microseconds=index * STEP_US)).isoformat()


def fleet(lanes: int, points: int) -> list[SampleLane]:
    """Lanes of which one in eight has faults of any size and kind."""
    rng = np.random.default_rng(11)
    made = []
    for number in range(lanes):
        faults: list[Fault] = []
        if number % 8 == 5:
            for first in sorted(rng.choice(np.arange(60, points - 120, 80), rng.integers(1, 4), replace=False)):
                grade = int(rng.integers(1, 5))
                length = int(rng.choice([0, 3, 30]))
                kind = "level_shift" if length == 30 else "point"
                sign = float(rng.choice([-1, 1]))
                faults.append(Fault(int(first), int(first) + length, sign * (4 + 4 * grade), SEVERITIES[grade], kind))
        made.append(SampleLane(f"pump-{number:03d}", ("flow", "pressure")[number % 2], points, faults=faults))
    return made


def _lane(lane: SampleLane, number: int, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    index = np.arange(lane.points)
    centre = 20 + 60 * rng.random()
    expected = centre + 8 * np.sin(index * 2 * np.pi / 288 + number) + np.cumsum(rng.normal(0, 0.02, lane.points))
    value = expected + rng.normal(0, 1, lane.points)
    score = rng.gamma(2, 0.6, lane.points)
    severity = np.zeros(lane.points, np.int32)
    episode = np.full(lane.points, -1)
    for fault in lane.faults:
        struck = slice(fault.first, fault.last + 1)
        value[struck] += fault.by
        score[struck] = abs(fault.by) * (0.6 + 0.4 * rng.random(len(index[struck])))
        severity[struck] = SEVERITIES.index(fault.severity)
        episode[struck] = fault.first
    warming = index < lane.warm_up
    half = 3 + 3 * np.exp(-index / 60)
    columns = {
        "key": np.full(lane.points, number),
        "time": START_US + index * STEP_US,
        "value": value,
        "expected": np.where(warming, np.nan, expected),
        "lower": np.where(warming, np.nan, expected - half),
        "upper": np.where(warming, np.nan, expected + half),
        "score": np.where(warming, np.nan, score),
        "severity": np.where(warming, 0, severity),
        "phase": np.where(warming, 0, np.where(index < lane.warm_up + 100, 1, 2)),
        "disposition": np.where(warming, 1, 0),
        "episode": np.where(warming, -1, episode),
    }
    if lane.silent is None:
        return columns
    heard = (index < lane.silent[0]) | (index > lane.silent[1])
    return {name: column[heard] for name, column in columns.items()}


def _write_verdicts(path: Path, columns: dict[str, NDArray[Any]], lanes: Sequence[SampleLane]) -> None:
    if not columns:
        columns = {
            name: np.zeros(0, np.int64) for name in ("key", "time", "severity", "phase", "disposition", "episode")
        }
        columns |= {name: np.zeros(0) for name in ("value", "expected", "lower", "upper", "score")}
    columns = {name: column[np.argsort(columns["time"], kind="stable")] for name, column in columns.items()}
    names = sorted({lane.field for lane in lanes}) or ["value"]
    fields = np.array([names.index(lane.field) for lane in lanes], np.int32)
    table = {
        "key": _dictionary(columns["key"], [lane.key for lane in lanes] or ["none"]),
        "field": _dictionary(fields[columns["key"].astype(int)], names),
        "time": pa.array(columns["time"], pa.timestamp("us", "UTC")),
        "position": pa.array(np.arange(len(columns["time"])) + 1),
        **{name: pa.array(columns[name], from_pandas=True) for name in ("value", "expected", "lower", "upper")},
        "score": pa.array(columns["score"].astype(np.float32), from_pandas=True),
        "threshold": pa.array(np.full(len(columns["time"]), 6, np.float32)),
        "is_anomaly": pa.array(columns["severity"] > 0),
        "severity": _dictionary(columns["severity"], SEVERITIES),
        "phase": _dictionary(columns["phase"], PHASES),
        "disposition": _dictionary(columns["disposition"], DISPOSITIONS),
        "episode": pa.array(columns["episode"].astype(np.int64), mask=columns["episode"] < 0),
    }
    pq.write_table(pa.table(table), path, row_group_size=50_000)


def _dictionary(codes: NDArray[Any], names: Sequence[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names))


def _events(lane: SampleLane, columns: dict[str, NDArray[Any]]) -> list[dict[str, Any]]:
    events = []
    for fault in lane.faults:
        expected = float(np.nan_to_num(columns["expected"][fault.first]))
        common = {
            "episode": f"{lane.key}/{lane.field}/{fault.first}",
            "kind": fault.kind,
            "key": lane.key,
            "field": lane.field,
            "severity": fault.severity,
            "opened_at": iso(fault.first),
            "contributions": {"flow" if lane.field == JOINT else lane.field: 0.8, "power": 0.2},
            "streams": [
                {**_SPOKE, "name": "residual_32", "novelty": 3.1, "horizon": 32, "value": fault.by},
                {**_SPOKE, "name": "mean_surprise_96", "novelty": 1.55, "horizon": 96, "value": 2.5, "exact": False},
            ],
            "reason": f"{fault.kind} at {fault.first}",
            "peak_score": abs(fault.by),
            "expected": expected,
            **({"suppressed": fault.suppressed} if fault.suppressed else {}),
        }
        peak = {"observed": expected + fault.by, "score": abs(fault.by) * 0.9}
        events.append({**common, **peak, "event": "opened", "time": iso(fault.first)})
        if fault.last < lane.points - 1:
            events.append(
                {
                    **common,
                    "event": "closed",
                    "time": iso(fault.last + 1),
                    "observed": None,
                    "score": 0.2,
                    "reason": "over",
                }
            )
    if lane.silent is not None:
        silence = {"episode": f"{lane.key}/silence", "kind": "silence", "key": lane.key, "field": lane.field}
        silence |= {"severity": "medium", "opened_at": iso(lane.silent[0]), "reason": "no value"}
        events.append({**silence, "event": "opened", "time": iso(lane.silent[0] + 5)})
        events.append({**silence, "event": "closed", "time": iso(lane.silent[1] + 1)})
    return events
