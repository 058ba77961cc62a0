"""What feedback does in the service, shown to Prometheus."""

from collections import Counter as Counted
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from pipeline.feedback import KINDS, Ranges

PREFIX = "driftline"
SUPPRESSING = ("false_alarm", "maintenance")


class FeedbackMetrics:
    """The metrics of feedback on a registry.

    Args:
        registry: not yet holding metrics of these names.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._suppressed = Counter(
            "suppressed_events",
            "Events of episodes that were marked or dropped, by what was said of their time.",
            ["kind"],
            namespace=PREFIX,
            registry=registry,
        )
        for kind in SUPPRESSING:
            self._suppressed.labels(kind)
        self._outlasted = Counter(
            "outlasted_episodes",
            "Episodes told of behind what they were suppressed by.",
            namespace=PREFIX,
            registry=registry,
        )
        self._known = Gauge("feedback", "Feedback that holds.", ["kind"], namespace=PREFIX, registry=registry)
        for kind in KINDS:
            self._known.labels(kind)
        self._unusable = Gauge(
            "feedback_unusable", "Messages of the feedback topic of which nothing can be made.", namespace=PREFIX,
            registry=registry,
        )  # fmt: skip

    def count(self, kinds: Iterable[str], outlasted: int) -> None:
        """Add events that were suppressed, by what, and episodes that outlasted it."""
        for kind, count in Counted(kinds).items():
            self._suppressed.labels(kind).inc(count)
        self._outlasted.inc(outlasted)

    def known(self, ranges: Ranges, unusable: int) -> None:
        """Show what holds now, and how many messages could not be used."""
        for kind, count in ranges.counts().items():
            self._known.labels(kind).set(count)
        self._unusable.set(unusable)
