"""The replay loop: recorded streams through the very engine that the live service runs.

Partitions are taken one after another, each by an engine of its own. The loop can be stopped between any two
micro-batches and gone on with later; the outputs are the same bytes as those of a run that was never stopped.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from pipeline.accounting import Counts
from pipeline.engine import EngineState, Outcome, PartitionEngine
from pipeline.episodes import iso_time
from pipeline.errors import InputError
from pipeline.feedback import NOTHING_SAID
from pipeline.interfaces import Outputs, Partition
from pipeline.records import Batch, Checkpoint, Disposition, RunIdentity
from pipeline.suppression import Marker

LATE_SHARE = 0.5
LATE_RECORDS = 100
"""A partition with more than this share of late records, once there are so many, is taken to be in the wrong order."""
NAP_S = 0.1


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """How a replay is run; none of it alters a verdict.

    Attributes:
        micro_batch: records per call of the engine.
        speed: event time per wall time, such as 60 for a minute a second; None for as fast as it goes.
        checkpoint_interval_s: wall time between checkpoints.
        strict: whether a late record ends the run.
        expect_order: whether most records late is taken for a source in the wrong order, which ends the run.
    """

    micro_batch: int = 10_000
    speed: float | None = None
    checkpoint_interval_s: float = 30.0
    strict: bool = False
    expect_order: bool = True


class Timeline(Protocol):
    """Bundles that score one after another, as a service has gone over from one to the next."""

    def make(self, partition: str, after: int) -> PartitionEngine:
        """A fresh engine for the partition of a name, of the bundle that scored the record at position `after`."""

    def next_swap(self, partition: str, after: int) -> int | None:
        """Position of the first record behind `after` that another bundle scores; None where there is none."""

    def swap(self, partition: str, position: int, engine: PartitionEngine) -> PartitionEngine:
        """An engine of the bundle that scores from a position on, which goes on where one is."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is told after each micro-batch.

    Attributes:
        partition: being read.
        records: consumed so far, those of a run resumed included.
        engine: of the partition.
        outcome: of the batch.
        seconds: that the engine took for it.
    """

    partition: str
    records: int
    engine: PartitionEngine
    outcome: Outcome
    seconds: float


@dataclass(slots=True)
class _Run:
    """What the loop knows of the whole run; goes into checkpoints."""

    done: list[str] = field(default_factory=list)
    finished: Counts = field(default_factory=Counts)  # of the partitions done
    lanes: int = 0
    evictions: int = 0
    returns: int = 0
    with_past: int = 0
    state_bytes: int = 0
    first_us: int | None = None
    last_us: int | None = None
    notices: dict[str, str] = field(default_factory=dict)

    def see_times(self, batch: Batch) -> None:
        """Widen the range of event time by a batch; records that cannot be used have none."""
        usable = np.ones(len(batch), np.bool_)
        usable[[problem.index for problem in batch.problems if problem.field < 0]] = False
        times = batch.time_us[usable]
        if len(times):
            first, last = int(times.min()), int(times.max())
            self.first_us = first if self.first_us is None else min(self.first_us, first)
            self.last_us = last if self.last_us is None else max(self.last_us, last)

    def close(self, name: str, engine: PartitionEngine) -> None:
        """Take over what an engine that is done leaves behind."""
        self.done.append(name)
        self.finished += engine.counts
        self.lanes += engine.lanes.keys_seen * len(engine.lane_names)
        self.evictions += engine.lanes.evictions
        self.returns += engine.lanes.returns
        self.with_past += engine.lanes.with_past

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "finished": self.finished.to_dict()}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "_Run":
        return cls(**{**plain, "finished": Counts.from_dict(plain["finished"])})


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a run came to.

    Attributes:
        counts: of all partitions.
        completed: False when it was stopped.
        lanes: seen in all partitions.
        run_time_s: wall time of this call.
        records_here: records consumed in this call, for rates.
        first_us, last_us: range of event time; None without records.
        notices: one line per kind of trouble met, with where it was met first.
        evictions, returns: of lanes, see `LaneTable`.
        with_past: keys that began with a past.
        state_bytes: most that the lanes of a partition took.
    """

    counts: Counts
    completed: bool
    lanes: int
    run_time_s: float
    records_here: int
    first_us: int | None
    last_us: int | None
    notices: tuple[str, ...]
    evictions: int
    returns: int
    with_past: int
    state_bytes: int


