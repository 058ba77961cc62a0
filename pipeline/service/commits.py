"""Commits and snapshots.

A commit is one transaction:
1. outputs and dead letters, sent since the commit before as they arose;
2. a part of each snapshot that is being written;
3. the offset behind the last record taken of each partition, with the note of its newest snapshot.

A snapshot is of the state at a committed offset: it begins right behind a commit and goes out in parts with the ones
that follow, pages first, the mark of completeness last. Until it is complete the one before stays.
"""

from collections.abc import Callable, Collection, Mapping

from pipeline.errors import CheckpointError
from pipeline.interfaces import Outbox, StateStore
from pipeline.records import Place
from pipeline.service.plan import Log, Observer, ServicePlan, Standing
from pipeline.service.task import Note, Status, Task

_RUNNING = {Status.LIVE, Status.SWAPPING}


class Committer:
    """Makes what the service did last.

    Args:
        clock: monotonic seconds.
    """

    def __init__(
        self, outbox: Outbox, store: StateStore, observer: Observer, log: Log, clock: Callable[[], float]
    ) -> None:
        self._outbox = outbox
        self._store = store
        self._observer = observer
        self._log = log
        self._clock = clock
        self._last_s = clock()

    def is_due(self, tasks: Collection[Task], plan: ServicePlan) -> bool:
        """Whether it is time for a commit, and there is something to commit."""
        if any(task.status is Status.SWAPPING for task in tasks):
            return True
        return self._clock() - self._last_s >= plan.commit_interval_s and any(
            task.is_due or task.writer is not None or self._snapshot_is_due(task, plan) for task in tasks
        )

    def needs_rest(self, tasks: Collection[Task], plan: ServicePlan) -> bool:
        """Whether a commit now looks at engines and what they have evicted, so that nothing may be scored meanwhile."""
        return any(
            task.status is Status.SWAPPING or task.writer is not None or self._snapshot_is_due(task, plan)
            for task in tasks
        )

    def commit(self, tasks: Mapping[Place, Task], plan: ServicePlan, *, at_rest: bool = True) -> None:
        """One transaction; then snapshots that are due begin, if the engines are at rest.

        Raises:
            TransactionError: nothing of it happened; everything since the commit before is to be done again.
            RuntimeError: the accounts of a partition do not balance.
        """
        began = self._clock()
        ready = [task for task in tasks.values() if task.is_due or task.writer is not None]
        for task in ready:
            task.require_balance()
        done = [task for task in ready if self._write(task, plan.snapshot_bytes)]
        self._outbox.commit({task.place: task.position for task in ready})
        for task in ready:
            task.committed = task.position
        for task in done:
            self._finish_snapshot(task)
        self._last_s = self._clock()
        if ready:
            self._observer.committed(self._last_s - began)
            self.tell_standing(tasks.values())
        for task in tasks.values():
            if at_rest and (task.status is Status.SWAPPING or self._snapshot_is_due(task, plan)):
                self._begin_snapshot(task)

    def tell_standing(self, tasks: Collection[Task]) -> None:
        """Show how those stand that are live; called where nothing waits to be committed."""
        self._observer.stands(
            {
                task.place: Standing(task.offset, max(task.end, task.offset), task.counts)
                for task in tasks
                if task.work is not None and task.status in _RUNNING
            }
        )

    def snapshot_now(self, tasks: Collection[Task], plan: ServicePlan, budget_s: float) -> None:
        """Snapshots of these at their committed offsets, as far as time allows; what is missing is redone later.

        Raises:
            TransactionError: as `commit`.
        """
        deadline = self._clock() + budget_s
        waiting = [task for task in tasks if task.status is Status.LIVE and task.snapshot_offset != task.offset]
        for task in waiting:
            if task.writer is None or task.writer_offset != task.offset:
                self._begin_snapshot(task)
        while waiting := [task for task in waiting if task.writer is not None]:
            if self._clock() > deadline:
                names = [f"{task.place.topic}/{task.place.partition}" for task in waiting]
                self._log.warning("snapshot_skipped", places=names, seconds=budget_s)
                return
            self.commit({task.place: task for task in waiting}, plan)
        self.commit({task.place: task for task in tasks}, plan)  # the notes of where they are

    def reset(self) -> None:
        """Begin the interval anew, behind a transaction that failed."""
        self._last_s = self._clock()

    def _snapshot_is_due(self, task: Task, plan: ServicePlan) -> bool:
        return (
            task.status is Status.LIVE
            and task.writer is None
            and task.snapshot_offset != task.offset
            and self._clock() - task.snapshot_s >= plan.snapshot_interval_s
        )

    def _begin_snapshot(self, task: Task) -> None:
        if task.status is Status.SWAPPING and task.writer is not None:
            return
        task.snapshot_s = self._clock()
        task.writer_offset = task.offset
        task.writer = self._store.writer(task.place, task.offset, task.save())

    def _write(self, task: Task, max_bytes: int) -> bool:
        """Write a part of the task's snapshot; whether that was the last."""
        if task.writer is None:
            return False
        try:
            return task.writer.write(max_bytes)
        except CheckpointError as exc:
            self._log.error("snapshot_failed", place=f"{task.place.topic}/{task.place.partition}", error=str(exc))
            task.writer = None
            return False

    def _finish_snapshot(self, task: Task) -> None:
        if task.writer is None:
            return
        task.note = Note(snapshot=task.writer.note())
        task.snapshot_offset = task.writer_offset
        task.writer = None
        if task.status is Status.SWAPPING:
            task.status = Status.LIVE
        self._observer.snapshot_taken(task.place, task.snapshot_offset, self._clock() - task.snapshot_s)
