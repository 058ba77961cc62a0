"""Notices partitions whose lag grows while their position stands still: a client that lives and reads nothing."""

from collections.abc import Callable, Collection
from typing import TypeAlias

from pipeline.errors import FeedError
from pipeline.interfaces import Feed
from pipeline.records import Place
from pipeline.service.plan import Log, Observer, ServicePlan
from pipeline.service.task import Status, Task

_LONGEST_INTERVAL_S = 5.0
_Stood: TypeAlias = dict[Place, tuple[int, int, float]]
"""Position, end and the monotonic time at which the position last moved."""


class Watchdog:
    """Looks at the ends of the partitions now and then.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, feed: Feed, observer: Observer, log: Log, clock: Callable[[], float]) -> None:
        self._feed = feed
        self._observer = observer
        self._log = log
        self._clock = clock
        self._next_s = clock()
        self._since: _Stood = {}

    def look(self, tasks: Collection[Task], plan: ServicePlan) -> bool:
        """Whether it was time to compare positions and ends with those of the last look.

        Raises:
            FeedError: a partition has stood still for longer than the plan allows while its end moved on.
        """
        now = self._clock()
        if now < self._next_s:
            return False
        self._next_s = now + min(_LONGEST_INTERVAL_S, plan.stall_timeout_s / 4)
        running = [task for task in tasks if task.status in {Status.LIVE, Status.CATCHING_UP} and not task.waiting]
        try:
            bounds = self._feed.bounds([task.place for task in running])
            positions = {task.place: self._feed.position(task.place) for task in running}
        except FeedError as exc:
            self._log.warning("ends_unknown", error=str(exc))
            return False
        stalled: dict[Place, float] = {}
        since: _Stood = {}
        for task in running:
            place, position = task.place, positions[task.place]
            task.end = bounds[place][1]
            before = self._since.get(place)
            if before is None or before[0] != position or position >= task.end:
                since[place] = (position, task.end, now)
                continue
            since[place] = before
            if task.end > before[1]:
                stalled[place] = now - before[2]
        self._since = since
        self._observer.stalled(stalled.keys())
        for place, stood_s in stalled.items():
            told = {
                "place": f"{place.topic}/{place.partition}",
                "offset": since[place][0],
                "stood_s": round(stood_s, 1),
            }
            self._log.error("stalled", **told)
            if stood_s > plan.stall_timeout_s:
                raise FeedError(
                    f"{told['place']}: found no progress at offset {told['offset']} for {told['stood_s']} s while "
                    "its lag grew; expected records: ending, to be started again"
                )
        return True