def run_replay(
    partitions: Sequence[Partition],
    engines: Callable[[str], PartitionEngine] | Timeline,
    outputs: Outputs,
    plan: ReplayPlan,
    identity: RunIdentity,
    *,
    resume: Checkpoint | None,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    stop: Callable[[], bool],
    observe: Callable[[Progress], None],
    marker: Marker | None = None,
) -> ReplayResult:
    """Replay the partitions and publish the outputs.

    Args:
        partitions: in the order in which they are taken.
        engines: makes a fresh engine for the partition of a name, one bundle's or a timeline's.
        outputs: takes verdicts, anomalies and checkpoints.
        plan: pace and sizes.
        identity: goes into checkpoints.
        resume: checkpoint to go on from.
        clock: monotonic seconds.
        sleep: waits for so many seconds.
        stop: asked after each micro-batch; True ends the run in a state to go on from.
        observe: told of each micro-batch.
        marker: marks the events by feedback; None for none.

    Raises:
        InputError: times go back, where `plan.strict` is set or for most records of a partition.
    """
    run = _Run.from_dict(resume.meta["run"]) if resume else _Run()
    timeline = _OneBundle(engines) if callable(engines) else engines
    marker = marker or Marker(lambda: NOTHING_SAID)
    started = last_checkpoint = clock()
    pace = _Pace(plan.speed, clock, sleep, stop)
    here = 0
    for partition in partitions:
        if partition.name in run.done:
            continue
        engine, after = _begin(timeline, partition.name, resume, marker)
        swap_at = timeline.next_swap(partition.name, after)
        for batch in _cut(partition.batches(plan.micro_batch, after_row=after), timeline, partition.name, after):
            while swap_at is not None and len(batch) and batch.position[0] >= swap_at:
                engine = timeline.swap(partition.name, swap_at, engine)
                swap_at = timeline.next_swap(partition.name, swap_at)
            pace.wait_for(batch)
            before = clock()
            outcome = engine.process(batch)
            seconds = clock() - before
            outcome = marker.mark(outcome, engine.origin).outcome
            outputs.add(outcome.verdicts, outcome.anomalies)
            run.see_times(batch)
            run.state_bytes = max(run.state_bytes, engine.lanes.state_bytes)
            here += len(batch)
            after = int(batch.position[-1])
            _notice(run, partition.name, batch, outcome, engine)
            if plan.strict:
                _require_order(str(partition.path), outcome)
            if plan.expect_order:
                _require_mostly_in_order(str(partition.path), engine, LATE_RECORDS)
            observe(Progress(partition.name, run.finished.consumed + engine.counts.consumed, engine, outcome, seconds))
            stopping = stop()
            if stopping or clock() - last_checkpoint >= plan.checkpoint_interval_s:
                state = _checkpoint(identity, run, partition.name, after, engine, marker)
                if stopping:
                    outputs.suspend(state)
                    run.close(partition.name, engine)
                    return _result(run, clock() - started, here, completed=False)
                outputs.checkpoint(state)
                last_checkpoint = clock()
        if plan.expect_order:
            _require_mostly_in_order(str(partition.path), engine, 1)
        run.close(partition.name, engine)
    outputs.publish()
    return _result(run, clock() - started, here, completed=True)


def _begin(
    timeline: Timeline, partition: str, resume: Checkpoint | None, marker: Marker
) -> tuple[PartitionEngine, int]:
    """An engine for a partition, and the position that it is behind, and so is what marks its events."""
    marker.begin()
    if resume is None or resume.meta["partition"] != partition:
        return timeline.make(partition, 0), 0
    after = resume.meta["position"]
    engine = timeline.make(partition, after)
    state = EngineState(resume.arrays, resume.key_names, resume.spilled, resume.meta["clocks"])
    engine.load(state, resume.meta["counts"])
    marker.load(resume.meta.get("suppression", {}))
    return engine, after


@dataclass(frozen=True, slots=True)
class _OneBundle:
    """A timeline without swaps."""

    make_engine: Callable[[str], PartitionEngine]

    def make(self, partition: str, after: int) -> PartitionEngine:  # noqa: ARG002  the protocol's signature
        return self.make_engine(partition)

    def next_swap(self, partition: str, after: int) -> int | None:  # noqa: ARG002  as above
        return None

    def swap(self, partition: str, position: int, engine: PartitionEngine) -> PartitionEngine:
        raise NotImplementedError


