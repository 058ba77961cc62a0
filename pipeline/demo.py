"""What the demonstration replays: a real stream that comes with river, and a fleet of streams with known faults."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from detectors.fleet import FAULTS, FaultLabel, make_fleet
from pipeline.adapters.claims import claim_directory
from pipeline.evaluation import read_lanes

SEED = 7
_MARK = ".driftline-demo"


@dataclass(frozen=True, slots=True)
class FaultRow:
    """How one kind of fault was dealt with; the delay is None where none was found."""

    fault: str
    labelled: int
    found: int
    median_delay_s: float | None


def claim(directory: Path) -> None:
    """Make `directory` the demonstration's own, which it may write over.

    Raises:
        ConfigError: it holds something else.
    """
    claim_directory(directory, _MARK, "a demonstration", overwrite=True)


def write_water_flow(directory: Path) -> Path:
    """The hourly flow through a water main over two months, as a CSV file in `directory`."""
    from river.datasets import WaterFlow  # noqa: PLC0415  slow to import, and of use here alone

    directory.mkdir(exist_ok=True)
    return Path(shutil.copyfile(WaterFlow().path, directory / "water-flow.csv"))


def write_fleet(directory: Path, lanes: int) -> tuple[Path, Path, tuple[FaultLabel, ...]]:
    """Records and labels of a fleet as CSV files in `directory`, and its faults.

    Raises:
        ValueError: too few lanes.
    """
    fleet = make_fleet(SEED, lanes)
    directory.mkdir(exist_ok=True)
    records, labels = directory / "input.csv", directory / "labels.csv"
    key = pa.DictionaryArray.from_arrays(fleet.key_codes, pa.array(fleet.key_names)).cast(pa.string())
    csv.write_csv(pa.table({"time": _times(fleet.time_us), "key": key, "value": fleet.values}), records)
    columns = {
        "key": [label.key for label in fleet.labels],
        "start": _times([label.start_us for label in fleet.labels]),
        "end": _times([label.end_us for label in fleet.labels]),
        "fault": [label.fault for label in fleet.labels],
    }
    csv.write_csv(pa.table(columns), labels)
    return records, labels, fleet.labels


def found_by_fault(directory: Path, labels: Sequence[FaultLabel]) -> list[FaultRow]:
    """For each kind of fault, how many of them the replay in `directory` raised an alarm within, and how late."""
    alerts_us = {lane.key: np.sort(lane.alerts_us) for lane in read_lanes(directory)}
    rows = []
    for fault in FAULTS:
        own = [label for label in labels if label.fault == fault]
        delays = []
        for label in own:
            alerts = alerts_us.get(label.key, np.empty(0, np.int64))
            within = alerts[(alerts >= label.start_us) & (alerts <= label.end_us)]
            delays += [(within[0] - label.start_us) / 1e6] if len(within) else []
        rows.append(FaultRow(fault, len(own), len(delays), float(np.median(delays)) if delays else None))
    return rows


def _times(time_us: object) -> pa.Array:
    return pa.array(np.asarray(time_us, np.int64), pa.timestamp("us", "UTC"))
