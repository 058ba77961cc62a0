"""Runs of the engine with given settings over a part of a history, in several processes."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pipeline.evaluation.processes import each_done, scoring_pool
from pipeline.evaluation.scoring import Engines, alerts_told
from pipeline.tuning.disturb import Disturbed
from pipeline.tuning.history import Recording
from pipeline.tuning.measures import Alarms, PartMeasures, measure_part

Settings = Mapping[str, Any]
"""Values by dotted key of the configuration, such as 'detector.risk'."""


class EnginesFor(Protocol):
    """Makes engines with given settings. It goes to other processes, so it can be pickled."""

    def __call__(self, settings: Settings) -> Engines:
        """Engines as a replay with these settings makes them."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What settings are tried on.

    Attributes:
        recordings: as they were recorded.
        disturbed: copies with faults; none where there are labels.
    """

    recordings: tuple[Recording, ...]
    disturbed: tuple[Disturbed, ...] = ()

    @property
    def runs(self) -> tuple[Recording, ...]:
        """Everything that the engine takes for one trial."""
        return (*self.recordings, *(copy.recording for copy in self.disturbed))

    @property
    def points(self) -> int:
        """Of all runs."""
        return sum(recording.points for recording in self.runs)


class Runner:
    """Tries settings on parts; see `running`.

    Args:
        engines_for: what is tried.
        micro_batch: records taken at a time; it changes nothing that is found.
        pool: of scoring processes; None scores in this one.
    """

    def __init__(self, engines_for: EnginesFor, micro_batch: int, pool: ProcessPoolExecutor | None) -> None:
        self._engines_for = engines_for
        self._micro_batch = micro_batch
        self._pool = pool

    def measure(self, part: Part, settings: Settings, observe: Callable[[int], None]) -> PartMeasures:
        """What the settings come to on a part, whatever the number of processes.

        Args:
            part: what they are tried on.
            settings: differences from what is configured.
            observe: told the points of each run when it is done, in any order; what it raises ends the trial.

        Raises:
            DriftlineError: a process that ended by itself.
        """
        runs = part.runs
        found: dict[int, Alarms] = {}
        for index, alarms in self._run(runs, settings):
            found[index] = alarms
            observe(runs[index].points)
        told = [found[index] for index in range(len(runs))]
        plain = len(part.recordings)
        return measure_part(part.recordings, told[:plain], part.disturbed, told[plain:])

    def _run(self, runs: tuple[Recording, ...], settings: Settings) -> Iterator[tuple[int, Alarms]]:
        engines = self._engines_for(settings)
        largest_first = sorted(range(len(runs)), key=lambda index: -runs[index].points)
        if self._pool is None:
            for index in largest_first:
                yield index, alarms_of(runs[index], engines, self._micro_batch)
            return
        futures: dict[Future[Alarms], int] = {
            self._pool.submit(alarms_of, runs[index], engines, self._micro_batch): index for index in largest_first
        }
        try:
            yield from each_done(futures)
        finally:
            for future in futures:
                future.cancel()


@contextmanager
def running(engines_for: EnginesFor, micro_batch: int, jobs: int, prepare: Callable[[], object]) -> Iterator[Runner]:
    """A runner within the block.

    Args:
        engines_for: what is tried.
        micro_batch: records taken at a time.
        jobs: scoring processes; with 1 there is none but this.
        prepare: called first in each process; from a module that imports nothing compiled.
    """
    if jobs <= 1:
        yield Runner(engines_for, micro_batch, None)
        return
    with scoring_pool(jobs, prepare) as pool:
        yield Runner(engines_for, micro_batch, pool)


def alarms_of(recording: Recording, engines: Engines, micro_batch: int) -> Alarms:
    """Alarms of a fresh engine that takes a recording, in order and once."""
    number = {key: code for code, key in enumerate(recording.keys)}
    told: list[tuple[int, int]] = []
    with engines(recording.name, recording.fields) as engine:
        for batch in recording.batches(micro_batch):
            told += [(number[anomaly.key], row) for row, anomaly in alerts_told(engine.process(batch))]
    key, row = np.array(told, np.int64).reshape(-1, 2).T
    return Alarms(key.copy(), row.copy())
