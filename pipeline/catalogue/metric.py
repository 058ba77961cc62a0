"""A metric as the catalogue describes it, and the instrument that it is shown by.

An entry is a constant of one of the modules beside this one and a member of its `METRICS`. Whoever counts makes the
instrument of the entry, `RECORDS.counter(registry)`, so that there is no second place that names it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics import MetricWrapperBase

PREFIX = "driftline"
Kind = Literal["counter", "gauge", "histogram", "info"]
_SUFFIX: dict[Kind, str] = {"counter": "_total", "gauge": "", "histogram": "", "info": "_info"}
_Made = TypeVar("_Made", bound=MetricWrapperBase)


@dataclass(frozen=True, slots=True)
class Label:
    """A label of a metric.

    Attributes:
        values: all that it takes, each shown from the start; () where what a process holds bounds them.
        bound: what bounds them, where they are not listed.
        is_open: whether values that are not listed are shown once they occur.

    Raises:
        ValueError: nothing bounds its values.
    """

    name: str
    values: tuple[str, ...] = ()
    bound: str = ""
    is_open: bool = False

    def __post_init__(self) -> None:
        if not self.values and not self.bound:
            raise ValueError(f"label {self.name}: found neither values nor a bound; expected one of them")


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric.

    Attributes:
        stem: its name without prefix and the suffix of its kind.
        unit: of its value, in words: 'records', 'seconds', 'ratio', ...
        meaning: what is counted or measured; a sentence.
        question: that an operator answers by it.
        buckets: upper bounds, of a histogram.
        is_foreign: whether a library exports it, under a name without our prefix.

    Raises:
        ValueError: buckets of what is no histogram, or none of one; a text that is no sentence, or no question.
    """

    stem: str
    kind: Kind
    unit: str
    meaning: str
    question: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    is_foreign: bool = False

    def __post_init__(self) -> None:
        if bool(self.buckets) is not (self.kind == "histogram"):
            raise ValueError(
                f"{self.stem}: found buckets {self.buckets} of a {self.kind}; expected a histogram's alone"
            )
        for text, end in ((self.meaning, "."), (self.question, "?")):
            if not text.endswith(end):
                raise ValueError(f"{self.stem}: found {text!r}; expected a sentence that ends with {end!r}")

    @property
    def family(self) -> str:
        """Name of the family, as `# TYPE` of OpenMetrics has it."""
        return self.stem if self.is_foreign else f"{PREFIX}_{self.stem}"

    @property
    def name(self) -> str:
        """As queries name it; of a histogram without `_bucket`, `_sum` and `_count`."""
        return self.family + _SUFFIX[self.kind]

    @property
    def series(self) -> tuple[str, ...]:
        """Names of the series that queries may ask for."""
        if self.kind == "histogram":
            return tuple(self.name + suffix for suffix in ("_bucket", "_sum", "_count"))
        return (self.name,)

    @property
    def label_names(self) -> tuple[str, ...]:
        """In their order."""
        return tuple(label.name for label in self.labels)

    def counter(self, registry: CollectorRegistry) -> Counter:
        """Its instrument on a registry that has none of its name; 0 for all listed values of its label."""
        self._require("counter")
        made = Counter(self.stem, self.meaning, self.label_names, namespace=PREFIX, registry=registry)
        return self._with_values(made)

    def gauge(self, registry: CollectorRegistry) -> Gauge:
        """See `counter`."""
        self._require("gauge")
        return self._with_values(Gauge(self.stem, self.meaning, self.label_names, namespace=PREFIX, registry=registry))

    def histogram(self, registry: CollectorRegistry) -> Histogram:
        """See `counter`."""
        self._require("histogram")
        made = Histogram(
            self.stem, self.meaning, self.label_names, namespace=PREFIX, registry=registry, buckets=self.buckets
        )
        return self._with_values(made)

    def info(self, registry: CollectorRegistry) -> Info:
        """See `counter`; its labels are those of what it is told."""
        self._require("info")
        return Info(self.stem, self.meaning, namespace=PREFIX, registry=registry)

    def counter_family(self) -> CounterMetricFamily:
        """Of a collector that counts by itself; to be filled."""
        self._require("counter")
        return CounterMetricFamily(self.family, self.meaning, labels=self.label_names)

    def gauge_family(self) -> GaugeMetricFamily:
        """See `counter_family`."""
        self._require("gauge")
        return GaugeMetricFamily(self.family, self.meaning, labels=self.label_names)

    def histogram_family(self) -> HistogramMetricFamily:
        """See `counter_family`."""
        self._require("histogram")
        return HistogramMetricFamily(self.family, self.meaning, labels=self.label_names)

    def told_buckets(self, counts: Sequence[int]) -> list[tuple[str, float]]:
        """Cumulative counts by upper bound as `HistogramMetricFamily` takes them, of (len(buckets) + 1,) counts."""
        bounds = [*map(str, self.buckets), "+Inf"]
        told, total = [], 0
        for bound, count in zip(bounds, counts, strict=True):
            total += int(count)
            told.append((bound, float(total)))
        return told

    def _require(self, kind: Kind) -> None:
        if self.kind != kind or self.is_foreign:
            raise ValueError(f"{self.name}: found a {kind} asked for; expected the {self.kind} that the catalogue has")

    def _with_values(self, made: _Made) -> _Made:
        """Shown as 0 from the start, so that a rate sees the first increase."""
        if len(self.labels) == 1:
            for value in self.labels[0].values:
                made.labels(value)
        return made


def names_of(members: Iterable[str]) -> tuple[str, ...]:
    """Values of a label, of the names of an enumeration's members."""
    return tuple(name.lower() for name in members)
