"""The service loop: one round after another.

Each round: restore a little, poll, process what came, commit if it is time. While one batch is scored, on a thread of
its own, the loop polls and decodes the next; whatever looks at an engine finishes the batch that it has first.
Everything that takes long is cut up, so that polls never stay away for long. Partitions with messages in line are
paused: what is in memory is bounded whatever the lag.
"""

import time
from collections.abc import Callable

from pipeline.errors import FencedError, TransactionError
from pipeline.interfaces import Feed, Outbox, StateStore
from pipeline.service.commits import Committer
from pipeline.service.holding import Holding
from pipeline.service.intake import Intake
from pipeline.service.plan import Log, Observer, ServicePlan, Topics, Workshop
from pipeline.service.processing import Processing
from pipeline.service.recovery import SLICE_S, Recovery
from pipeline.service.task import Status
from pipeline.service.watchdog import Watchdog
from pipeline.suppression import Marker


class Service:
    """A member of the group.

    Args:
        plan: to begin with.
        reload: asked once a round; a new plan, or None for no change.
        stop: asked once a round.
        marking: makes what marks the events of a partition by feedback, if there is any.
        clock: monotonic seconds.

    Attributes:
        held: the partitions; told by the feed which they are.
    """

    def __init__(
        self,
        feed: Feed,
        outbox: Outbox,
        store: StateStore,
        workshop: Workshop,
        topics: Topics,
        plan: ServicePlan,
        observer: Observer,
        log: Log,
        *,
        reload: Callable[[], ServicePlan | None],
        stop: Callable[[], bool],
        marking: Callable[[], Marker | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._feed, self._outbox, self._workshop, self._observer = feed, outbox, workshop, observer
        self._reload, self._stop, self._clock = reload, stop, clock
        self._recovery = Recovery(feed, store, workshop, observer, log, clock)
        self._processing = Processing(feed, outbox, topics, self._recovery, observer)
        self._intake = Intake(feed, self._recovery, self._processing, observer, log, clock)
        self._committer = Committer(outbox, store, observer, log, clock)
        self._watchdog = Watchdog(feed, observer, log, clock)
        self.held = Holding(
            feed, outbox, store, workshop, self._processing, self._committer, plan, observer, log, marking
        )

    def run(self) -> None:
        """Serve until told to stop; then commit, snapshot and leave the group.

        Raises:
            LossError: records or state are gone, and the policy is to stop.
            FeedError: Kafka could not be reached for long, or another process goes by this one's name.
        """
        self._feed.subscribe(self.held)
        try:
            while not self._stop():
                self.step()
        except BaseException:
            # Outputs may be gone by now: leaving the group must not commit the offsets behind them.
            self.held.must_rewind = True
            raise
        else:
            self.held.leave()
        finally:
            self._processing.close()

    def step(self) -> None:
        """One round."""
        self.held.plan = self._reload() or self.held.plan
        self._workshop.renew()
        self._observer.beat()
        try:
            if self.held.must_rewind:
                self.held.rewind()
            self._swap()
            self._restore()
            self._intake.choose(self.held.tasks)
            self._intake.poll(self.held.tasks, self.held.plan)
            if not self.held.must_rewind:  # else a rebalance has dropped outputs of partitions that are held on
                self._process()
                self._commit()
        except FencedError:
            raise
        except TransactionError as exc:
            self.held.begin_again(exc)
        self._tell()

    def _swap(self) -> None:
        """Let the partitions whose bundle is not the newest any more go over to it, where they are."""
        for task in self.held.tasks.values():
            if task.status is not Status.LIVE or task.work is None:
                continue
            if task.work.identity.bundle != self._workshop.identity(task.place).bundle:
                self._processing.finish(self.held.plan)
                self._processing.arrive(task, self.held.plan)

    def _restore(self) -> None:
        """Restore for a moment, one partition after another, however many there are."""
        deadline = self._clock() + SLICE_S
        for task in self.held.tasks.values():
            if task.status in {Status.ASSIGNED, Status.RESTORING}:
                self._recovery.advance(task, self.held.plan)
                if self._clock() > deadline:
                    break

    def _process(self) -> None:
        """Do what is in line, in turn, until a commit is due."""
        tasks, plan = self.held.tasks.values(), self.held.plan
        deadline = self._clock() + plan.commit_interval_s
        if not any(task.waiting for task in tasks):
            self._processing.finish(plan)
        while (waiting := [task for task in tasks if task.waiting]) and self._clock() < deadline:
            for task in waiting:
                self._processing.take_next(task, plan)

    def _commit(self) -> None:
        """Commit if it is time; else show how things stand, where that is known."""
        tasks, plan = self.held.tasks.values(), self.held.plan
        looked = self._watchdog.look(tasks, plan)
        due = self._committer.is_due(tasks, plan)
        if due and self._committer.needs_rest(tasks, plan):
            self._processing.finish(plan)
        if due:
            self._committer.commit(self.held.tasks, plan, at_rest=not self._processing.is_busy)
        elif looked and not any(task.is_due for task in tasks):
            self._committer.tell_standing(tasks)

    def _tell(self) -> None:
        """Show what the partitions are at, and what is in hand."""
        tasks = self.held.tasks.values()
        self._observer.set_status({task.place: task.status.value for task in tasks})
        self._observer.in_hand(
            decoding=sum(len(chunk.messages) for task in tasks for chunk in task.waiting),
            scoring=self._processing.messages,
            aborted=self._outbox.aborted,
        )