def _cut(batches: Iterable[Batch], timeline: Timeline, partition: str, after: int) -> Iterator[Batch]:
    """The batches, cut where bundles change."""
    swap_at = timeline.next_swap(partition, after)
    for batch in batches:
        start = 0
        while swap_at is not None and len(batch) and batch.position[-1] >= swap_at:
            cut = int(np.searchsorted(batch.position, swap_at))
            if cut > start:
                yield batch.slice(start, cut)
            start, swap_at = cut, timeline.next_swap(partition, swap_at)
        yield batch if start == 0 else batch.slice(start, len(batch))


class _Pace:
    """Holds records back until their event time is due, counted from the first record of each partition."""

    def __init__(
        self, speed: float | None, clock: Callable[[], float], sleep: Callable[[float], None], stop: Callable[[], bool]
    ) -> None:
        self._speed = speed
        self._clock = clock
        self._sleep = sleep
        self._stop = stop
        self._origin: tuple[float, int] | None = None

    def wait_for(self, batch: Batch) -> None:
        """Return when the newest record of the batch is due, or the run is to stop."""
        if self._speed is None or not len(batch):
            return
        newest = int(batch.time_us.max())
        if self._origin is None or newest < self._origin[1]:
            self._origin = (self._clock(), newest)
        due = self._origin[0] + (newest - self._origin[1]) / 1e6 / self._speed
        while (left := due - self._clock()) > 0 and not self._stop():
            self._sleep(min(left, NAP_S))


def _notice(run: _Run, partition: str, batch: Batch, outcome: Outcome, engine: PartitionEngine) -> None:
    """Keep a line for each kind of trouble at its first occurrence."""
    for problem in batch.problems:
        if problem.reason not in run.notices:
            where = f"{partition}, row {batch.position[problem.index]}"
            field_name = f", column {engine.fields[problem.field]!r}" if problem.field >= 0 else ""
            run.notices[problem.reason] = f"first {problem.reason} at {where}{field_name}: found {problem.found!r}"
    for disposition in (Disposition.LATE, Disposition.DUPLICATE):
        name = disposition.name.lower()
        if name not in run.notices and outcome.counts.points[name]:
            position, time_us = _first(outcome, disposition)
            run.notices[name] = f"first {name} record at {partition}, row {position}: its time is {iso_time(time_us)}"


def _first(outcome: Outcome, disposition: Disposition) -> tuple[int, int]:
    """(position, time) of the first point of a disposition in the batch."""
    for table in outcome.verdicts:
        found = np.flatnonzero(table.disposition == disposition)
        if len(found):
            return int(table.position[found[0]]), int(table.time_us[found[0]])
    raise ValueError(f"found no point that is {disposition.name}, expected one")


def _require_order(path: str, outcome: Outcome) -> None:
    if outcome.counts.points["late"]:
        position, time_us = _first(outcome, Disposition.LATE)
        raise InputError(
            path,
            row=position,
            found=f"time {iso_time(time_us)}, earlier than the row before it of the same key",
            expected="times that do not go back; sort the file, or leave out --strict to count such records as late",
        )


def _require_mostly_in_order(path: str, engine: PartitionEngine, least: int) -> None:
    late, consumed = engine.counts.records["late"], engine.counts.consumed
    if late >= least and late > LATE_SHARE * consumed:
        raise InputError(
            path,
            found=f"times that go back: {late} of the first {consumed} records are earlier than one before them",
            expected="times that rise; sort the file by time, oldest first",
        )


def _checkpoint(
    identity: RunIdentity, run: _Run, partition: str, position: int, engine: PartitionEngine, marker: Marker
) -> Checkpoint:
    state = engine.save()
    meta = {
        "run": run.to_dict(),
        "partition": partition,
        "position": position,
        "clocks": state.clocks,
        "counts": engine.counts.to_dict(),
    }
    if held := marker.save():
        meta["suppression"] = held
    return Checkpoint(identity, meta, state.arrays, state.keys, state.spilled)


def _result(run: _Run, run_time_s: float, here: int, *, completed: bool) -> ReplayResult:
    return ReplayResult(
        counts=run.finished,
        completed=completed,
        lanes=run.lanes,
        run_time_s=run_time_s,
        records_here=here,
        first_us=run.first_us,
        last_us=run.last_us,
        notices=tuple(run.notices.values()),
        evictions=run.evictions,
        returns=run.returns,
        with_past=run.with_past,
        state_bytes=run.state_bytes,
    )
