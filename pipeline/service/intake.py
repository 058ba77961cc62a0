"""Messages from Kafka into the lines of their partitions, and what to do where they do not come."""

import time
from collections.abc import Callable, Mapping

from pipeline.errors import ExpiredError, FeedError, TransactionError
from pipeline.interfaces import Feed
from pipeline.records import Place
from pipeline.service.plan import Log, Observer, ServicePlan
from pipeline.service.processing import Processing
from pipeline.service.recovery import Recovery
from pipeline.service.task import PROCESSING, Status, Task

POLL_S = 0.2


class Intake:
    """Polls, and puts what came in line.

    Args:
        clock: monotonic seconds.
    """

    def __init__(
        self,
        feed: Feed,
        recovery: Recovery,
        processing: Processing,
        observer: Observer,
        log: Log,
        clock: Callable[[], float],
    ) -> None:
        self._feed = feed
        self._recovery = recovery
        self._processing = processing
        self._observer = observer
        self._log = log
        self._clock = clock
        self._failed_since_s: float | None = None

    def choose(self, tasks: Mapping[Place, Task]) -> None:
        """Read on where nothing is in line and the state is there, and nowhere else."""
        settled = [task for task in tasks.values() if task.status in PROCESSING and not task.waiting]
        self._feed.resume([task.place for task in settled])
        self._feed.pause([task.place for task in tasks.values() if task not in settled])

    def poll(self, tasks: Mapping[Place, Task], plan: ServicePlan) -> None:
        """Put in line what there is; wait a moment for it if there is nothing else to do.

        Raises:
            LossError: records are gone, and the policy is to stop.
            FeedError: Kafka could not be reached for long.
        """
        busy = self._processing.is_busy or any(task.waiting or task.reader is not None for task in tasks.values())
        try:
            polled = self._feed.poll(0.0 if busy else min(POLL_S, plan.commit_interval_s), plan.micro_batch)
        except ExpiredError as exc:
            self._processing.finish(plan)
            for place in exc.positions:
                if (task := tasks.get(Place(*place))) is not None:
                    self._recovery.skip_expired(task, plan)
            return
        except TransactionError:
            raise
        except FeedError as exc:
            self._bear(exc, plan)
            return
        self._failed_since_s = None
        for place, messages in polled.items():
            task = tasks.get(Place(*place))
            if task is not None and task.status in PROCESSING:
                self._observer.fetched(len(messages))
                task.take(messages, plan.chunk_bytes, self._clock())
        self._arrive_without_messages(tasks, plan)

    def _arrive_without_messages(self, tasks: Mapping[Place, Task], plan: ServicePlan) -> None:
        """What lies before the committed offset need not be messages: there are marks of transactions."""
        catching_up = [task for task in tasks.values() if task.status is Status.CATCHING_UP and not task.waiting]
        if catching_up:
            self._processing.finish(plan)
        for task in catching_up:
            if task.status is Status.CATCHING_UP and self._feed.position(task.place) >= task.target:
                self._processing.arrive(task, plan)

    def _bear(self, error: FeedError, plan: ServicePlan) -> None:
        """Wait a moment, or give up when it has gone on for long."""
        now = self._clock()
        self._failed_since_s = self._failed_since_s or now
        if now - self._failed_since_s > plan.stall_timeout_s:
            raise error
        self._log.warning("poll_failed", error=str(error))
        time.sleep(POLL_S)
