"""A joint network beside the shipped one, as it is and tuned, on made-up plants whose fields hang together.

A *plant* is a key of 3 to 8 fields. Its fields follow two latent factors, a slow daily one and a quick one, each by
loadings of its own, with a little noise of its own; the second field follows the first some records later. Plants of
one kind have nearly the same loadings. Networks are fitted to fault-free histories and measured on other noise with
faults.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.detector import Detector
from detectors.examples import Examples
from detectors.network import HORIZONS, Network
from detectors.profiles import PROFILES
from detectors.series import Series, Track, joint_series, lane_series
from detectors.thresholds import ThresholdTable, make_decision
from detectors.training import TrainingConfig, judge_forecasts
from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.cli.fitting import CONTEXT
from pipeline.cli.trainings import SCRATCH_RATE, TUNING_RATE
from pipeline.config import DEFAULT_RISK
from pipeline.engine import EngineConfig, PartitionEngine
from pipeline.episodes import Origin
from pipeline.evaluation.measures import StreamResult, describe_streams, measure
from pipeline.evaluation.scoring import score_stream
from pipeline.labelled import LabelledStream
from pipeline.records import Batch
from pipeline.training.fit import FitConfig, fit
from pipeline.training.history import History
from tests.benchmarks.engine import NoSpill

Floats = NDArray[np.float64]

FIELDS = (3, 5, 8)
PLANTS, HISTORY, TESTED, WARM = 6, 6000, 5000, 1500
START_US, INTERVAL_US = 1_700_006_400_000_000, 300_000_000
FAULTS = ("decoupled", "lag", "flipped", "spike", "shift")
LAG = 6


@dataclass(frozen=True, slots=True)
class Kind:
    """What plants of a kind have in common.

    Attributes:
        loadings: (fields, 2) of the slow and of the quick factor.
        noise: (fields,) standard deviation of each field's own.
        scale, offset: (fields,) units of each.
    """

    loadings: Floats
    noise: Floats
    scale: Floats
    offset: Floats


@dataclass(slots=True)
class Plant:
    """Records of a key, and what is wrong with them by kind of fault.

    Attributes:
        values: (n, fields).
        windows: (first, last) record of each fault, by kind.
    """

    values: Floats
    windows: dict[str, list[tuple[int, int]]] = field(default_factory=dict)


def make_kind(rng: np.random.Generator, fields: int) -> Kind:
    """A kind of plants."""
    loadings = rng.normal(size=(fields, 2))
    loadings += 0.5 * np.sign(loadings)  # every field follows both factors
    return Kind(loadings, rng.uniform(0.1, 0.25, fields), 10.0 ** rng.uniform(-1, 2, fields), rng.normal(0, 50, fields))


def make_plant(rng: np.random.Generator, kind: Kind, count: int, *, faulty: bool) -> Plant:
    """A plant of a kind; faults begin behind the first `WARM` records, one of each kind and one more decoupled."""
    loadings = kind.loadings * rng.uniform(0.9, 1.1, kind.loadings.shape)
    factors = _factors(rng, count + 100)
    clean = factors @ loadings.T
    lagging = clean.copy()
    lagging[:, 1] = np.roll(clean[:, 0], LAG) * loadings[1, 0] / loadings[0, 0]
    values = lagging + kind.noise * rng.normal(size=clean.shape)
    plant = Plant(values)
    if faulty:
        _disturb(rng, plant, loadings, factors, clean)
    plant.values = plant.values[100:] * kind.scale + kind.offset
    plant.windows = {
        name: [(first - 100, last - 100) for first, last in spans] for name, spans in plant.windows.items()
    }
    return plant


def _factors(rng: np.random.Generator, count: int) -> Floats:
    """(count, 2): a daily cycle with a slow wander; a quick one that forgets within some ten records."""
    day = 2 * np.pi * np.arange(count) / 288 + rng.uniform(0, 2 * np.pi)
    slow, quick = np.zeros(count), np.zeros(count)
    noise = rng.normal(size=(count, 2))
    for n in range(1, count):
        slow[n] = 0.995 * slow[n - 1] + 0.1 * noise[n, 0]
        quick[n] = 0.9 * quick[n - 1] + 0.436 * noise[n, 1]
    return np.stack([np.sin(day) + 0.5 * slow, quick], axis=1)


def _disturb(rng: np.random.Generator, plant: Plant, loadings: Floats, factors: Floats, clean: Floats) -> None:
    """Put faults into the plant's values, in place."""
    values, (count, fields) = plant.values, plant.values.shape
    kinds = rng.permutation([*FAULTS, "decoupled"])
    starts = np.linspace(WARM + 300, count - 500, len(kinds)).astype(np.int64) + rng.integers(0, 200, len(kinds))
    others = _factors(rng, count)
    for name, start in zip(kinds.tolist(), starts.tolist(), strict=True):
        at = slice(start, start + int(rng.integers(60, 150)))
        place = int(rng.integers(2, fields)) if name in ("decoupled", "flipped") else int(rng.integers(fields))
        own = values[at, place] - clean[at, place]  # its noise
        match name:
            case "decoupled":
                values[at, place] = (factors[at, 0] * loadings[place, 0] + others[at, 1] * loadings[place, 1]) + own
            case "flipped":
                values[at, place] = (factors[at, 0] * loadings[place, 0] - factors[at, 1] * loadings[place, 1]) + own
            case "lag":
                values[at, 1] += (np.roll(clean[:, 0], 4 * LAG) - np.roll(clean[:, 0], LAG))[at] * (
                    loadings[1, 0] / loadings[0, 0]
                )
            case "spike":
                at = slice(start, start + 3)
                values[at, place] += 5 * rng.choice((-1, 1)) * values[:, place].std()
            case _:
                values[at, place] += 2.5 * rng.choice((-1, 1)) * values[:, place].std()
        plant.windows.setdefault(name, []).append((start, at.stop - 1))


