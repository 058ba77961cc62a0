"""What feedback does in the service, shown to Prometheus."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from pipeline.catalogue import feedback as shown
from pipeline.feedback import Ranges


class FeedbackMetrics:
    """The metrics of feedback on a registry.

    Args:
        registry: not yet holding metrics of these names.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._suppressed = shown.SUPPRESSED_EVENTS.counter(registry)
        self._outlasted = shown.OUTLASTED_EPISODES.counter(registry)
        self._known = shown.FEEDBACK.gauge(registry)
        self._unusable = shown.FEEDBACK_UNUSABLE.gauge(registry)

    def count(self, suppressed: Mapping[str, int], outlasted: int) -> None:
        """Add events that were suppressed, by what, and episodes that outlasted it."""
        for kind, count in suppressed.items():
            self._suppressed.labels(kind).inc(count)
        self._outlasted.inc(outlasted)

    def known(self, ranges: Ranges, unusable: int) -> None:
        """Show what holds now, and how many messages could not be used."""
        for kind, count in ranges.counts().items():
            self._known.labels(kind).set(count)
        self._unusable.set(unusable)
