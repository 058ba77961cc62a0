"""What the joint lane is worth: keys with several correlated fields, made by recipe, with anomalies between fields.

Each field follows three common factors, a daily cycle, a slow and a fast autoregressive one, with loadings and a delay
of its own, plus noise of its own with 0.3 of the factors' standard deviation. Anomalies last 60 to 200 records:

- *decoupled*: one field follows other factors of the same kind;
- *lag*: one field follows the factors 8 to 30 records later than it used to;
- *sign*: one field follows their opposite;
- *shift*: all fields move a little, by 0.45 of their standard deviation, each up or down;
- *spike*: one field, in a single record, by 2.5 standard deviations.

Ranked are records: by the fields' scores combined, by those with the joint lane, and by two detectors that see all
fields: the error outside the main components of the first 1,000 records, and river's HalfSpaceTrees.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from river.anomaly import HalfSpaceTrees
from scipy.signal import lfilter

from detectors.evaluation.ranking import vus_pr
from detectors.thresholds import RISK_POINTS
from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.cli.wiring import make_detector
from pipeline.config import DEFAULT_RISK, Config
from pipeline.engine import EngineConfig, PartitionEngine
from pipeline.episodes import Origin
from pipeline.evaluation.scoring import average_lanes, combine_lanes
from pipeline.records import JOINT, Batch
from tests.fakes import MemorySpill

Floats = NDArray[np.float64]

KINDS = ("decoupled", "lag", "sign", "shift", "spike")
STREAMS = {2: 8, 5: 6, 20: 3}
"""Streams of each kind, by number of fields."""
FAULT_FREE = {2: 24, 5: 16, 20: 8}
RISKS = (0.1, 0.3, DEFAULT_RISK, 3.0)
COUNT, ANOMALIES, FIRST, SKIPPED, BUFFER = 6000, 6, 1500, 300, 50
AFTER = 100
"""Records behind an anomaly that an alert is no false alarm in, nor a detection but for the first ten of them."""
WITHIN = 1.5
FEWEST = 20
_DELAY, _PCA_TRAINED, _PCA_VARIANCE, _STEP_US = 64, 1000, 0.9, 300_000_000


class Labelled(NamedTuple):
    """A key's records."""

    time_us: NDArray[np.int64]  # (n,)
    values: Floats  # (n, fields)
    windows: list[tuple[int, int]]  # first and last record of each anomaly

    def labels(self) -> NDArray[np.bool_]:
        """(n,) whether a record lies in an anomaly."""
        labels = np.zeros(len(self.time_us), np.bool_)
        for first, last in self.windows:
            labels[first : last + 1] = True
        return labels


class Told(NamedTuple):
    """What the engine said of a key's records."""

    score: NDArray[np.float32]  # (n, lanes)
    segment: NDArray[np.float32]  # (n, lanes)
    alerts: dict[str, list[int]]  # records in which episodes opened or worsened, by lane
    opened: dict[str, int]  # episodes by lane


def run() -> dict[str, Any]:
    """VUS-PR, recall and false alarms by number of fields and kind of anomaly; false alarms of fault-free streams."""
    return {
        "anomalies": {
            f"{fields} fields, {kind}": _measure([make_stream([fields, n, one], fields, kind) for one in range(count)])
            for fields, count in STREAMS.items()
            for n, kind in enumerate(KINDS)
        },
        "fault_free": {
            f"{fields} fields": [_false_alarms(fields, count, risk) for risk in RISKS]
            for fields, count in FAULT_FREE.items()
        },
    }


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """Where the joint lane does not help, or does not raise the false alarms that were asked for."""
    short = []
    for name in ("VUS-PR event", "VUS-PR segment", "recall"):
        alone, joint = (_mean(figures, f"{name}, {side}") for side in ("fields", "joint"))
        if joint <= alone:
            short.append(f"{name}: found {joint:.3f} with the joint lane, expected more than {alone:.3f}")
    for fields, rates in figures["fault_free"].items():
        short += [
            f"{fields}: found {rate['joint']} false alarms per 1,000 points of joint lanes at risk {risk:g}"
            for risk, rate in zip(RISKS, rates, strict=True)
            if rate["joint_alarms"] >= FEWEST and not risk / WITHIN <= rate["joint"] <= risk * WITHIN
        ]
    return short


