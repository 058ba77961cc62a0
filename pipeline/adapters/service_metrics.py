"""What the service shows to Prometheus beside its engines: positions, commits, snapshots, partitions.

Labels by topic and partition are bounded by what this member holds, and go with the partition.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from pipeline.catalogue import learning
from pipeline.catalogue import service as shown
from pipeline.records import Place


class Held(NamedTuple):
    """How a partition stands behind the newest commit.

    Attributes:
        consumed, records: records consumed since its state began, and what became of them.
    """

    offset: int
    end: int
    consumed: int
    records: Mapping[str, int]
    snapshot_offset: int
    snapshot_s: float


class ServiceMetrics(Collector):
    """The metrics of the service on a registry.

    Args:
        registry: not yet holding metrics of these names.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.fetched = shown.MESSAGES_FETCHED.counter(registry)
        self.stage_in = shown.STAGE_IN.counter(registry)
        self.stage_out = shown.STAGE_OUT.counter(registry)
        self.in_progress = shown.STAGE_IN_PROGRESS.gauge(registry)
        self.decode_seconds = shown.DECODE_SECONDS.histogram(registry)
        self.commits = shown.COMMITS.counter(registry)
        self.commit_failures = shown.COMMIT_FAILURES.counter(registry)
        self.aborted = shown.TRANSACTIONS_ABORTED.counter(registry)
        self.commit_seconds = shown.COMMIT_SECONDS.histogram(registry)
        self.last_commit = shown.LAST_COMMIT.gauge(registry)
        self.last_answer = shown.LAST_KAFKA_ANSWER.gauge(registry)
        self.snapshots = shown.SNAPSHOTS.counter(registry)
        self.snapshot_seconds = shown.SNAPSHOT_SECONDS.histogram(registry)
        self.swaps = shown.SWAPS.counter(registry)
        self.rollbacks = shown.ROLLBACKS.counter(registry)
        self.probation = shown.BUNDLE_PROBATION.gauge(registry)
        self.drifts = learning.DRIFTS.counter(registry)
        self.trained_until = shown.BUNDLE_TRAINED_UNTIL.gauge(registry)
        self.restore_seconds = shown.RESTORE_SECONDS.histogram(registry)
        self.last_restore = shown.LAST_RESTORE.gauge(registry)
        self.rebalances = shown.REBALANCES_TOTAL.counter(registry)
        self.dead_letters = shown.DEAD_LETTERS.counter(registry)
        self.lost_records = shown.LOST_RECORDS.counter(registry)
        self.stalled = shown.STALLED_PARTITIONS.gauge(registry)
        self.reloads = shown.CONFIG_RELOADS.counter(registry)
        self._partitions = shown.PARTITIONS.gauge(registry)
        self._held: dict[Place, Held] = {}
        self._rises: dict[Place, float] = {}
        registry.register(self)

    def count_dead_letters(self, reasons: Mapping[str, int]) -> None:
        """Add messages that went to the dead letters, by reason."""
        for reason, count in reasons.items():
            self.dead_letters.labels(reason if reason in shown.DEAD_LETTER_REASONS else shown.OTHER).inc(count)

    def set_partitions(self, statuses: Iterable[str]) -> None:
        """Show how many partitions are at what."""
        found = list(statuses)
        for status in shown.STATUSES:
            self._partitions.labels(status).set(found.count(status))

    def set_held(self, held: Mapping[Place, Held]) -> None:
        """Show how the partitions stand; those left out are no longer shown."""
        self._held = dict(held)  # replaced at once, so that a scrape sees one commit, not parts of two

    def set_rises(self, rises: Mapping[Place, float]) -> None:
        """Show the newest residuals of partitions against their usual ones, as factors; of those where it is known."""
        self._rises = dict(rises)

    def collect(self) -> Iterator[Any]:
        """Metrics by partition, all of the same commit."""
        held = self._held
        offset, end = shown.COMMITTED_OFFSET.gauge_family(), shown.END_OFFSET.gauge_family()
        lag, imbalance = shown.LAG_RECORDS.gauge_family(), shown.ACCOUNTING_IMBALANCE.gauge_family()
        snapshot, snapshot_s = shown.SNAPSHOT_OFFSET.gauge_family(), shown.LAST_SNAPSHOT.gauge_family()
        consumed, records = shown.ACCOUNTING_CONSUMED.counter_family(), shown.ACCOUNTING_RECORDS.counter_family()
        rise = learning.DRIFT_RATIO.gauge_family()
        for place, factor in self._rises.items():
            rise.add_metric((place.topic, str(place.partition)), factor)
        for place, one in held.items():
            labels = (place.topic, str(place.partition))
            offset.add_metric(labels, one.offset)
            end.add_metric(labels, one.end)
            lag.add_metric(labels, max(one.end - one.offset, 0))
            imbalance.add_metric(labels, one.consumed - sum(one.records.values()))
            snapshot.add_metric(labels, one.snapshot_offset)
            snapshot_s.add_metric(labels, one.snapshot_s)
            consumed.add_metric(labels, one.consumed)
            for disposition, count in one.records.items():
                records.add_metric((*labels, disposition), count)
        yield from (offset, end, lag, imbalance, snapshot, snapshot_s, consumed, records, rise)
