"""What happens in the service, told to Prometheus and to whoever asks for its health."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from pipeline.accounting import RECORD_DISPOSITIONS
from pipeline.adapters.feedback_metrics import FeedbackMetrics
from pipeline.adapters.http import Health
from pipeline.adapters.latency import LatencyHistogram, arrivals_of
from pipeline.adapters.metrics import EngineMetrics
from pipeline.adapters.service_metrics import Held, ServiceMetrics
from pipeline.adapters.top_lanes import TopLanes
from pipeline.adapters.whole_registry import WholeRegistry
from pipeline.cli.budget import AlarmBudget
from pipeline.cli.lane_gauges import LaneGauges
from pipeline.cli.readiness import Readiness
from pipeline.cli.uncommitted import Uncommitted
from pipeline.engine import Outcome, PartitionEngine
from pipeline.lane_detector import LaneDetector
from pipeline.records import Place, RunIdentity
from pipeline.service.guard import Guard
from pipeline.service.plan import Chunk, Log, Standing
from pipeline.suppression import Marked, suppressions

if TYPE_CHECKING:
    from pipeline.cli.learning.drifting import DriftWatch


class ServiceObserver:
    """Fulfils `pipeline.service.plan.Observer`.

    What came of records is counted with the commit that makes it last, and shown at once with the offsets of that
    commit. What is done again behind a failed commit or a lost partition so counts once, and where a process is killed,
    what it had not committed is counted by the one that does it again.

    Args:
        is_member: whether this process is in the group just now.
        guard: told of what is scored and of swaps; None for none.
        log: told which events are suppressed; None for none.
        budget: alarms that are to be expected.
        top_lanes: lanes that are shown by name, see `TopLanes`.
        trained_until: given the id of a bundle, the event time at which what it was trained on ends, in seconds since
            1970-01-01 UTC; 0 for none.
        drift: likewise.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        registry: WholeRegistry,
        health: Health,
        detector: LaneDetector,
        is_member: Callable[[], bool],
        *,
        version: str,
        bundle: str,
        guard: Guard | None = None,
        log: Log | None = None,
        budget: AlarmBudget | None = None,
        top_lanes: int = 0,
        trained_until: Callable[[str], float] = lambda _bundle: 0.0,
        drift: "DriftWatch | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self.service = ServiceMetrics(registry)
        self.feedback = FeedbackMetrics(registry)
        self._guard = guard
        self._log = log
        self._drift = drift
        self._engine = EngineMetrics(registry)
        self._engine.name_build(version)
        self._engine.name_bundle(bundle, detector.name)
        self._latency = LatencyHistogram(registry)
        self._top_lanes = TopLanes(registry, top_lanes)
        self._uncommitted = Uncommitted()
        self._committed = Uncommitted()  # and not shown yet
        self._aborted = self._commits = 0
        self._budget = budget or AlarmBudget(0.0, 0.0)
        self._lanes = LaneGauges(self._engine, detector.warm_up, self._budget)
        self._is_member = is_member
        self._holds = False
        self._readiness = Readiness(health, is_member, clock)
        self._trained_until = trained_until
        self.service.trained_until.set(trained_until(bundle))
        self._profile = detector.name
        self._held: dict[Place, Held] = {}
        self._snapshots: dict[Place, tuple[int, float]] = {}  # offset and time of the newest; no time of one read
        self._clock = clock

    def beat(self) -> None:
        """See `Observer`."""
        self._readiness.beat()

    def at_rest(self) -> None:
        """See `Observer`."""

    def set_status(self, status: Mapping[Place, str]) -> None:
        """See `Observer`."""
        self._holds = bool(status)
        self.service.set_partitions(status.values())
        self._readiness.set_status(status)

    def fetched(self, messages: int) -> None:
        """See `Observer`."""
        self._hear()
        self.service.fetched.inc(messages)
        self.service.stage_in.labels("decode").inc(messages)

    def decoded(self, messages: int) -> None:
        """See `Observer`."""
        self.service.stage_out.labels("decode").inc(messages)
        self.service.stage_in.labels("score").inc(messages)

    def scored(self, messages: int) -> None:
        """See `Observer`."""
        self.service.stage_out.labels("score").inc(messages)

    def in_hand(self, *, decoding: int, scoring: int, aborted: int) -> None:
        """See `Observer`."""
        for stage, messages in (("decode", decoding), ("score", scoring), ("commit", self._uncommitted.messages)):
            self.service.in_progress.labels(stage).set(messages)
        self.service.aborted.inc(aborted - self._aborted)
        self._aborted = aborted

    def processed(
        self,
        place: Place,
        engine: PartitionEngine,
        outcome: Outcome,
        chunk: Chunk,
        *,
        decode_s: float,
        scoring_s: float,
    ) -> None:
        """See `Observer`."""
        self._lanes.meet(place, engine)
        self.service.decode_seconds.observe(decode_s)
        self.service.stage_in.labels("commit").inc(len(chunk.messages))
        self._uncommitted.add(outcome, arrivals_of(chunk.messages, chunk.fetched_s))
        self._engine.observe_batch(outcome.counts.consumed, scoring_s=scoring_s, now_s=time.time())
        if self._guard is not None:
            if self._guard.scored(outcome):
                self.service.rollbacks.inc()
            self.service.probation.set(self._guard.is_on_probation)
        if self._drift is not None and self._drift.scored(place, outcome.residuals, engine.watermark_us):
            self.service.drifts.inc()

    def suppressed(self, place: Place, marked: Marked) -> None:
        """See `Observer`."""
        found = list(suppressions(marked.suppressed))
        self._uncommitted.suppressed.update(why.kind for _, why in found)
        self._uncommitted.outlasted += marked.outlasted
        if self._log is None:
            return
        where = f"{place.topic}/{place.partition}"
        for event, why in found:
            self._log.info("event_suppressed", place=where, event_id=event.id, feedback=why.id, kind=why.kind)

    def dead_lettered(self, reasons: Mapping[str, int]) -> None:
        """See `Observer`."""
        self._uncommitted.dead_letters.update(reasons)

    def committed(self, seconds: float) -> None:
        """See `Observer`; what was committed is counted as `stands` tells where that has led."""
        self.service.commit_seconds.observe(seconds)
        self.service.last_commit.set_to_current_time()
        for one in self._uncommitted.arrivals:
            self._latency.add(one, wall_s=time.time(), clock_s=self._clock())
            self.service.stage_out.labels("commit").inc(one.weight.sum())
        self._committed, self._uncommitted = self._uncommitted, Uncommitted()
        self._commits += 1

    def stands(self, standing: Mapping[Place, Standing]) -> None:
        """See `Observer`."""
        if standing or (not self._holds and self._is_member()):
            self._hear()
        for place, one in standing.items():
            records = {name.name.lower(): one.counts["records"][name.name.lower()] for name in RECORD_DISPOSITIONS}
            self._held[place] = Held(
                one.offset,
                one.end,
                one.counts["consumed"],
                records,
                *self._snapshots.get(place, (-1, 0.0)),
            )
        with self._registry.change():
            self._count(self._committed)
            self.service.commits.inc(self._commits)
            self.service.set_held(self._held)
        self._committed, self._commits = Uncommitted(), 0
        self._show_drift()
        self._lanes.show()

    def _count(self, done: Uncommitted) -> None:
        self._engine.count(done.counts, done.residuals, done.anomalies)
        self._engine.expect_alarms(self._budget.of_points(done.counts))
        self._top_lanes.add(done.anomalies)
        self.service.count_dead_letters(done.dead_letters)
        self.feedback.count(done.suppressed, done.outlasted)

    def commit_failed(self) -> None:
        """See `Observer`."""
        self.service.commit_failures.inc()
        self._uncommitted = Uncommitted()

    def rebalanced(self, kind: str, places: Collection[Place]) -> None:
        """See `Observer`."""
        self.service.rebalances.labels(kind).inc()
        self._readiness.rebalanced(kind)
        if kind == "assigned":
            self._hear()
        if kind == "lost":
            self._uncommitted = Uncommitted()  # dropped with the transaction, those of partitions that stay as well
        if kind != "assigned":
            self._lanes.drop(places)
            for place in places:
                self._held.pop(place, None)
                self._snapshots.pop(place, None)
            if self._drift is not None:
                self._drift.dropped(places)
            self.service.set_held(self._held)
            self._show_drift()
            self._lanes.show()

    def restored(self, place: Place, seconds: float, snapshot_offset: int) -> None:
        """See `Observer`."""
        self.service.restore_seconds.observe(seconds)
        self.service.last_restore.set_to_current_time()
        self._snapshots[place] = (snapshot_offset, 0.0)

    def swapped(self, place: Place, before: RunIdentity, now: RunIdentity) -> None:  # noqa: ARG002  as above
        """See `Observer`."""
        self.service.swaps.inc()
        self._engine.name_bundle(now.bundle, self._profile)
        self.service.trained_until.set(self._trained_until(now.bundle))
        if self._guard is not None:
            self._guard.swapped(now.bundle)
        if self._drift is not None:
            self._drift.swapped(place, now.bundle)

    def snapshot_taken(self, place: Place, offset: int, seconds: float) -> None:
        """See `Observer`."""
        self.service.snapshots.inc()
        self.service.snapshot_seconds.observe(seconds)
        self._snapshots[place] = (offset, time.time())
        if place in self._held:
            self._held[place] = self._held[place]._replace(snapshot_offset=offset, snapshot_s=time.time())

    def lost(self, place: Place, records: int) -> None:  # noqa: ARG002  the protocol's signature
        """See `Observer`."""
        self.service.lost_records.inc(records)

    def stalled(self, places: Collection[Place]) -> None:
        """See `Observer`."""
        self.service.stalled.set(len(places))
        self._readiness.stalled(places)

    def _hear(self) -> None:
        """Kafka has answered."""
        self.service.last_answer.set_to_current_time()
        self._readiness.heard()

    def _show_drift(self) -> None:
        if self._drift is not None:
            self.service.set_rises(self._drift.rises)
