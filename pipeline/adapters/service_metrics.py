"""What the service shows to Prometheus beside its engines: positions, commits, snapshots, partitions.

Labels by topic and partition are bounded by what this member holds, and go with the partition.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from pipeline.records import Place

PREFIX = "driftline"
REBALANCES = ("assigned", "revoked", "lost")
STATUSES = ("assigned", "restoring", "catching_up", "swapping", "live")
OTHER = "other"
DEAD_LETTER_REASONS = (
    "bad_key", "bad_time", "empty", "malformed", "missing", "not_a_number", "too_large", "too_many_points", OTHER,
)  # fmt: skip
"""Values of the label; a reason that is none of them counts as the last."""
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PLACE = ("topic", "partition")


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
        def counter(name: str, text: str, label: str = "", values: Iterable[str] = ()) -> Counter:
            made = Counter(name, text, [label] if label else [], namespace=PREFIX, registry=registry)
            for value in values:
                made.labels(value)
            return made

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, namespace=PREFIX, registry=registry)

        def seconds(name: str, text: str) -> Histogram:
            return Histogram(name, text, namespace=PREFIX, registry=registry, buckets=_SECONDS)

        self.fetched = counter("messages_fetched", "Messages that came from Kafka, those done again included.")
        self.commits = counter("commits", "Transactions committed.")
        self.commit_failures = counter("commit_failures", "Transactions that failed and were done again.")
        self.commit_seconds = seconds("commit_seconds", "Time that a commit took.")
        self.last_commit = gauge("last_commit_timestamp_seconds", "Time of the newest commit.")
        self.decode_seconds = seconds("decode_seconds", "Time that decoding a chunk of messages took.")
        self.snapshots = counter("snapshots", "Snapshots completed.")
        self.swaps = counter("swaps", "Partitions whose state went over to another configuration or bundle.")
        self.rollbacks = counter("rollbacks", "Bundles that this process asked to go back from.")
        self.probation = gauge("bundle_probation", "Whether a newer bundle is being compared with the one before.")
        self.restore_seconds = seconds("restore_seconds", "Time that reading the state of a partition took.")
        self.rebalances = counter("rebalances", "Changes of this member's partitions.", "kind", REBALANCES)
        self.dead_letters = counter("dead_letters", "Messages sent to the dead letters.", "reason", DEAD_LETTER_REASONS)
        self.lost_records = counter("lost_records", "Records deleted before they were read.")
        self.stalled = gauge("stalled_partitions", "Partitions whose lag grows while their position stands still.")
        self.reloads = counter("config_reloads", "Configurations read again.", "result", ("accepted", "rejected"))
        self._partitions = Gauge("partitions", "Partitions held.", ["status"], namespace=PREFIX, registry=registry)
        for status in STATUSES:
            self._partitions.labels(status)
        self._held: dict[Place, Held] = {}
        registry.register(self)

    def count_dead_letters(self, reasons: Mapping[str, int]) -> None:
        """Add messages that went to the dead letters, by reason."""
        for reason, count in reasons.items():
            self.dead_letters.labels(reason if reason in DEAD_LETTER_REASONS else OTHER).inc(count)

    def set_partitions(self, statuses: Iterable[str]) -> None:
        """Show how many partitions are at what."""
        found = list(statuses)
        for status in STATUSES:
            self._partitions.labels(status).set(found.count(status))

    def set_held(self, held: Mapping[Place, Held]) -> None:
        """Show how the partitions stand; those left out are no longer shown."""
        self._held = dict(held)  # replaced at once, so that a scrape sees one commit, not parts of two

    def collect(self) -> Iterator[Any]:
        """Metrics by partition, all of the same commit."""
        held = self._held
        offset = _gauge("committed_offset", "Offset of the next record to take, as committed.")
        end = _gauge("end_offset", "Offset that the next record of the input will have, as last seen.")
        lag = _gauge("lag_records", "Records of the input behind the committed offset.")
        imbalance = _gauge("accounting_imbalance_records", "Records consumed that nothing accounts for; 0.")
        snapshot = _gauge("snapshot_offset", "Offset of the newest complete snapshot; -1 for none.")
        snapshot_s = _gauge("last_snapshot_timestamp_seconds", "Time of the newest complete snapshot; 0 for none.")
        consumed = CounterMetricFamily(
            f"{PREFIX}_accounting_consumed_records", "Records consumed since the state began.", labels=_PLACE
        )
        records = CounterMetricFamily(
            f"{PREFIX}_accounting_records",
            "Records consumed since the state began, by what became of them.",
            labels=(*_PLACE, "disposition"),
        )
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
        yield from (offset, end, lag, imbalance, snapshot, snapshot_s, consumed, records)


def _gauge(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=_PLACE)