def times(count: int) -> NDArray[np.int64]:
    """Event times, five minutes apart."""
    return START_US + INTERVAL_US * np.arange(count)


def labelled(plant: Plant, name: str, kind: str | None = None) -> LabelledStream:
    """A plant with the labels of one kind of fault, or of all."""
    count, fields = plant.values.shape
    time_us, is_anomaly = times(count), np.zeros(count, np.bool_)
    spans = [span for each, spans in plant.windows.items() if kind in (None, each) for span in spans]
    for first, last in spans:
        is_anomaly[first : last + 1] = True
    windows = np.array(sorted((time_us[first], time_us[last]) for first, last in spans), np.int64).reshape(-1, 2)
    return LabelledStream(name, names(fields), time_us, plant.values, is_anomaly, windows, WARM)


def names(fields: int) -> tuple[str, ...]:
    """Names of so many fields."""
    return tuple(f"f{place}" for place in range(fields))


@dataclass(frozen=True, slots=True)
class Engines:
    """Engines of a network; fulfils `pipeline.evaluation.scoring.Engines`."""

    network: Network

    @contextmanager
    def __call__(self, stream: str, fields: tuple[str, ...]) -> Iterator[PartitionEngine]:
        """See there."""
        table = load_bundle(shipped_bundle_path()).manifest.calibration["balanced"]
        decision = make_decision(ThresholdTable(**table), DEFAULT_RISK)
        detector = Detector(self.network, PROFILES["balanced"], decision)
        yield PartitionEngine(detector, EngineConfig(joint=False), fields, Origin("benchmark", stream, "b"), NoSpill())


def remember(plants: Sequence[Plant], network: Network) -> History:
    """The history of plants, as the engine of a network saw it."""
    history = History(10_000_000, 1000)
    with Engines(network)("history", names(plants[0].values.shape[1])) as engine:
        for place, plant in enumerate(plants):
            count = len(plant.values)
            batch = Batch(
                [f"plant {place}"], np.zeros(count, np.int32), times(count), plant.values, np.arange(count) + 1
            )
            history.add(engine.process(batch).verdicts, ())
    history.publish()
    return history


def run() -> dict[str, Any]:
    """Figures by number of fields and network."""
    return {"by_fields": {str(fields): _compare(fields) for fields in FIELDS}, "plants": PLANTS, "history": HISTORY}


def _compare(fields: int) -> dict[str, Any]:
    prior = load_bundle(shipped_bundle_path()).network
    rng = np.random.default_rng([11, fields])
    kind = make_kind(rng, fields)
    history = remember([make_plant(rng, kind, HISTORY, faulty=False) for _ in range(PLANTS)], prior)
    tested = [make_plant(rng, kind, TESTED, faulty=True) for _ in range(PLANTS)]
    calm = [make_plant(rng, kind, TESTED, faulty=False) for _ in range(PLANTS)]
    figures = {}
    for name, config, start in _candidates(prior, fields):
        began = time.process_time()
        network = prior if config is None else _fitted(history, config, start)
        seconds = time.process_time() - began
        figures[name] = {"trained_s": round(seconds), **_measure(network, tested, calm)}
    return figures


def _candidates(prior: Network, fields: int) -> list[tuple[str, TrainingConfig | None, Network | None]]:
    return [
        ("shared, as shipped", None, None),
        (
            "shared, tuned",
            TrainingConfig(context=CONTEXT, steps=1500, peak_rate=TUNING_RATE, patience=8, device="cpu"),
            prior,
        ),
        (
            "joint",
            TrainingConfig(
                context=CONTEXT, steps=1500, peak_rate=SCRATCH_RATE, patience=8, fields=names(fields), device="cpu"
            ),
            None,
        ),
    ]


def _fitted(history: History, config: TrainingConfig, start: Network | None) -> Network:
    return fit(history, FitConfig(config), start, clock=time.monotonic, progress=lambda _report: None).network


