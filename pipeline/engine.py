"""The engine of one partition: records in; verdicts, anomalies and counts out.

    records --lanes--> points --windows--> steps --detector--> verdicts --episodes--> anomalies
                                                 joint lanes <--+  ^
                                                      +--detector--+

It is deterministic: the same records in the same order give the same bits, however they are cut into batches, and from
any state that `save` gave. Replay and the live service run this very class.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.joint import joint_arrays
from detectors.kernel import Verdicts
from pipeline.accounting import Counts
from pipeline.episodes import Origin, grade
from pipeline.interfaces import Spill
from pipeline.joint import Scored, Walks, walk_fields, walk_with_joint
from pipeline.lane_detector import LaneDetector
from pipeline.lanes import LaneTable
from pipeline.records import JOINT, Anomaly, Batch, Disposition, KeyedRows, Phase, VerdictTable
from pipeline.reporting import Reporter
from pipeline.residuals import Residuals, measure_residuals, no_residuals
from pipeline.silence import LANE_FIELDS, SilenceClock, SilenceEvents, SilenceRule, watch
from pipeline.windows import CountWindows, PartitionClock, Points, Steps, WindowSpec, assign, lane_fields

MOST_FIELDS = 127
"""Of a record; verdicts name a field by eight bits."""


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
class Outcome:
    """What came of one micro-batch.

    Attributes:
        verdicts: one or more tables, in order.
        anomalies: in order.
        counts: of this batch alone.
        dead_letters: (n,) positions of the records that could not be used.
        residuals: of the points of fields scored, those of warming lanes left out.
    """

    verdicts: tuple[VerdictTable, ...]
    anomalies: tuple[Anomaly, ...]
    counts: Counts
    dead_letters: NDArray[np.int64]
    residuals: Residuals


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
        if len(fields) > MOST_FIELDS:
            raise ValueError(f"found {len(fields)} fields of a record, expected at most {MOST_FIELDS}")
        if JOINT in fields:
            raise ValueError(
                f"found a field {JOINT!r}, expected another name: it stands for all fields of a key together"
            )
        has_joint = config.joint and len(fields) > 1
        rows_of_key = (*fields, JOINT) if has_joint else fields
        width = len(rows_of_key)
        self._detector = detector = detector.for_partition(fields, width)
        added = [*(joint_arrays(len(fields)) if has_joint else []), *lane_fields(config.windows), *LANE_FIELDS]
        # field by field, since `descr` forgets the alignment, and another type would be compiled for again
        lane = detector.lane_dtype
        row = np.dtype([*((name, lane[name]) for name in lane.names or ()), *added])
        self.fields, self.origin = fields, origin
        # a joint lane that the detector cannot score sleeps: its row waits for one that can
        self.lane_names = rows_of_key if detector.scores_joint_lanes else fields
        needed = row.itemsize * width
        room = config.max_state_bytes // needed
        if room < 1:
            raise ValueError(f"found a state budget of {config.max_state_bytes} bytes, expected at least {needed}")
        self.lanes = LaneTable(row, width, int(room), spill, past)
        self.counts = Counts()
        self._config = config
        self._of_joint = detector.for_joint_lanes()
        rates = detector.rates, self._of_joint.rates
        self._reporter = Reporter(origin, fields, rows_of_key, detector.streams, *rates)
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

        return Job(run, lambda: _join(outcomes))

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
        unusable = np.zeros(len(batch), np.bool_)
        unusable[[problem.index for problem in batch.problems if problem.field < 0]] = True
        width, lanes, before = len(self.fields), self.lanes.fields, len(self.lanes)
        rows = self._rows_of(batch, unusable)
        points = _expand(batch, rows, width)
        # keys that are new or return have the slots behind those before, in the order in which they are first met
        rows_in_use = np.maximum.accumulate(np.maximum(np.where(unusable, 0, rows + lanes), before * lanes))
        in_use = np.repeat(rows_in_use, width)
        assignment = assign(self._config.windows, self.lanes.used(), self._clock, points, in_use, lanes)
        self._clock = assignment.clock
        steps, disposition = _place_empty(assignment.steps), assignment.disposition
        accepted = disposition == Disposition.SCORED
        silences = self._watch(points, accepted, in_use)
        taken = self.lanes.slab["scalars"]["points"][points.lane]
        warming = accepted & (taken + _steps_before(points, steps) < self._detector.warm_up)
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
        counts = self._count(batch, by_record, severity)
        counts.gaps = int(verdicts.gap[of_field].sum())
        anomalies = self._reporter.report(batch, scored, severity, silences, self.lanes.names)
        for anomaly in anomalies:
            counts.events[anomaly.event] += 1
        table = self._tabulate(batch, points, steps, verdicts, severity, by_record.ravel())
        dead_letters = batch.position[by_record.min(axis=1) >= Disposition.DEAD_LETTERED]
        self.counts += counts
        past_warm_up = np.flatnonzero(of_field & (verdicts.points >= self._detector.warm_up))
        variance = self.lanes.slab["scalars"]["variance"][steps.lane[past_warm_up]]
        residuals = measure_residuals(steps.value[past_warm_up], verdicts.expected[past_warm_up], variance)
        return Outcome((table,), tuple(anomalies), counts, dead_letters, residuals)

    def _rows_of(self, batch: Batch, unusable: NDArray[np.bool_]) -> NDArray[np.int64]:
        """First row of each record's key; 0 for unusable records, whose points reach no lane.

        New keys get their rows in the order in which they are first met, however the records are cut into batches.
        """
        usable = np.flatnonzero(~unusable)[::-1]
        first = np.full(len(batch.key_names), len(batch), np.int64)
        first[batch.key_codes[usable]] = usable  # of several records of a key, the one assigned last: its first
        used = np.argsort(first, kind="stable")[: np.count_nonzero(first < len(batch))]
        last = np.zeros(len(batch.key_names), np.int64)
        last[batch.key_codes[usable[::-1]]] = usable[::-1]
        slots = np.zeros(len(batch.key_names), np.int64)
        names = [batch.key_names[code] for code in used.tolist()]
        slots[used] = self.lanes.slots_of(names, self.counts.consumed + 1 + last[used])
        return slots[batch.key_codes] * self.lanes.fields

    def _watch(self, points: Points, accepted: NDArray[np.bool_], in_use: NDArray[np.int64]) -> SilenceEvents:
        everything = bool(accepted.all())
        lane, time_us, record = points.lane, points.time_us, points.record
        if not everything:
            lane, time_us, record = lane[accepted], time_us[accepted], record[accepted]
            in_use = in_use[accepted]
        rule, used = self._config.silence, self.lanes.used()
        events, self._silence = watch(rule, used, self._silence, lane, time_us, record, in_use)
        return events

    def _count(self, batch: Batch, by_record: NDArray[np.int8], severity: NDArray[np.int8]) -> Counts:
        counts = Counts()
        counts.add_dispositions(by_record)
        counts.add_severities(severity)
        explained = np.zeros(by_record.shape, np.bool_)
        for problem in batch.problems:
            counts.problems[problem.reason] += 1
            explained[problem.index, problem.field if problem.field >= 0 else slice(None)] = True
        unexplained = ~explained
        missing = int((unexplained & np.isnan(batch.values)).sum())
        non_finite = int((unexplained & np.isinf(batch.values)).sum())
        for reason, count in (("missing", missing), ("non_finite", non_finite)):
            if count:
                counts.problems[reason] += count
        return counts

    def _tabulate(
        self,
        batch: Batch,
        points: Points,
        steps: Steps,
        verdicts: Verdicts,
        severity: NDArray[np.int8],
        disposition: NDArray[np.int8],
    ) -> VerdictTable:
        """A row for every step, and one for every point that gives none, in the order of their records."""
        warming = verdicts.points < self._detector.warm_up
        phase = np.where(verdicts.points < self._config.provisional_points, Phase.PROVISIONAL, Phase.LIVE)
        phase[verdicts.gap] = Phase.STALE
        phase[warming] = Phase.WARMING
        names, key = self._keys_of(batch, steps)
        field_names = self.lane_names
        table = VerdictTable(
            key_names=names,
            field_names=field_names,
            key=key,
            field=(steps.lane % self.lanes.fields).astype(np.int8),
            time_us=steps.time_us,
            position=steps.position,
            value=steps.value,
            expected=verdicts.expected,
            lower=verdicts.lower,
            upper=verdicts.upper,
            score=verdicts.score,
            threshold=np.where(warming, np.float32(np.nan), verdicts.threshold),
            surprise=verdicts.surprise,
            segment_score=verdicts.segment,
            log_scale=verdicts.log_scale,
            freedom=verdicts.freedom,
            is_anomaly=verdicts.flagged,
            severity=severity,
            phase=phase.astype(np.int8),
            disposition=np.where(warming, Disposition.WARMING, Disposition.SCORED).astype(np.int8),
            episode=verdicts.episode,
            released_by=batch.position[steps.record],
        )
        others = np.flatnonzero(disposition > Disposition.WARMING)
        if not len(others):
            return table
        return _merge(table, steps.record, _unscored(batch, points, others, disposition, len(self.fields), field_names))

    def _keys_of(self, batch: Batch, steps: Steps) -> tuple[list[str], NDArray[np.int32]]:
        """(key names, code of each step's key): the batch's own, unless a step can be of a key that is not in it."""
        if isinstance(self._config.windows, CountWindows):
            return batch.key_names, batch.key_codes[steps.record]
        slots, codes = np.unique(steps.lane // self.lanes.fields, return_inverse=True)
        names = list(batch.key_names)
        start = len(names)
        return [*names, *(self.lanes.names[slot] for slot in slots)], (codes + start).astype(np.int32)

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
            raise ValueError(f"found the detector {self._detector.name}, expected one that keeps all state in rows")
        self.lanes.load(state.arrays, state.keys, state.spilled)
        self._clock = PartitionClock(**state.clocks["windows"])
        self._silence = SilenceClock(**state.clocks["silence"])
        self.counts = Counts.from_dict(dict(counts))


def _join(outcomes: Sequence[Outcome]) -> Outcome:
    """One outcome of the parts of a micro-batch."""
    counts, residuals = Counts(), no_residuals()
    for outcome in outcomes:
        counts += outcome.counts
        residuals = residuals.plus(outcome.residuals)
    return Outcome(
        tuple(table for outcome in outcomes for table in outcome.verdicts),
        tuple(anomaly for outcome in outcomes for anomaly in outcome.anomalies),
        counts,
        np.concatenate([outcome.dead_letters for outcome in outcomes]),
        residuals,
    )


def _expand(batch: Batch, base: NDArray[np.int64], width: int) -> Points:
    """A point for each field of each record, record by record."""
    record = np.arange(len(batch))
    if width == 1:
        return Points(base, batch.time_us, batch.values[:, 0].copy(), batch.position, record)
    return Points(
        lane=(base[:, None] + np.arange(width)).ravel(),
        time_us=np.repeat(batch.time_us, width),
        value=batch.values.ravel(),
        position=np.repeat(batch.position, width),
        record=np.repeat(record, width),
    )


def _place_empty(steps: Steps) -> Steps:
    """The steps, with minus their event time as the position of those of empty windows, which no record has."""
    if not (steps.position < 0).any():
        return steps
    return replace(steps, position=np.where(steps.position < 0, -steps.time_us, steps.position))


def _steps_before(points: Points, steps: Steps) -> NDArray[np.int64]:
    """(points,) steps of the point's lane that earlier records of the batch released."""
    lane = np.concatenate([points.lane, steps.lane])
    record = np.concatenate([points.record, steps.record])
    is_step = np.zeros(len(lane), np.bool_)
    is_step[len(points) :] = True
    order = np.lexsort((is_step, record, lane))
    running: NDArray[np.int64] = np.cumsum(is_step[order]) - is_step[order]
    starts = np.flatnonzero(np.diff(lane[order], prepend=-1))
    running -= np.repeat(running[starts], np.diff(starts, append=len(order)))
    counted = np.empty(len(lane), np.int64)
    counted[order] = running
    return counted[: len(points)]


def _unscored(
    batch: Batch,
    points: Points,
    which: NDArray[np.int64],
    disposition: NDArray[np.int8],
    width: int,
    field_names: tuple[str, ...],
) -> tuple[VerdictTable, NDArray[np.int64]]:
    """Rows of the points that give no step, and their records."""
    count = len(which)
    nothing = np.full(count, np.nan)
    record = points.record[which]
    table = VerdictTable(
        key_names=batch.key_names,
        field_names=field_names,
        key=batch.key_codes[record],
        field=(which % width).astype(np.int8),
        time_us=points.time_us[which],
        position=points.position[which],
        value=points.value[which],
        expected=nothing,
        lower=nothing,
        upper=nothing,
        score=nothing.astype(np.float32),
        threshold=nothing.astype(np.float32),
        surprise=nothing.astype(np.float32),
        segment_score=nothing.astype(np.float32),
        log_scale=nothing.astype(np.float32),
        freedom=nothing.astype(np.float32),
        is_anomaly=np.zeros(count, np.bool_),
        severity=np.zeros(count, np.int8),
        phase=np.full(count, -1, np.int8),
        disposition=disposition[which],
        episode=np.full(count, -1, np.int64),
        released_by=batch.position[record],
    )
    return table, record


def _merge(
    steps: VerdictTable, step_record: NDArray[np.int64], unscored: tuple[VerdictTable, NDArray[np.int64]]
) -> VerdictTable:
    """Both tables' rows in the order of their records; a record's steps come first."""
    others, other_record = unscored
    order = np.argsort(np.concatenate([step_record, other_record]), kind="stable")
    columns = {
        name: np.concatenate([getattr(steps, name), getattr(others, name)])[order]
        for name in VerdictTable.__slots__
        if name not in {"key_names", "field_names"}
    }
    return VerdictTable(key_names=steps.key_names, field_names=steps.field_names, **columns)
