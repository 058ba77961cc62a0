"""How far a replay has come, over all partitions and resumptions, and what it came to in the end."""

from dataclasses import asdict, dataclass, field
from typing import Any

from pipeline.accounting import Counts
from pipeline.engine import Outcome, PartitionEngine
from pipeline.episodes import iso_time
from pipeline.records import Batch, Disposition
from pipeline.replay.order import first_point


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


@dataclass(slots=True)
class Run:
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
        times = batch.time_us[~batch.unusable]
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

    def notice(self, partition: str, batch: Batch, outcome: Outcome, engine: PartitionEngine) -> None:
        """Keep a line for each kind of trouble at its first occurrence."""
        for problem in batch.problems:
            if problem.reason not in self.notices:
                where = f"{partition}, row {batch.position[problem.index]}"
                field_name = f", column {engine.fields[problem.field]!r}" if problem.field >= 0 else ""
                self.notices[problem.reason] = f"first {problem.reason} at {where}{field_name}: found {problem.found!r}"
        for disposition in (Disposition.LATE, Disposition.DUPLICATE):
            name = disposition.name.lower()
            if name not in self.notices and outcome.counts.points[name]:
                position, time_us = first_point(outcome, disposition)
                self.notices[name] = (
                    f"first {name} record at {partition}, row {position}: its time is {iso_time(time_us)}"
                )

    def result(self, run_time_s: float, here: int, *, completed: bool) -> ReplayResult:
        """What the run came to, in so many seconds and with so many records of this call."""
        return ReplayResult(
            counts=self.finished,
            completed=completed,
            lanes=self.lanes,
            run_time_s=run_time_s,
            records_here=here,
            first_us=self.first_us,
            last_us=self.last_us,
            notices=tuple(self.notices.values()),
            evictions=self.evictions,
            returns=self.returns,
            with_past=self.with_past,
            state_bytes=self.state_bytes,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return {**asdict(self), "finished": self.finished.to_dict()}

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Run":
        """What `to_dict` gave."""
        return cls(**{**plain, "finished": Counts.from_dict(plain["finished"])})
