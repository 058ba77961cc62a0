"""The replay loop.

Partitions are taken one after another, each by an engine of its own. The loop can be stopped between any two
micro-batches and gone on with later; the outputs are the same bytes as those of a run that was never stopped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.engine import EngineState, Outcome, PartitionEngine
from pipeline.feedback import NOTHING_SAID
from pipeline.interfaces import Outputs, Partition
from pipeline.records import Checkpoint, RunIdentity
from pipeline.replay.order import LATE_RECORDS, require_mostly_in_order, require_order
from pipeline.replay.pace import Pace
from pipeline.replay.progress import ReplayResult, Run
from pipeline.replay.timeline import OneBundle, Timeline, cut_at_swaps
from pipeline.suppression import Marker


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
    run = Run.from_dict(resume.meta["run"]) if resume else Run()
    timeline = OneBundle(engines) if callable(engines) else engines
    marker = marker or Marker(lambda: NOTHING_SAID)
    started = last_checkpoint = clock()
    pace = Pace(plan.speed, clock, sleep, stop)
    here = 0
    for partition in partitions:
        if partition.name in run.done:
            continue
        engine, after = _begin(timeline, partition.name, resume, marker)
        swap_at = timeline.next_swap(partition.name, after)
        for batch in cut_at_swaps(
            partition.batches(plan.micro_batch, after_row=after), timeline, partition.name, after
        ):
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
            run.notice(partition.name, batch, outcome, engine)
            if plan.strict:
                require_order(str(partition.path), outcome)
            if plan.expect_order:
                require_mostly_in_order(str(partition.path), engine, LATE_RECORDS)
            observe(Progress(partition.name, run.finished.consumed + engine.counts.consumed, engine, outcome, seconds))
            stopping = stop()
            if stopping or clock() - last_checkpoint >= plan.checkpoint_interval_s:
                state = _checkpoint(identity, run, partition.name, after, engine, marker)
                if stopping:
                    outputs.suspend(state)
                    run.close(partition.name, engine)
                    return run.result(clock() - started, here, completed=False)
                outputs.checkpoint(state)
                last_checkpoint = clock()
        if plan.expect_order:
            require_mostly_in_order(str(partition.path), engine, 1)
        run.close(partition.name, engine)
    outputs.publish()
    return run.result(clock() - started, here, completed=True)


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


def _checkpoint(
    identity: RunIdentity, run: Run, partition: str, position: int, engine: PartitionEngine, marker: Marker
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
