"""The engine of one partition: records in; verdicts, anomalies and counts out.

    records --lanes--> points --windows--> steps --detector--> verdicts --episodes--> anomalies
                                                 joint lanes <--+  ^
                                                      +--detector--+

It is deterministic: the same records in the same order give the same bits, however they are cut into batches, and from
any state that `save` gave. Replay and the live service run this very class.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.accounting import Counts, count_batch
from pipeline.episodes import Origin, grade
from pipeline.interfaces import Spill
from pipeline.joint import Scored, Walks, walk_fields, walk_with_joint
from pipeline.lane_detector import LaneDetector
from pipeline.lanes import LaneTable
from pipeline.outcomes import Outcome, join_outcomes
from pipeline.records import Batch, Disposition, KeyedRows
from pipeline.reporting import Reporter
from pipeline.residuals import measure_residuals
from pipeline.rows import lanes_of_key, row_type
from pipeline.silence import SilenceClock, SilenceEvents, SilenceRule, watch
from pipeline.tabulating import Tabulator
from pipeline.windows import (
    CountWindows,
    PartitionClock,
    Points,
    Steps,
    WindowSpec,
    assign,
    place_empty,
    points_of,
    steps_before,
)

__all__ = ["EngineConfig", "EngineState", "Job", "Outcome", "PartitionEngine"]


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """How a partition is processed.

    Attributes:
        windows: which windows its points go through.
        silence: when a lane is silent.
        provisional_points: points of a lane until which its verdicts are provisional.
        max_state_bytes: hard budget for the lanes' state.
        joint: whether keys with several fields have a joint lane.
    """

    windows: WindowSpec = field(default_factory=CountWindows)
    silence: SilenceRule = field(default_factory=SilenceRule)
    provisional_points: int = 1000
    max_state_bytes: int = 2**30
    joint: bool = True


@dataclass(frozen=True, slots=True)
class Job:
    """A micro-batch on its way through an engine; `run` once, then `finish`.

    Attributes:
        run: what takes long; for the most part it leaves the interpreter's lock to others, and may run on any thread.
        finish: gives what came of it.
    """

    run: Callable[[], None]
    finish: Callable[[], Outcome]


@dataclass(frozen=True, slots=True)
class EngineState:
    """Everything an engine remembers; see `PartitionEngine.save`."""

    arrays: dict[str, NDArray[Any]]
    keys: list[str]
    spilled: Iterable[tuple[str, bytes]]
    clocks: dict[str, dict[str, int]]


class PartitionEngine:
    """All lanes of one partition, and what happens to its records.

    Args:
        detector: scores the points.
        config: windows and budgets.
        fields: names of the fields of a record.
        origin: named in every anomaly.
        spill: takes evicted lanes.
        past: rows that keys begin with, as an engine of the same kind has left them; None where all begin anew.

    Attributes:
        fields, origin: as given.
        lane_names: of the lanes of a key that are scored: its fields, and its joint lane if it has one and the detector
            can score it.

    Raises:
        ValueError: the budget has no room for one key, or too many fields, or one with the name of the joint lane, or
            fields that the detector cannot score.
    """

    def __init__(
        self,
        detector: LaneDetector,
        config: EngineConfig,
        fields: tuple[str, ...],
        origin: Origin,
        spill: Spill,
        past: KeyedRows | None = None,
    ) -> None:
        rows_of_key = lanes_of_key(fields, joint=config.joint)
        width = len(rows_of_key)
        self._detector = detector = detector.for_partition(fields, width)
        row = row_type(detector, config.windows, len(fields), width)
        self.fields, self.origin = fields, origin
        # a joint lane that the detector cannot score sleeps: its row waits for one that can
        self.lane_names = rows_of_key if detector.scores_joint_lanes else fields
        needed = row.itemsize * width
        room = config.max_state_bytes // needed
        if room < 1:
            raise ValueError(f"found a state budget of {config.max_state_bytes} bytes; expected at least {needed}")
        self.lanes = LaneTable(row, width, int(room), spill, past)
        self.counts = Counts()
        self._config = config
        self._of_joint = detector.for_joint_lanes()
        rates = detector.rates, self._of_joint.rates
        self._reporter = Reporter(origin, fields, rows_of_key, detector.streams, *rates)
        self._tabulator = Tabulator(
            len(fields),
            width,
            self.lane_names,
            warm_up=detector.warm_up,
            provisional_points=config.provisional_points,
            own_keys=isinstance(config.windows, CountWindows),
        )
        self._clock = PartitionClock()
        self._silence = SilenceClock()

    @property
    def watermark_us(self) -> int:
        """Newest event time accepted; 0 before the first."""
        return self._silence.watermark_us

    @property
    def open_episodes(self) -> int:
        """Episodes that are open, over all lanes in memory that are scored."""
        by_key = self.lanes.used()["scalars"]["episode_points"].reshape(-1, self.lanes.fields)
        return int(np.count_nonzero(by_key[:, : len(self.lane_names)]))

    def process(self, batch: Batch) -> Outcome:
        """Take a micro-batch of records, in order."""
        job = self.begin(batch)
        job.run()
        return job.finish()

    def begin(self, batch: Batch) -> Job:
        """Begin with a micro-batch of records; until its end, the engine is to be left alone.

        Where room for keys may run short, it is taken in parts that end where room is made, see `LaneTable`, all of
        them in the part that may run on another thread.
        """
        parts = self._parts(batch)
        if len(parts) == 1:
            return self._begin(batch)
        outcomes: list[Outcome] = []

        def run() -> None:
            outcomes.extend(map(self.process, parts))

        return Job(run, lambda: join_outcomes(outcomes))

    def _parts(self, batch: Batch) -> list[Batch]:
        if self.lanes.is_roomy(len(batch.key_names)):
            return [batch]
        interval = self.lanes.interval
        first = interval - self.counts.consumed % interval
        cuts = [0, *range(first, len(batch), interval), len(batch)]
        return [batch.slice(start, stop) for start, stop in pairwise(cuts)]

    def _begin(self, batch: Batch) -> Job:
        if self.counts.consumed % self.lanes.interval == 0:
            self.lanes.make_room()
        unusable = batch.unusable
        width, lanes, before = len(self.fields), self.lanes.fields, len(self.lanes)
        rows = self.lanes.rows_of(batch, unusable, self.counts.consumed)
        points = points_of(batch, rows, width)
        # keys that are new or return have the slots behind those before, in the order in which they are first met
        rows_in_use = np.maximum.accumulate(np.maximum(np.where(unusable, 0, rows + lanes), before * lanes))
        in_use = np.repeat(rows_in_use, width)
        assignment = assign(self._config.windows, self.lanes.used(), self._clock, points, in_use, lanes)
        self._clock = assignment.clock
        steps, disposition = place_empty(assignment.steps), assignment.disposition
        accepted = disposition == Disposition.SCORED
        silences = self._watch(points, accepted, in_use)
        taken = self.lanes.slab["scalars"]["points"][points.lane]
        warming = accepted & (taken + steps_before(points, steps) < self._detector.warm_up)
        disposition[warming] = Disposition.WARMING
        by_record = disposition.reshape(len(batch), width)
        by_record[unusable] = Disposition.DEAD_LETTERED
        walks = self._walk(steps)
        return Job(walks.run, lambda: self._finish(batch, points, by_record, silences, walks.scored()))

    def _walk(self, steps: Steps) -> Walks:
        slab = self.lanes.used()
        if len(self.lane_names) == len(self.fields):
            return walk_fields(self._detector, slab, steps, len(self.fields))
        windows = self._config.windows
        one_by_one = isinstance(windows, CountWindows) and windows.hop == 1
        return walk_with_joint(self._detector, self._of_joint, slab, steps, len(self.lane_names), in_groups=one_by_one)

    def _finish(
        self,
        batch: Batch,
        points: Points,
        by_record: NDArray[np.int8],
        silences: SilenceEvents,
        scored: Scored,
    ) -> Outcome:
        steps, verdicts = scored.steps, scored.verdicts
        severity = grade(verdicts.score, verdicts.threshold, verdicts.flagged)
        of_field = steps.lane % self.lanes.fields < len(self.fields)  # joint lanes are derived, and not of the accounts
        counts = count_batch(batch, by_record, severity)
        counts.gaps = int(verdicts.gap[of_field].sum())
        anomalies = self._reporter.report(batch, scored, severity, silences, self.lanes.names)
        for anomaly in anomalies:
            counts.events[anomaly.event] += 1
        table = self._tabulator.tabulate(batch, points, scored, severity, by_record.ravel(), self.lanes.names)
        dead_letters = batch.position[by_record.min(axis=1) >= Disposition.DEAD_LETTERED]
        self.counts += counts
        past_warm_up = np.flatnonzero(of_field & (verdicts.points >= self._detector.warm_up))
        variance = self.lanes.slab["scalars"]["variance"][steps.lane[past_warm_up]]
        residuals = measure_residuals(steps.value[past_warm_up], verdicts.expected[past_warm_up], variance)
        return Outcome((table,), tuple(anomalies), counts, dead_letters, residuals)

    def _watch(self, points: Points, accepted: NDArray[np.bool_], in_use: NDArray[np.int64]) -> SilenceEvents:
        everything = bool(accepted.all())
        lane, time_us, record = points.lane, points.time_us, points.record
        if not everything:
            lane, time_us, record = lane[accepted], time_us[accepted], record[accepted]
            in_use = in_use[accepted]
        rule, used = self._config.silence, self.lanes.used()
        events, self._silence = watch(rule, used, self._silence, lane, time_us, record, in_use)
        return events

    def save(self) -> EngineState:
        """Everything needed to go on after the last record processed, as values that later processing leaves alone.

        The evicted keys among it stay readable until the next call.
        """
        arrays, keys, spilled = self.lanes.save()
        return EngineState(arrays, keys, spilled, {"windows": asdict(self._clock), "silence": asdict(self._silence)})

    def load(self, state: EngineState, counts: Mapping[str, Any]) -> None:
        """Become the engine that `save` was called on; this one must be fresh.

        Raises:
            ValueError: the detector remembers of lanes what no row holds.
        """
        if not self._detector.is_restorable:
            raise ValueError(f"found the detector {self._detector.name}; expected one that keeps all state in rows")
        self.lanes.load(state.arrays, state.keys, state.spilled)
        self._clock = PartitionClock(**state.clocks["windows"])
        self._silence = SilenceClock(**state.clocks["silence"])
        self.counts = Counts.from_dict(dict(counts))
