"""Whether a network that is fitted to a history full of incidents, which nobody has labelled, finds the next as well.

Fault-free streams of the demonstration's fleet are a history and what comes next. A fault of any kind and size is put
into a tenth of the windows of the history, and of what comes next. `driftline train` is run on the history as it was,
and on the poisoned one. Then the engine goes through the fault-free history and what comes next, by the shipped network
and by both: what is without faults tells alarms and threshold, what has faults the share of them that is found. In a
second comparison the lanes themselves have lived through the poisoned history, so that their tails are poisoned too.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.faults import KINDS, Fault, disturb, shows, value_range
from detectors.network import Network
from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.cli import run as run_command
from pipeline.config import DEFAULT_RISK
from pipeline.records import Batch
from tests.benchmarks.cold_start import streams
from tests.benchmarks.joint import INTERVAL_US, START_US, Engines

Floats = NDArray[np.float64]
WINDOW, SHARE = 100, 0.1
"""Points of a window, and the share of windows with an incident."""
WITHIN = 0.02
"""By which threshold and recall may be worse."""
LANES, HISTORY, NEXT, SEEDS = 48, 3000, 3000, (1, 2, 3)
OPTIONS = ("--steps", "400")


@dataclass(frozen=True, slots=True)
class Incidents:
    """Streams with faults.

    Attributes:
        values: (lanes, points).
        faults: lane of each, and the fault, its rows cut where its window ends.
    """

    values: Floats
    faults: list[tuple[int, Fault]]


def poison(values: Floats, share: float, rng: np.random.Generator) -> Incidents:
    """The streams with a fault in a share of their windows, each over where its window is."""
    spoilt, faults = values.copy(), list[tuple[int, Fault]]()
    for lane, row in enumerate(values):
        extent = value_range(row)
        windows = np.arange(WINDOW, len(row) - WINDOW + 1, WINDOW)
        chosen = rng.permutation(windows)[: max(round(share * len(windows)), 1)]
        for first in chosen.tolist():
            while True:
                after, fault = disturb(row, str(rng.choice(KINDS)), first + int(rng.integers(0, 40)), extent, rng)
                if shows(row, after, fault, extent):
                    break
            spoilt[lane, first : first + WINDOW] = after[first : first + WINDOW]
            stop = min(fault.stop, first + WINDOW)
            faults.append((lane, Fault(fault.kind, fault.start, stop, fault.size)))
    return Incidents(spoilt, faults)


def write_history(path: Path, values: Floats) -> Path:
    """The streams as a file that the command reads."""
    lanes, points = values.shape
    stamps = (START_US + INTERVAL_US * np.arange(points)) // 1_000_000
    lines = [f"{stamps[n]},k{lane},{values[lane, n]!r}\n" for n in range(points) for lane in range(lanes)]
    path.write_text("time,key,value\n" + "".join(lines).replace("np.float64(", "").replace(")", ""))
    return path


def train(folder: Path, name: str, values: Floats, options: Sequence[str]) -> Network:
    """The network that the command fits to a history."""
    source, out = write_history(folder / f"{name}.csv", values), folder / name
    command = ["train", str(source), "--key-field", "key", "--out", str(out), "--device", "cpu", "--quiet", *options]
    if (status := run_command(command)) != 0:
        raise AssertionError(f"found status {status} of the training; expected 0")
    return load_bundle(out).network


def watch(network: Network, past: Floats, coming: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Floats]:
    """What a service that lived through the past says of what comes: flagged, episode opens, score; (lanes, points)."""
    values = np.concatenate([past, coming], axis=1)
    lanes, points = values.shape
    flagged, opens = np.zeros((lanes, points), np.bool_), np.zeros((lanes, points), np.bool_)
    scores = np.zeros((lanes, points))
    names = [f"k{lane}" for lane in range(lanes)]
    with Engines(network)("poisoned", ("value",)) as engine:
        for first in range(0, points, 200):
            part = values[:, first : first + 200]
            count = part.shape[1]
            batch = Batch(
                names, np.tile(np.arange(lanes, dtype=np.int32), count),
                np.repeat(START_US + INTERVAL_US * (first + np.arange(count)), lanes), part.T.reshape(-1, 1),
                first * lanes + np.arange(count * lanes) + 1,
            )  # fmt: skip
            for table in engine.process(batch).verdicts:
                lane = np.array([int(name[1:]) for name in table.key_names])[table.key]
                at = (table.time_us - START_US) // INTERVAL_US
                flagged[lane, at] = table.is_anomaly
                opens[lane, at] = table.is_anomaly & (table.episode == table.position)
                scores[lane, at] = np.nan_to_num(table.score)
    behind = slice(past.shape[1], None)
    return flagged[:, behind], opens[:, behind], scores[:, behind]


def judge(network: Network, past: Floats, coming: Floats, incidents: Incidents) -> dict[str, float]:
    """Alarms per 1,000 fault-free points, the score that so few reach as the risk says, and the recall of incidents."""
    _, opens, scores = watch(network, past, coming)
    flagged, _, _ = watch(network, past, incidents.values)
    found = [flagged[lane, fault.start : fault.stop].any() for lane, fault in incidents.faults]
    return {
        "alarms_per_1000": 1000 * float(opens.mean()),
        "threshold": float(np.quantile(scores, 1 - DEFAULT_RISK / 1000)),
        "recall": float(np.mean(found)),
    }


def compare(seed: int, lanes: int, history: int, coming: int, options: Sequence[str]) -> dict[str, Any]:
    """Figures by network, of lanes that lived through the fault-free history, and through the poisoned one."""
    rng = np.random.default_rng([28, seed])
    values = streams(seed, lanes, history + coming)
    past, following = values[:, :history], values[:, history:]
    poisoned, incidents = poison(past, SHARE, rng), poison(following, SHARE, rng)
    with tempfile.TemporaryDirectory() as name:
        networks = {
            "shipped": load_bundle(shipped_bundle_path()).network,
            "clean": train(Path(name), "clean", past, options),
            "poisoned": train(Path(name), "poisoned", poisoned.values, options),
        }
    return {
        "incidents": len(incidents.faults),
        "networks": {kind: judge(network, past, following, incidents) for kind, network in networks.items()},
        "lanes": judge(networks["poisoned"], poisoned.values, following, incidents),
    }


def run() -> dict[str, Any]:
    """Means over the seeds."""
    found = [compare(seed, LANES, HISTORY, NEXT, OPTIONS) for seed in SEEDS]

    def mean(*path: str) -> float:
        values: list[Any] = list(found)
        for key in path:
            values = [value[key] for value in values]
        return float(np.mean(values))

    measures = ("alarms_per_1000", "threshold", "recall")
    return {
        "incidents": sum(each["incidents"] for each in found),
        "networks": {
            kind: {measure: mean("networks", kind, measure) for measure in measures}
            for kind in ("shipped", "clean", "poisoned")
        },
        "lanes": {measure: mean("lanes", measure) for measure in measures},
        "by_seed": found,
        "within": WITHIN,
    }


def rows(figures: dict[str, Any]) -> list[list[str]]:
    """Of the table."""
    told = {
        "as shipped": figures["networks"]["shipped"],
        "fitted to the fault-free history": figures["networks"]["clean"],
        "fitted to the poisoned history": figures["networks"]["poisoned"],
        "likewise, lanes poisoned too": figures["lanes"],
    }
    return [
        [name, f"{found['alarms_per_1000']:.3f}", f"{found['threshold']:.3f}", f"{found['recall']:.3f}"]
        for name, found in told.items()
    ]


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """What is worse for the poison in the training by more than is promised."""
    clean, poisoned = figures["networks"]["clean"], figures["networks"]["poisoned"]
    short = []
    if poisoned["threshold"] > clean["threshold"] * (1 + WITHIN):
        short.append(f"threshold {poisoned['threshold']:.3f} for the poison, {clean['threshold']:.3f} without")
    if poisoned["recall"] < clean["recall"] * (1 - WITHIN):
        short.append(f"recall {poisoned['recall']:.3f} for the poison, {clean['recall']:.3f} without")
    return short
