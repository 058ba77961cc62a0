"""The lanes with the most alarms, for Prometheus: off unless asked for, and never more of them than asked for."""

from collections.abc import Iterator, Sequence
from heapq import nlargest
from operator import itemgetter
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from pipeline.catalogue.service import TOP_LANE_ALARMS, TOP_LANES_TRUNCATED
from pipeline.records import Anomaly

_KEPT_PER_SHOWN = 8
_LONGEST_KEY = 200


class TopLanes(Collector):
    """Counts alarms by lane in bounded memory (space saving; Metwally, Agrawal and El Abbadi 2005).

    A lane that there is no room for takes the place, and the count, of the one with the fewest; so a count is at most
    too high, by no more than that. Eight lanes are kept for each that is shown.

    Args:
        most: lanes shown; 0 for none.
    """

    def __init__(self, registry: CollectorRegistry, most: int) -> None:
        self._most = most
        self._alarms: dict[tuple[str, str], int] = {}
        self._truncated = TOP_LANES_TRUNCATED.counter(registry)
        if most:
            registry.register(self)

    def add(self, anomalies: Sequence[Anomaly]) -> None:
        """Count the alarms among the anomalies of a batch."""
        lanes = [(one.key, one.field) for one in anomalies if one.event == "opened" and one.kind != "silence"]
        if not self._most or not lanes:
            return
        alarms = dict(self._alarms)  # replaced at once, as a scrape may be looking
        for lane in lanes:
            before = alarms.get(lane)
            if before is None and len(alarms) >= _KEPT_PER_SHOWN * self._most:
                fewest = min(alarms, key=alarms.__getitem__)
                before = alarms.pop(fewest)
            alarms[lane] = (before or 0) + 1
        self._alarms = alarms
        shown = {lane for lane, _ in self._top()}
        self._truncated.inc(sum(lane not in shown for lane in lanes))

    def collect(self) -> Iterator[Any]:
        """The lanes with the most alarms."""
        told = TOP_LANE_ALARMS.gauge_family()
        for (key, field), count in self._top():
            told.add_metric((key[:_LONGEST_KEY], field), count)
        yield told

    def describe(self) -> list[Any]:
        """Its name, so that no other metric takes it."""
        return [TOP_LANE_ALARMS.gauge_family()]

    def _top(self) -> list[tuple[tuple[str, str], int]]:
        return nlargest(self._most, self._alarms.items(), key=itemgetter(1))
