"""The service loop: one round after another.

Each round: restore a little, poll, process what came, commit if it is time. While one batch is scored, on a thread of
its own, the loop polls and decodes the next; whatever looks at an engine finishes the batch that it has first.
Everything that takes long is cut up, so that polls never stay away for long. Partitions with messages in line are
paused: what is in memory is bounded whatever the lag.
"""

import time
from collections.abc import Callable, Collection
from contextlib import suppress

from pipeline.errors import ExpiredError, FeedError, FencedError, TransactionError
from pipeline.interfaces import Feed, Outbox, StateStore
from pipeline.records import Place
from pipeline.service.commits import Committer
from pipeline.service.outputs import send_outputs
from pipeline.service.plan import Log, Observer, ServicePlan, Topics, Workshop
from pipeline.service.recovery import SLICE_S, Recovery
from pipeline.service.scoring import ScoringThread
from pipeline.service.task import Status, Task
from pipeline.service.watchdog import Watchdog
from pipeline.suppression import Marker

POLL_S = 0.2
_PROCESSING = {Status.LIVE, Status.CATCHING_UP}


class Service:
    """A member of the group; fulfils `pipeline.interfaces.Membership`.

    Args:
        plan: to begin with.
        reload: asked once a round; a new plan, or None for no change.
        stop: asked once a round.
        marking: makes what marks the events of a partition by feedback, if there is any.
        clock: monotonic seconds.
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
        self._feed = feed
        self._outbox = outbox
        self._store = store
        self._workshop = workshop
        self._topics = topics
        self._plan = plan
        self._observer = observer
        self._log = log
        self._reload = reload
        self._stop = stop
        self._marking = marking
        self._clock = clock
        self._tasks: dict[Place, Task] = {}
        self._rewinding = False
        self._failed_since_s: float | None = None
        self._recovery = Recovery(feed, store, workshop, observer, log, clock)
        self._committer = Committer(outbox, store, observer, log, clock)
        self._watchdog = Watchdog(feed, observer, log, clock)
        self._scoring = ScoringThread()

    def run(self) -> None:
        """Serve until told to stop; then commit, snapshot and leave the group.

        Raises:
            LossError: records or state are gone, and the policy is to stop.
            FeedError: Kafka could not be reached for long, or another process goes by this one's name.
        """
        self._feed.subscribe(self)
        try:
            while not self._stop():
                self.step()
        except BaseException:
            # Outputs may be gone by now: leaving the group must not commit the offsets behind them.
            self._rewinding = True
            raise
        else:
            self._leave()
        finally:
            self._scoring.close()

    def step(self) -> None:
        """One round."""
        self._plan = self._reload() or self._plan
        self._workshop.renew()
        self._observer.beat()
        try:
            if self._rewinding:
                self._rewind()
            self._swap()
            self._restore()
            self._poll()
            if not self._rewinding:  # else a rebalance has dropped outputs of partitions that are held on
                self._process()
                self._commit()
        except FencedError:
            raise
        except TransactionError as exc:
            self._begin_again(exc)
        self._observer.set_status({place: task.status.value for place, task in self._tasks.items()})
        self._observer.in_hand(
            decoding=sum(len(chunk.messages) for task in self._tasks.values() for chunk in task.waiting),
            scoring=self._scoring.messages,
            aborted=self._outbox.aborted,
        )

    def on_assigned(self, places: Collection[Place]) -> None:
        """Restore them, before anything of theirs is read."""
        self._feed.pause(places)
        for place in places:
            self._tasks[place] = Task(place, marker=self._marking())
        self._tell("assigned", places)

    def on_revoked(self, places: Collection[Place]) -> None:
        """Commit and snapshot, so that the next member goes on from there."""
        try:
            if not self._rewinding:
                self._finish()
                self._committer.commit(self._tasks, self._plan)
                mine = [self._tasks[place] for place in places if place in self._tasks]
                self._committer.snapshot_now(mine, self._plan, self._plan.revoke_timeout_s)
        except TransactionError as exc:
            self._begin_again(exc)
        finally:
            self._drop(places)
            self._tell("revoked", places)

    def on_lost(self, places: Collection[Place]) -> None:
        """Let go of all that is not committed."""
        self._scoring.discard()
        self._outbox.abort()
        self._rewinding = True
        self._drop(places)
        self._tell("lost", places)

    def _swap(self) -> None:
        """Let the partitions whose bundle is not the newest any more go over to it, where they are."""
        for task in self._tasks.values():
            if task.status is not Status.LIVE or task.work is None:
                continue
            if task.work.identity.bundle != self._workshop.identity(task.place).bundle:
                self._finish()
                self._arrive(task)

    def _restore(self) -> None:
        """Restore for a moment, one partition after another, however many there are."""
        deadline = self._clock() + SLICE_S
        for task in self._tasks.values():
            if task.status in {Status.ASSIGNED, Status.RESTORING}:
                self._recovery.advance(task, self._plan)
                if self._clock() > deadline:
                    break
        settled = [task for task in self._tasks.values() if task.status in _PROCESSING and not task.waiting]
        self._feed.resume([task.place for task in settled])
        self._feed.pause([task.place for task in self._tasks.values() if task not in settled])

    def _poll(self) -> None:
        busy = self._scoring.is_busy or any(task.waiting or task.reader is not None for task in self._tasks.values())
        try:
            polled = self._feed.poll(0.0 if busy else min(POLL_S, self._plan.commit_interval_s), self._plan.micro_batch)
        except ExpiredError as exc:
            self._finish()
            for place in exc.positions:
                if (task := self._tasks.get(Place(*place))) is not None:
                    self._recovery.skip_expired(task, self._plan)
            return
        except TransactionError:
            raise
        except FeedError as exc:
            self._bear(exc)
            return
        self._failed_since_s = None
        for place, messages in polled.items():
            task = self._tasks.get(Place(*place))
            if task is not None and task.status in _PROCESSING:
                self._observer.fetched(len(messages))
                task.take(messages, self._plan.chunk_bytes, self._clock())
        self._arrive_without_messages()

    def _arrive_without_messages(self) -> None:
        """What lies before the committed offset need not be messages: there are marks of transactions."""
        catching_up = [task for task in self._tasks.values() if task.status is Status.CATCHING_UP and not task.waiting]
        if catching_up:
            self._finish()
        for task in catching_up:
            if task.status is Status.CATCHING_UP and self._feed.position(task.place) >= task.target:
                self._arrive(task)

    def _process(self) -> None:
        """Do what is in line, in turn, until a commit is due."""
        deadline = self._clock() + self._plan.commit_interval_s
        if not any(task.waiting for task in self._tasks.values()):
            self._finish()
        while (waiting := [task for task in self._tasks.values() if task.waiting]) and self._clock() < deadline:
            for task in waiting:
                self._process_chunk(task)

    def _commit(self) -> None:
        """Commit if it is time; else show how things stand, where that is known."""
        tasks = self._tasks.values()
        looked = self._watchdog.look(tasks, self._plan)
        due = self._committer.is_due(tasks, self._plan)
        if due and self._committer.needs_rest(tasks, self._plan):
            self._finish()
        if due:
            self._committer.commit(self._tasks, self._plan, at_rest=not self._scoring.is_busy)
        elif looked and not any(task.is_due for task in tasks):
            self._committer.tell_standing(tasks)

    def _process_chunk(self, task: Task) -> None:
        """Have the next chunk of a partition scored, and see to what came of the one before."""
        if task.status is Status.CATCHING_UP:
            self._finish()  # which may end at the target
            if task.waiting and task.waiting[0].messages[0].offset >= task.target and task.status is Status.CATCHING_UP:
                self._arrive(task)
        if not task.waiting:
            return
        chunk = task.waiting.popleft()
        if task.work is None or task.decoder is None:
            raise RuntimeError(f"found no engine for {task.place}; expected one before messages")
        began = time.perf_counter()
        batch = task.decoder.decode(chunk.messages)
        decode_s = time.perf_counter() - began
        self._observer.decoded(len(chunk.messages))
        self._finish()
        self._scoring.begin(task, task.work.engine, chunk, batch, decode_s)

    def _finish(self) -> None:
        """See to what came of the batch that is being scored, if there is one.

        Raises:
            TransactionError: the outputs could not be sent.
        """
        scored = self._scoring.finish()
        self._observer.at_rest()
        if scored is None:
            return
        task, messages = scored.task, scored.chunk.messages
        self._observer.scored(len(messages))
        work = task.advance(len(scored.batch), messages[-1].offset + 1)
        marked = task.mark(scored.outcome, work)
        outcome = marked.outcome
        if task.offset <= task.target:
            if task.offset == task.target:
                self._arrive(task)
            return
        dead = send_outputs(
            self._outbox, self._topics, task.place, messages, scored.batch, outcome, work.points_per_message
        )
        self._observer.processed(
            task.place, work.engine, outcome, scored.chunk, decode_s=scored.decode_s, scoring_s=scored.scoring_s
        )
        if marked.suppressed or marked.outlasted:
            self._observer.suppressed(task.place, marked)
        if dead:
            self._observer.dead_lettered(dead)

    def _arrive(self, task: Task) -> bool:
        """Whether processing goes on behind the committed offset at once."""
        if self._recovery.arrive(task, self._plan):
            return True
        # what is in line waits for the snapshot; it is fetched again
        task.waiting.clear()
        self._feed.seek(task.place, task.offset)
        return False

    def _bear(self, error: FeedError) -> None:
        """Wait a moment, or give up when it has gone on for long."""
        now = self._clock()
        self._failed_since_s = self._failed_since_s or now
        if now - self._failed_since_s > self._plan.stall_timeout_s:
            raise error
        self._log.warning("poll_failed", error=str(error))
        time.sleep(POLL_S)

    def _begin_again(self, error: TransactionError) -> None:
        if isinstance(error, FencedError):
            raise error
        self._log.warning("commit_failed", error=str(error))
        self._observer.commit_failed()
        self._rewinding = True

    def _rewind(self) -> None:
        """Take every partition up again from what is committed."""
        self._scoring.discard()
        self._outbox.abort()
        for place, task in self._tasks.items():
            self._store.forget(place)
            task.forget_work()
        self._feed.pause(self._tasks)
        self._committer.reset()
        self._rewinding = False

    def _drop(self, places: Collection[Place]) -> None:
        self._scoring.discard()
        for place in places:
            if self._tasks.pop(place, None) is not None:
                self._store.forget(place)
                self._workshop.release(place)

    def _tell(self, kind: str, places: Collection[Place]) -> None:
        names = sorted(f"{place.topic}/{place.partition}" for place in places)
        self._log.info(f"partitions_{kind}", places=names)
        self._observer.rebalanced(kind, places)

    def _leave(self) -> None:
        """Commit, snapshot, and only then tell the group."""
        self._log.info("stopping", partitions=len(self._tasks))
        try:
            if not self._rewinding:
                self._finish()
                self._committer.commit(self._tasks, self._plan)
                self._committer.snapshot_now(list(self._tasks.values()), self._plan, self._plan.shutdown_timeout_s)
        except TransactionError as exc:
            self._log.warning("commit_failed", error=str(exc))
            self._rewinding = True  # nothing may be committed by the listener either
        with suppress(FeedError):
            self._feed.close()