def rows(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Cells of a table: a kind of anomaly a row, and the mean of all."""
    measures = list(next(iter(figures["anomalies"].values())))
    yield from (
        (name, *(f"{found[measure]:.3f}" for measure in measures)) for name, found in figures["anomalies"].items()
    )
    yield "mean", *(f"{_mean(figures, measure):.3f}" for measure in measures)


def fault_free_rows(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Cells of a table: a risk a row; false alarms of fields and of joint lanes, and how many those were."""
    for n, risk in enumerate(RISKS):
        rates = [rates[n] for rates in figures["fault_free"].values()]
        yield f"{risk:g}", *(f"{rate['fields']:.3g}, {rate['joint']:.3g} ({rate['joint_alarms']})" for rate in rates)


def _mean(figures: dict[str, Any], measure: str) -> float:
    return float(np.mean([found[measure] for found in figures["anomalies"].values()]))


def make_stream(seed: list[int], fields: int, kind: str = "") -> Labelled:
    """Records of a key with anomalies of a kind; of none, without."""
    rng = np.random.default_rng(seed)
    factors = _factors(rng)
    loadings = rng.normal(size=(fields, len(factors)))
    if fields == 2:  # two at random could have nothing in common
        loadings[1] = loadings[0] * rng.choice((-1, 1)) + 0.3 * rng.normal(size=len(factors))
    loadings /= np.linalg.norm(loadings, axis=1)[:, None]
    noise = 0.3 * np.stack([_autoregressive(rng, 0.5, COUNT) for _ in range(fields)])
    delay = rng.integers(0, 4, fields)

    def follow(field: int, these: Floats, later: int) -> Floats:
        followed: Floats = loadings[field] @ these[:, _DELAY - later : _DELAY - later + COUNT]
        return followed

    usual = np.stack([follow(field, factors, delay[field]) for field in range(fields)])
    values = usual + noise
    windows = []
    for start in _starts(rng) if kind else ():
        part = slice(start, start + (1 if kind == "spike" else int(rng.integers(60, 200))))
        field = int(rng.integers(fields))
        match kind:
            case "decoupled":
                values[field, part] = (follow(field, _factors(rng), 0) + noise[field])[part]
            case "lag":
                later = delay[field] + int(rng.integers(8, 30))
                values[field, part] = (follow(field, factors, later) + noise[field])[part]
            case "sign":
                values[field, part] = (noise - usual)[field, part]
            case "shift":
                values[:, part] += 0.45 * rng.choice((-1, 1), fields)[:, None]
            case _:
                values[field, part] += 2.5 * rng.choice((-1, 1))
        windows.append((part.start, part.stop - 1))
    scale = 10 ** rng.uniform(-1, 3, fields)
    values = (values + 5 * rng.normal(size=fields)[:, None]) * scale[:, None]
    return Labelled(1_700_000_000_000_000 + np.arange(COUNT) * _STEP_US, values.T.copy(), windows)


def _factors(rng: np.random.Generator) -> Floats:
    count = COUNT + _DELAY
    day = 2 * np.pi * np.arange(count) / 288
    cycle = np.sin(day + rng.uniform(0, 6.28)) + 0.4 * np.sin(2 * day + rng.uniform(0, 6.28))
    return np.stack([cycle, _autoregressive(rng, 0.98, count), _autoregressive(rng, 0.8, count)])


def _autoregressive(rng: np.random.Generator, memory: float, count: int) -> Floats:
    """First-order, of mean 0 and standard deviation 1."""
    shocks = np.sqrt(1 - memory**2) * rng.normal(size=count + 200)
    made: Floats = lfilter([1.0], [1.0, -memory], shocks)[200:]
    return made


def _starts(rng: np.random.Generator) -> list[int]:
    slots = (np.arange(ANOMALIES) + 0.8 * rng.random(ANOMALIES)) / ANOMALIES
    return [int(FIRST + slot * (COUNT - FIRST - 300)) for slot in slots]


def _ask(stream: Labelled, risk: float = DEFAULT_RISK) -> Told:
    config = Config()
    detector = make_detector(
        config.model_copy(update={"detector": config.detector.model_copy(update={"risk": risk})}),
        load_bundle(shipped_bundle_path()),
    )
    names = tuple(f"f{n}" for n in range(stream.values.shape[1]))
    engine = PartitionEngine(detector, EngineConfig(), names, Origin("made", "0", "shipped"), MemorySpill())
    count = len(stream.time_us)
    codes, position = np.zeros(count, np.int32), np.arange(1, count + 1)
    outcome = engine.process(Batch(["key"], codes, stream.time_us, stream.values, position))
    (table,) = outcome.verdicts
    score, segment = (np.full((count, len(names) + 1), np.nan, np.float32) for _ in range(2))
    score[table.position - 1, table.field] = table.score
    segment[table.position - 1, table.field] = table.segment_score
    alerts: dict[str, list[int]] = {name: [] for name in engine.lane_names}
    opened = dict.fromkeys(engine.lane_names, 0)
    for anomaly in outcome.anomalies:
        if anomaly.event != "closed":
            alerts[anomaly.field].append(anomaly.position - 1)
        opened[anomaly.field] += anomaly.event == "opened"
    return Told(score, segment, alerts, opened)


def _measure(streams: list[Labelled]) -> dict[str, float]:
    measured = [_measure_one(stream) for stream in streams]
    return {name: round(float(np.mean([one[name] for one in measured])), 4) for name in measured[0]}


def _measure_one(stream: Labelled) -> dict[str, float]:
    told, labels = _ask(stream), stream.labels()
    fields = stream.values.shape[1]

    def volume(score: Floats) -> float:
        return vus_pr(score[SKIPPED:], labels[SKIPPED:], BUFFER)

    of_fields = np.array([record for name, records in told.alerts.items() if name != JOINT for record in records], int)
    of_all = np.concatenate([of_fields, np.array(told.alerts[JOINT], int)])
    recall, false_alarms = zip(*(_detected(stream, alerts) for alerts in (of_fields, of_all)), strict=True)
    return {
        "VUS-PR event, fields": volume(combine_lanes(told.score[:, :fields])),
        "VUS-PR event, joint": volume(combine_lanes(told.score)),
        "VUS-PR segment, fields": volume(average_lanes(told.segment[:, :fields], fields)),
        "VUS-PR segment, joint": volume(average_lanes(told.segment, fields)),
        "VUS-PR, PCA error": volume(_pca_error(stream.values)),
        "VUS-PR, HalfSpaceTrees": volume(_half_space_trees(stream.values)),
        "recall, fields": recall[0],
        "recall, joint": recall[1],
        "false alarms, fields": false_alarms[0],
        "false alarms, joint": false_alarms[1],
    }


def _detected(stream: Labelled, alerts: NDArray[np.int64]) -> tuple[float, float]:
    """Part of the anomalies with an alert, and false alarms per 1,000 records."""
    found = [((alerts >= first) & (alerts <= last + 10)).any() for first, last in stream.windows]
    of_none = np.ones(len(alerts), np.bool_)
    for first, last in stream.windows:
        of_none &= (alerts < first) | (alerts > last + AFTER)
    return float(np.mean(found)), float(of_none.sum()) / len(stream.time_us) * RISK_POINTS


def _false_alarms(fields: int, count: int, risk: float) -> dict[str, float]:
    """Episodes per 1,000 points of fields and of joint lanes, where nothing is wrong."""
    alarms, points = np.zeros(2, int), np.zeros(2, int)
    for one in range(count):
        told = _ask(make_stream([fields, 100, one], fields), risk)
        joint = told.opened[JOINT]
        alarms += sum(told.opened.values()) - joint, joint
        points += np.isfinite(told.score[:, :fields]).sum(), np.isfinite(told.score[:, fields]).sum()
    rates = np.round(alarms / points * RISK_POINTS, 4)
    return {"fields": rates[0], "joint": rates[1], "joint_alarms": int(alarms[1])}


def _pca_error(values: Floats) -> Floats:
    """Squared error of records outside the main components, which hold nine tenths of the first records' variance."""
    first = values[:_PCA_TRAINED]
    scaled = (values - first.mean(axis=0)) / first.std(axis=0)
    variances, components = np.linalg.svd(scaled[:_PCA_TRAINED], full_matrices=False)[1:]
    parts = np.cumsum(variances**2) / (variances**2).sum()
    main = components[: min(int(np.searchsorted(parts, _PCA_VARIANCE)) + 1, len(components) - 1)]
    error: Floats = ((scaled - scaled @ main.T @ main) ** 2).mean(axis=1)
    return error


def _half_space_trees(values: Floats) -> Floats:
    """river's, with its defaults but 10 trees; values are scaled by the range so far, as it wants them in [0, 1]."""
    model, score = HalfSpaceTrees(n_trees=10, seed=1), np.zeros(len(values))
    low, high = np.minimum.accumulate(values), np.maximum.accumulate(values)
    scaled = np.where(high > low, (values - low) / np.where(high > low, high - low, 1.0), 0.5)
    for n, record in enumerate(scaled.tolist()):
        point = dict(enumerate(record))
        score[n] = model.score_one(point)
        model.learn_one(point)
    return score
