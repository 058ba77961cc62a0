"""How long messages took from their arrival to the commit of what came of them, for Prometheus.

A chunk of messages is measured by up to 64 of them, evenly spread, each for those behind it as well: messages that lie
beside one another came together, and looking at each would cost more than it tells.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from pipeline.catalogue.service import LATENCY_SECONDS, SCORE_LATENCY
from pipeline.interfaces import Message

_SAMPLES = 64


class Arrivals(NamedTuple):
    """When the messages of a chunk came.

    Attributes:
        borne_s: (n,) seconds since 1970-01-01 UTC that messages bear; negative for none.
        weight: (n,) messages that each stands for.
        fetched_s: monotonic time at which all of them were fetched.
    """

    borne_s: NDArray[np.float64]
    weight: NDArray[np.int64]
    fetched_s: float


def arrivals_of(messages: Sequence[Message], fetched_s: float) -> Arrivals:
    """When the messages of a chunk came."""
    stride = max(1, -(-len(messages) // _SAMPLES))
    borne_s = np.array([message.timestamp for message in messages[::stride]]) / 1000.0
    weight = np.full(len(borne_s), stride)
    weight[-1:] = len(messages) - stride * (len(borne_s) - 1)
    return Arrivals(borne_s, weight, fetched_s)


class LatencyHistogram(Collector):
    """A histogram that takes latencies by the chunk."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._buckets = {
            since: np.zeros(len(LATENCY_SECONDS) + 1, np.int64)
            for label in SCORE_LATENCY.labels
            for since in label.values
        }
        self._sums = dict.fromkeys(self._buckets, 0.0)
        registry.register(self)

    def add(self, arrivals: Arrivals, *, wall_s: float, clock_s: float) -> None:
        """Count messages that are committed now.

        Args:
            wall_s: seconds since 1970-01-01 UTC.
            clock_s: monotonic time.
        """
        borne = arrivals.borne_s >= 0
        since_record = np.maximum(wall_s - arrivals.borne_s[borne], 0.0)  # clocks of hosts differ a little
        self._count("record", since_record, arrivals.weight[borne])
        self._count("fetch", np.array([clock_s - arrivals.fetched_s]), arrivals.weight.sum(keepdims=True))

    def _count(self, since: str, seconds: NDArray[np.float64], weight: NDArray[np.int64]) -> None:
        places = np.searchsorted(LATENCY_SECONDS, seconds)
        self._buckets[since] = self._buckets[since] + np.bincount(
            places, weight, minlength=len(LATENCY_SECONDS) + 1
        ).astype(np.int64)
        self._sums[since] += float(seconds @ weight)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """The histogram as it stands."""
        told = SCORE_LATENCY.histogram_family()
        for since, buckets in self._buckets.items():
            told.add_metric([since], SCORE_LATENCY.told_buckets(buckets.tolist()), self._sums[since])
        yield told

    def describe(self) -> list[HistogramMetricFamily]:
        """Its name, so that no other metric takes it."""
        return [SCORE_LATENCY.histogram_family()]
