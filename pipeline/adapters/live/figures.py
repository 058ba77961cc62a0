"""Sums of metrics, read from their registry when somebody asks; so the page tells what Prometheus is told."""

from collections import Counter
from collections.abc import Mapping

from prometheus_client import CollectorRegistry

_PREFIX = "driftline_"


class Figures:
    """The metrics of a process at a moment.

    Args:
        registry: collected once.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._samples: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        for family in registry.collect():
            for sample in family.samples:
                self._samples.setdefault(sample.name.removeprefix(_PREFIX), []).append((sample.labels, sample.value))

    def total(self, name: str) -> float:
        """Sum over all labels; 0 where there is none.

        Args:
            name: of the samples, without the prefix that all have.
        """
        return sum(value for _, value in self._samples.get(name, ()))

    def by(self, name: str, label: str) -> dict[str, int]:
        """Sums by a label."""
        sums: Counter[str] = Counter()
        for labels, value in self._samples.get(name, ()):
            sums[labels[label]] += int(value)
        return dict(sums)

    def labels(self, name: str) -> Mapping[str, str]:
        """Labels of the one sample of a name; none where there is none."""
        found = self._samples.get(name)
        return found[0][0] if found else {}

    def time_ms(self, name: str) -> float | None:
        """A gauge in seconds since 1970 as milliseconds; None while it is 0."""
        value = max((value for _, value in self._samples.get(name, ())), default=0.0)
        return value * 1000.0 or None