def _measure(network: Network, tested: Sequence[Plant], calm: Sequence[Plant]) -> dict[str, Any]:
    results = [_result(network, plant, f"tested {place}") for place, plant in enumerate(tested)]
    quiet = describe_streams([_result(network, plant, f"calm {place}") for place, plant in enumerate(calm)])
    described = describe_streams(results)
    by_kind = {
        kind: [_result_of_kind(result, plant, kind) for result, plant in zip(results, tested, strict=True)]
        for kind in FAULTS
    }
    points = sum(plant.values[WARM:].size for plant in calm)
    return {
        "loss": _losses(network, calm),
        "vus_pr": {name: described[name]["vus_pr"] for name in ("event", "segment")},
        "vus_pr_by_fault": {
            kind: {name: describe_streams(some)[name]["vus_pr"] for name in ("event", "segment")}
            for kind, some in by_kind.items()
        },
        "recall": described["detection"]["recall"],
        "recall_by_fault": {kind: describe_streams(some)["detection"]["recall"] for kind, some in by_kind.items()},
        "false_alarms": described["detection"]["false_alarms"],
        "calm_alarms_per_1000": round(1000 * quiet["detection"]["false_alarms"] / points, 3),
        "points_per_s": described["points_per_s"],
        "bytes_per_lane": described["bytes_per_lane"],
    }


def _result(network: Network, plant: Plant, name: str) -> StreamResult:
    stream = labelled(plant, name)
    scores = score_stream(stream, Engines(network), clock=time.process_time, micro_batch=10_000)
    return measure(stream, scores)


def _result_of_kind(result: StreamResult, plant: Plant, kind: str) -> StreamResult:
    """The measures with one kind of fault labelled, of the records that are of no other."""
    stream, everything = labelled(plant, result.name, kind), result.is_anomaly
    kept = stream.is_anomaly | ~everything
    kept[:WARM] = True
    cut = LabelledStream(
        stream.name, stream.fields, stream.time_us[kept], stream.values[kept], stream.is_anomaly[kept],
        stream.windows, WARM,
    )  # fmt: skip
    scores = result.scores
    inside = np.isin(scores.alerts_us, stream.time_us[kept])
    return measure(
        cut,
        type(scores)(
            {name: score[kept] for name, score in scores.scores.items()},
            scores.alert_score[kept], scores.alerts_us[inside], scores.points, scores.scoring_s, scores.bytes_per_lane,
        ),
    )  # fmt: skip


def _losses(network: Network, plants: Sequence[Plant]) -> dict[int, float]:
    """Loss by horizon on fault-free plants behind their first records, each field counting the same."""
    series: list[Series] = []
    for plant in plants:
        count, fields = plant.values.shape
        step, nothing = np.arange(count), np.zeros(count, np.bool_)
        tracks = [
            Track(np.ascontiguousarray(plant.values[:, place]), times(count), step, nothing) for place in range(fields)
        ]
        series += (
            [joint_series(tracks, count, HORIZONS)]
            if network.is_joint
            else [lane_series(track, HORIZONS) for track in tracks]
        )
    inputs, targets = np.stack([one.inputs for one in series]), np.stack([one.targets for one in series])
    targets[:, :WARM] = np.nan
    return judge_forecasts(network, Examples(inputs, targets))


def tables(figures: dict[str, Any]) -> list[tuple[str, list[str], list[list[str]]]]:
    """(title, columns, rows) of each."""
    losses, detection, faults = [], [], []
    for fields, by_network in figures["by_fields"].items():
        for name, found in by_network.items():
            head = [fields, name]
            losses.append([*head, *(f"{found['loss'][horizon]:.2f}" for horizon in HORIZONS), f"{found['trained_s']}"])
            vus_pr = [f"{found['vus_pr'][read_out]:.3f}" for read_out in ("event", "segment")]
            counted = [f"{found['recall']:.2f}", f"{found['false_alarms']}", f"{found['calm_alarms_per_1000']:.2f}"]
            detection.append([*head, *vus_pr, *counted, f"{found['points_per_s']:,}", f"{found['bytes_per_lane']:,}"])
            of_kind = found["vus_pr_by_fault"]
            faults.append(
                [*head, *(f"{of_kind[kind]['event']:.2f} / {of_kind[kind]['segment']:.2f}" for kind in FAULTS)]
            )
    head = ["fields", "network"]
    return [
        ("Forecast loss by steps ahead, fault-free plants", [*head, *map(str, HORIZONS), "trained, s"], losses),
        (
            "Detection at the default risk",
            [*head, "VUS-PR event", "segment", "recall", "false alarms", "per 1,000, calm", "points/s", "bytes a lane"],
            detection,
        ),
        ("VUS-PR by fault, event / segment", [*head, *FAULTS], faults),
    ]


def shortfalls(figures: dict[str, Any]) -> list[str]:  # noqa: ARG001
    """None: it tells which network is better for what, and promises nothing."""
    return []
