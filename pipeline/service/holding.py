"""The partitions that a member holds: given to it, taken from it, lost, and taken up again from what is committed.

A failed commit and lost partitions are dealt with as a crash is: what is not committed is dropped, and every partition
is taken up again from what is.
"""

from collections.abc import Callable, Collection
from contextlib import suppress

from pipeline.errors import FeedError, FencedError, TransactionError
from pipeline.interfaces import Feed, Outbox, StateStore
from pipeline.records import Place
from pipeline.service.commits import Committer
from pipeline.service.plan import Log, Observer, ServicePlan, Workshop
from pipeline.service.processing import Processing
from pipeline.service.task import Task
from pipeline.suppression import Marker


class Holding:
    """Fulfils `pipeline.interfaces.Membership`.

    Args:
        plan: to begin with.
        marking: makes what marks the events of a partition by feedback, if there is any.

    Attributes:
        tasks: by partition, all that are held.
        plan: in effect; replaced by whoever learns of another.
        must_rewind: whether outputs may be gone, so that nothing may be committed before a `rewind`.
    """

    def __init__(
        self,
        feed: Feed,
        outbox: Outbox,
        store: StateStore,
        workshop: Workshop,
        processing: Processing,
        committer: Committer,
        plan: ServicePlan,
        observer: Observer,
        log: Log,
        marking: Callable[[], Marker | None],
    ) -> None:
        self._feed = feed
        self._outbox = outbox
        self._store = store
        self._workshop = workshop
        self._processing = processing
        self._committer = committer
        self._observer = observer
        self._log = log
        self._marking = marking
        self.tasks: dict[Place, Task] = {}
        self.plan = plan
        self.must_rewind = False

    def on_assigned(self, places: Collection[Place]) -> None:
        """Restore them, before anything of theirs is read."""
        self._feed.pause(places)
        for place in places:
            self.tasks[place] = Task(place, marker=self._marking())
        self._tell("assigned", places)

    def on_revoked(self, places: Collection[Place]) -> None:
        """Commit and snapshot, so that the next member goes on from there."""
        try:
            if not self.must_rewind:
                self._make_last(places, self.plan.revoke_timeout_s)
        except TransactionError as exc:
            self.begin_again(exc)
        finally:
            self._drop(places)
            self._tell("revoked", places)

    def on_lost(self, places: Collection[Place]) -> None:
        """Let go of all that is not committed."""
        self._processing.discard()
        self._outbox.abort()
        self.must_rewind = True
        self._drop(places)
        self._tell("lost", places)

    def begin_again(self, error: TransactionError) -> None:
        """Have what is not committed dropped before anything else is done.

        Raises:
            FencedError: as given; another process goes by this one's name.
        """
        if isinstance(error, FencedError):
            raise error
        self._log.warning("commit_failed", error=str(error))
        self._observer.commit_failed()
        self.must_rewind = True

    def rewind(self) -> None:
        """Take every partition up again from what is committed."""
        self._processing.discard()
        self._outbox.abort()
        for place, task in self.tasks.items():
            self._store.forget(place)
            task.forget_work()
        self._feed.pause(self.tasks)
        self._committer.reset()
        self.must_rewind = False

    def leave(self) -> None:
        """Commit, snapshot, and only then tell the group."""
        self._log.info("stopping", partitions=len(self.tasks))
        try:
            if not self.must_rewind:
                self._make_last(list(self.tasks), self.plan.shutdown_timeout_s)
        except TransactionError as exc:
            self._log.warning("commit_failed", error=str(exc))
            self.must_rewind = True  # nothing may be committed by the listener either
        with suppress(FeedError):
            self._feed.close()

    def _make_last(self, places: Collection[Place], snapshot_budget_s: float) -> None:
        """Commit what was done, of all partitions, and take snapshots of these."""
        self._processing.finish(self.plan)
        self._committer.commit(self.tasks, self.plan)
        leaving = [self.tasks[place] for place in places if place in self.tasks]
        self._committer.snapshot_now(leaving, self.plan, snapshot_budget_s)

    def _drop(self, places: Collection[Place]) -> None:
        self._processing.discard()
        for place in places:
            if self.tasks.pop(place, None) is not None:
                self._store.forget(place)
                self._workshop.release(place)

    def _tell(self, kind: str, places: Collection[Place]) -> None:
        names = sorted(f"{place.topic}/{place.partition}" for place in places)
        self._log.info(f"partitions_{kind}", places=names)
        self._observer.rebalanced(kind, places)
