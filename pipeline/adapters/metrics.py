"""What the engine shows to Prometheus, counted per batch, never per record; no label takes its values from data."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, start_http_server
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from pipeline.accounting import RECORD_DISPOSITIONS, Counts
from pipeline.errors import ConfigError
from pipeline.records import Disposition, Phase, Severity
from pipeline.residuals import BOUNDS, Residuals, no_residuals

PREFIX = "driftline"
PROBLEM_REASONS = (
    "bad_key", "bad_time", "empty", "malformed", "missing", "non_finite", "not_a_number", "too_large",
    "too_many_points",
)  # fmt: skip
"""Reasons shown as 0 before they occur; another one is shown once it has."""
EPISODE_EVENTS = ("opened", "worsened", "closed")

_BATCH_RECORDS = (1, 10, 100, 1_000, 10_000, 100_000)
_SCORING_SECONDS = (1e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 1e-1, 2.5e-1, 5e-1, 1.0, 2.5)


class EngineMetrics:
    """The metrics of one engine on a registry.

    Args:
        registry: not yet holding metrics of these names.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, label: str = "", values: Iterable[str] = ()) -> Counter:
            made = Counter(name, text, [label] if label else [], namespace=PREFIX, registry=registry)
            for value in values:
                made.labels(value)  # shown as 0 from the start, so that a rate sees the first increase
            return made

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, namespace=PREFIX, registry=registry)

        self._consumed = counter("records_consumed", "Records taken from the source.")
        self._records = counter(
            "records", "Records by what became of them.", "disposition", _labels(RECORD_DISPOSITIONS)
        )
        self._points = counter("points", "Points by what became of them.", "disposition", _labels(Disposition))
        self._problems = counter("problems", "Unusable values and records.", "reason", PROBLEM_REASONS)
        self._gaps = counter("gaps", "Points that came after a gap in their lane.")
        self._anomalies = counter(
            "anomalies", "Points flagged as anomalous.", "severity", _labels(set(Severity) - {Severity.NONE})
        )
        self._events = counter("episode_events", "Events of episodes.", "event", EPISODE_EVENTS)
        self._evictions = counter("evictions", "Keys whose state was moved out of memory for want of room.")
        self._returns = counter("returns", "Evicted keys whose state was brought back.")
        self._lanes = Gauge("lanes", "Lanes in memory by phase.", ["phase"], namespace=PREFIX, registry=registry)
        for phase in _labels(Phase):
            self._lanes.labels(phase)
        self._open_episodes = gauge("episodes_open", "Episodes that are open.")
        self._state_bytes = gauge("state_bytes", "State of the lanes in memory.")
        self._watermark = gauge("watermark_timestamp_seconds", "Newest event time accepted.")
        self._last_record = gauge("last_record_timestamp_seconds", "Time at which a record was last processed.")
        self._batch_records = Histogram(
            "batch_records", "Records per micro-batch.", namespace=PREFIX, registry=registry, buckets=_BATCH_RECORDS
        )
        self._scoring_seconds = Histogram(
            "scoring_seconds",
            "Time a micro-batch spent in the engine.",
            namespace=PREFIX,
            registry=registry,
            buckets=_SCORING_SECONDS,
        )
        self._residuals = ResidualHistogram(registry)
        self._build = Info("build", "Version of Driftline.", namespace=PREFIX, registry=registry)
        self._bundle = Info("bundle", "Bundle and profile in service.", namespace=PREFIX, registry=registry)

    def name_build(self, version: str) -> None:
        """Show which Driftline this is."""
        self._build.info({"version": version})

    def name_bundle(self, bundle: str, profile: str) -> None:
        """Show which bundle and profile score from now on."""
        self._bundle.info({"bundle": bundle, "profile": profile})

    def count_batch(self, counts: Counts, residuals: Residuals, *, scoring_s: float, now_s: float) -> None:
        """Add what came of one micro-batch.

        Args:
            counts, residuals: of this batch alone.
            scoring_s: time it spent in the engine.
            now_s: wall-clock time, in seconds since 1970-01-01 UTC.
        """
        self._consumed.inc(counts.consumed)
        self._gaps.inc(counts.gaps)
        for metric, by_label in (
            (self._records, counts.records),
            (self._points, counts.points),
            (self._problems, counts.problems),
            (self._anomalies, counts.flagged),
            (self._events, counts.events),
        ):
            for label, count in by_label.items():
                metric.labels(label).inc(count)
        self._residuals.add(residuals)
        self._batch_records.observe(counts.consumed)
        self._scoring_seconds.observe(scoring_s)
        self._last_record.set(now_s)

    def count_moves(self, *, evictions: int, returns: int) -> None:
        """Add keys that were evicted, and that were brought back, since the last call."""
        self._evictions.inc(evictions)
        self._returns.inc(returns)

    def set_state(self, *, lanes: Mapping[Phase, int], open_episodes: int, state_bytes: int, watermark_us: int) -> None:
        """Show how things stand behind a micro-batch.

        Args:
            lanes: in memory, by phase; 0 for the phases left out.
            open_episodes: over all lanes in memory.
            state_bytes: of the lanes in memory.
            watermark_us: newest event time accepted.
        """
        for phase in Phase:
            self._lanes.labels(phase.name.lower()).set(lanes.get(phase, 0))
        self._open_episodes.set(open_episodes)
        self._state_bytes.set(state_bytes)
        self._watermark.set(watermark_us / 1e6)


class ResidualHistogram(Collector):
    """A histogram that takes residuals by the batch; one observation at a time would cost as much as scoring them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sum = no_residuals()
        registry.register(self)

    def add(self, residuals: Residuals) -> None:
        """Count the residuals of a batch."""
        self._sum = self._sum.plus(residuals)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The histogram as it stands."""
        counted = np.cumsum(self._sum.buckets).tolist()
        name = f"{PREFIX}_residual_ratio"
        told = HistogramMetricFamily(name, "One-step residuals in standard deviations of their lanes.")
        buckets = [(str(bound), count) for bound, count in zip((*BOUNDS, "+Inf"), counted, strict=True)]
        told.add_metric([], buckets, self._sum.total)
        yield told


def serve_metrics(registry: CollectorRegistry, port: int, host: str = "127.0.0.1") -> tuple[int, Callable[[], None]]:
    """The port at which the metrics are served from now on, at any path, and a function that ends it.

    Args:
        registry: what is served.
        port: 0 for any free one.
        host: address to listen on.

    Raises:
        ConfigError: the port is taken, or the address cannot be listened on.
    """
    try:
        server, thread = start_http_server(port, host, registry)
    except (OSError, OverflowError) as exc:
        raise ConfigError(
            f"metrics port {port} on {host}: found that it cannot be listened on ({exc}); "
            "expected a free port: choose another, or 0 for any"
        ) from exc

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return server.server_port, stop


def _labels(members: Iterable[Disposition | Phase | Severity]) -> list[str]:
    return [member.name.lower() for member in members]
