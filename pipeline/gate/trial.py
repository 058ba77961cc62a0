"""Champion and challenger over a history: the champion up to the slice, then both over it, side by side.

At the beginning of the slice the challenger takes over the champion's lanes as a swap in service does: forecasts of the
champion's are still pending, and residuals are ranked among the champion's. Each lane's (h, c) are rebuilt from its
window, for both of them, since what a swap costs it costs whoever comes: only the networks are to make a difference.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.accounting import Counts
from pipeline.carrying import carry_state
from pipeline.engine import Outcome, PartitionEngine
from pipeline.errors import InputError
from pipeline.gate.extent import kept
from pipeline.gate.tally import Tally
from pipeline.interfaces import Partition
from pipeline.merging import has_time, merge_by_time
from pipeline.records import Batch

Make = Callable[[], PartitionEngine]
_LATE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial came to.

    Attributes:
        tally: of the slice.
        before: records before the slice.
        within: counts of the records of the slice.
        seconds: that each side took over the slice; the champion first.
        bytes_per_lane: of each side.
    """

    tally: Tally
    before: int
    within: Counts
    seconds: tuple[float, float]
    bytes_per_lane: tuple[int, int]


def run_trial(
    partitions: Sequence[Partition],
    make_before: Make,
    make_contenders: tuple[Make, Make],
    tally: Tally,
    *,
    told: str,
    end_us: int | None,
    micro_batch: int,
    clock: Callable[[], float],
    observe: Callable[[int], None],
    stop: Callable[[], bool],
) -> Trial | None:
    """Put a history through both; None when it was stopped.

    Args:
        partitions: of the history, taken as one stream in order of event time.
        make_before: a fresh engine of the champion's, for what comes before the slice.
        make_contenders: fresh engines of the champion's and of the challenger's, for the slice; called once each.
        tally: of the slice, empty; filled.
        told: names the history in errors.
        end_us: event time from which on records are left out; None for none.
        micro_batch: records per call of an engine; it changes no figure but the seconds.
        clock: monotonic seconds.
        observe: told how many records were put through an engine, after each call.
        stop: asked after each batch.

    Raises:
        InputError: most of the records are late: the history is in the wrong order.
        ValueError: the lanes of the two do not fit.
    """
    engine = make_before()
    contenders: list[PartitionEngine] = []
    seconds = [0.0, 0.0]
    within = Counts()

    def timed(side: int, batch: Batch) -> Outcome:
        begun = clock()
        outcome = contenders[side].process(batch)
        seconds[side] += clock() - begun
        observe(len(batch))
        return outcome

    for batch in _numbered(partitions, len(engine.fields), end_us, micro_batch):
        cut = 0 if contenders else _first_within(batch, tally.start_us)
        if cut:
            engine.process(batch.slice(0, cut))
            observe(cut)
        if cut < len(batch):
            contenders = contenders or [_taken_over(engine, make()) for make in make_contenders]
            rest = batch.slice(cut, len(batch))
            ours, theirs = timed(0, rest), timed(1, rest)
            within += ours.counts
            tally.add(ours, theirs)
        if stop():
            return None
    contenders = contenders or [_taken_over(engine, make()) for make in make_contenders]
    _require_order(told, contenders[0])
    return Trial(
        tally,
        engine.counts.consumed,
        within,
        (seconds[0], seconds[1]),
        (contenders[0].lanes.bytes_per_lane, contenders[1].lanes.bytes_per_lane),
    )


def _numbered(partitions: Sequence[Partition], fields: int, end_us: int | None, most: int) -> Iterator[Batch]:
    """The records in order of event time, in batches of at most a size; positions count them from 1."""
    position = 1
    for batch in merge_by_time(partitions, fields, lambda batch: kept(batch, end_us)):
        for start in range(0, len(batch), most):
            piece = batch.slice(start, min(start + most, len(batch)))
            yield replace(piece, position=np.arange(position, position + len(piece)))
            position += len(piece)


def _first_within(batch: Batch, start_us: int) -> int:
    """Index of the first record of the slice; the length where there is none."""
    within = has_time(batch) & (batch.time_us >= start_us)
    return int(within.argmax()) if within.any() else len(batch)


def _taken_over(before: PartitionEngine, engine: PartitionEngine) -> PartitionEngine:
    """An engine that goes on where the one before is."""
    if not carry_state(before, engine, rebuild=True):
        raise ValueError("found lanes of the challenger laid out otherwise than the champion's; expected the same")
    return engine


def _require_order(told: str, engine: PartitionEngine) -> None:
    late, consumed = engine.counts.records["late"], engine.counts.consumed
    if late > _LATE_SHARE * consumed:
        raise InputError(
            told,
            found=f"times that go back: {late} of {consumed} records are earlier than one before them",
            expected="a history each of whose files is sorted by time, oldest first",
        )
