"""What settings are worth on a part of a history: alarms against labels, or against faults put in."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.evaluation.detection import LaneAlerts, LaneOutcome, judge
from detectors.evaluation.nab import NabFile
from pipeline.tuning.disturb import Disturbed
from pipeline.tuning.history import Recording

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Alarms:
    """Alarms of one run over a recording: episodes opened or worsened.

    Attributes:
        key: (a,) int64, stream of each.
        row: (a,) int64, record with which each was told.
    """

    key: Ints
    row: Ints

    def rows_of(self, recording: Recording, key: int) -> Ints:
        """Rows of the alarms of a stream that count."""
        rows: Ints = self.row[(self.key == key) & (self.row >= recording.measured_from[key])]
        return rows


@dataclass(frozen=True, slots=True)
class FaultOutcome:
    """What became of a fault put in.

    Attributes:
        stream: name of its stream.
        kind, size: of the fault.
        delay_s: from its first record to the alarm; None where there was none.
    """

    stream: str
    kind: str
    size: float
    delay_s: float | None


@dataclass(frozen=True, slots=True, eq=False)
class PartMeasures:
    """What settings came to on a part.

    Attributes:
        outcomes: of each stream as it was recorded, its labelled windows against its alarms.
        faults: what became of each fault put in.
        nab: each stream as a file of the Numenta Anomaly Benchmark, where there are labels.
    """

    outcomes: tuple[LaneOutcome, ...]
    faults: tuple[FaultOutcome, ...]
    nab: tuple[NabFile, ...]


def measure_part(
    recordings: Sequence[Recording], alarms: Sequence[Alarms], disturbed: Sequence[Disturbed], found: Sequence[Alarms]
) -> PartMeasures:
    """What a part came to.

    Args:
        recordings: the part.
        alarms: of each recording.
        disturbed: copies with faults.
        found: alarms of each copy.
    """
    outcomes, nab = [], []
    for recording, told in zip(recordings, alarms, strict=True):
        for key in range(len(recording.keys)):
            rows = recording.rows_of(key)
            if len(rows):
                outcomes.append(_outcome(recording, key, rows, told))
                nab += _nab_file(recording, key, rows, told)
    faults = [
        outcome
        for copy, told in zip(disturbed, found, strict=True)
        for outcome in _fault_outcomes(copy, told, alarms[copy.original])
    ]
    return PartMeasures(tuple(outcomes), tuple(faults), tuple(nab))


def _outcome(recording: Recording, key: int, rows: Ints, told: Alarms) -> LaneOutcome:
    time_us = recording.time_us[rows]
    return judge(
        LaneAlerts(
            recording.keys[key],
            int(time_us.min()),
            int(time_us.max()),
            recording.time_us[told.rows_of(recording, key)],
            recording.windows[key],
            len(recording.fields),
        )
    )


def _nab_file(recording: Recording, key: int, rows: Ints, told: Alarms) -> list[NabFile]:
    """The measured rows, 1 where an alarm was told; none where nothing is labelled."""
    if not any(len(windows) for windows in recording.windows):
        return []
    score = np.isin(rows, told.rows_of(recording, key)).astype(np.float64)
    return [NabFile(recording.keys[key], recording.time_us[rows], score, recording.windows[key])]


def _fault_outcomes(copy: Disturbed, told: Alarms, usual: Alarms) -> list[FaultOutcome]:
    """An alarm that was told at the very same record without any fault is not of the fault."""
    outcomes = []
    for fault in copy.faults:
        rows = np.setdiff1d(told.rows_of(copy.recording, fault.key), usual.rows_of(copy.recording, fault.key))
        within = rows[(rows >= fault.first) & (rows <= fault.last)]
        delay_s = None
        if len(within):
            delay_s = float(copy.recording.time_us[within[0]] - copy.recording.time_us[fault.first]) / 1e6
        outcomes.append(FaultOutcome(copy.recording.keys[fault.key], fault.kind, fault.size, delay_s))
    return outcomes
