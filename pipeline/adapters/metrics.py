"""What the engine shows to Prometheus, counted per batch, never per record; no label takes its values from data."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from pipeline.accounting import Counts
from pipeline.catalogue import engine as shown
from pipeline.errors import ConfigError
from pipeline.records import Anomaly, Phase
from pipeline.residuals import Residuals, no_residuals

_EXEMPLAR_LENGTH = 128
"""Characters that OpenMetrics allows for names and values of an exemplar's labels together."""
_ID = "anomaly_id"


class EngineMetrics:
    """The metrics of one engine on a registry.

    Args:
        registry: not yet holding metrics of these names.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._consumed = shown.RECORDS_CONSUMED.counter(registry)
        self._records = shown.RECORDS.counter(registry)
        self._points = shown.POINTS.counter(registry)
        self._problems = shown.PROBLEMS.counter(registry)
        self._gaps = shown.GAPS.counter(registry)
        self._anomalies = shown.ANOMALIES.counter(registry)
        self._events = shown.EPISODE_EVENTS.counter(registry)
        self._opened = shown.ALARMS_OPENED.counter(registry)
        self._expected = shown.ALARMS_EXPECTED.counter(registry)
        self._evictions = shown.EVICTIONS.counter(registry)
        self._returns = shown.RETURNS.counter(registry)
        self._lanes = shown.LANES.gauge(registry)
        self._open_episodes = shown.EPISODES_OPEN.gauge(registry)
        self._state_bytes = shown.STATE_BYTES.gauge(registry)
        self._state_budget = shown.STATE_BUDGET.gauge(registry)
        self._watermark = shown.WATERMARK.gauge(registry)
        self._last_record = shown.LAST_RECORD.gauge(registry)
        self._batch_records = shown.BATCH_RECORDS.histogram(registry)
        self._scoring_seconds = shown.SCORING_SECONDS.histogram(registry)
        self._residuals = ResidualHistogram(registry)
        self._build = shown.BUILD.info(registry)
        self._bundle = shown.BUNDLE.info(registry)

    def name_build(self, version: str) -> None:
        """Show which Driftline this is."""
        self._build.info({"version": version})

    def name_bundle(self, bundle: str, profile: str) -> None:
        """Show which bundle and profile score from now on."""
        self._bundle.info({"bundle": bundle, "profile": profile})

    def count_batch(
        self,
        counts: Counts,
        residuals: Residuals,
        anomalies: Sequence[Anomaly] = (),
        *,
        scoring_s: float,
        now_s: float,
    ) -> None:
        """Add what came of one micro-batch, and what it took.

        Args:
            counts, residuals, anomalies: of this batch alone.
            scoring_s: time it spent in the engine.
            now_s: wall-clock time, in seconds since 1970-01-01 UTC.
        """
        self.count(counts, residuals, anomalies)
        self.observe_batch(counts.consumed, scoring_s=scoring_s, now_s=now_s)

    def count(self, counts: Counts, residuals: Residuals, anomalies: Sequence[Anomaly] = ()) -> None:
        """Add what came of records; of one micro-batch or of several together."""
        self._consumed.inc(counts.consumed)
        self._gaps.inc(counts.gaps)
        for metric, by_label in (
            (self._records, counts.records),
            (self._points, counts.points),
            (self._problems, counts.problems),
        ):
            for label, count in by_label.items():
                metric.labels(label).inc(count)
        alarms = [one for one in anomalies if one.event == "opened" and one.kind != "silence"]
        self._opened.inc(len(alarms), exemplar_of(alarms[-1]) if alarms else None)
        by_event = {one.event: one for one in anomalies}
        by_severity = {one.severity: one for one in anomalies if one.event != "closed"}
        for metric, by_label, latest in (
            (self._anomalies, counts.flagged, by_severity),
            (self._events, counts.events, by_event),
        ):
            for label, count in by_label.items():
                metric.labels(label).inc(count, exemplar_of(latest[label]) if label in latest else None)
        self._residuals.add(residuals)

    def observe_batch(self, records: int, *, scoring_s: float, now_s: float) -> None:
        """Add the work that one micro-batch was, whatever becomes of what came of it; arguments as `count_batch`."""
        self._batch_records.observe(records)
        self._scoring_seconds.observe(scoring_s)
        self._last_record.set(now_s)

    def expect_alarms(self, count: float) -> None:
        """Add alarms that the risk allows on what was scored since the last call."""
        self._expected.inc(count)

    def count_moves(self, *, evictions: int, returns: int) -> None:
        """Add keys that were evicted, and that were brought back, since the last call."""
        self._evictions.inc(evictions)
        self._returns.inc(returns)

    def set_state(
        self,
        *,
        lanes: Mapping[Phase, int],
        open_episodes: int,
        state_bytes: int,
        state_budget_bytes: int,
        watermark_us: int,
    ) -> None:
        """Show how things stand behind a micro-batch.

        Args:
            lanes: in memory, by phase; 0 for the phases left out.
            open_episodes: over all lanes in memory.
            state_bytes, state_budget_bytes: of the lanes in memory, and what they may take.
            watermark_us: newest event time accepted.
        """
        for phase in Phase:
            self._lanes.labels(phase.name.lower()).set(lanes.get(phase, 0))
        self._open_episodes.set(open_episodes)
        self._state_bytes.set(state_bytes)
        self._state_budget.set(state_budget_bytes)
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
        told = shown.RESIDUAL_RATIO.histogram_family()
        told.add_metric([], shown.RESIDUAL_RATIO.told_buckets(self._sum.buckets.tolist()), self._sum.total)
        yield told

    def describe(self) -> list[HistogramMetricFamily]:
        """Its name, so that no other metric takes it."""
        return [shown.RESIDUAL_RATIO.histogram_family()]


def exemplar_of(anomaly: Anomaly) -> dict[str, str]:
    """What leads from a count to the record of an anomaly: its id, or where that is too long the place it is of."""
    if len(_ID) + len(anomaly.id) <= _EXEMPLAR_LENGTH:
        return {_ID: anomaly.id}
    place = {"position": str(anomaly.position), "time": anomaly.time}
    return place if sum(len(name) + len(text) for name, text in place.items()) <= _EXEMPLAR_LENGTH else {}


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
