"""What becomes of the messages in line: decoded, scored on a thread, and sent as outputs.

While one batch is scored the next is decoded; whatever looks at an engine finishes the batch that it has first.
"""

import time

from pipeline.interfaces import Feed, Outbox
from pipeline.service.outputs import send_outputs
from pipeline.service.plan import Observer, ServicePlan, Topics
from pipeline.service.recovery import Recovery
from pipeline.service.scoring import ScoringThread
from pipeline.service.task import Status, Task


class Processing:
    """Takes chunks of messages through the engines of their partitions, one after another."""

    def __init__(self, feed: Feed, outbox: Outbox, topics: Topics, recovery: Recovery, observer: Observer) -> None:
        self._feed = feed
        self._outbox = outbox
        self._topics = topics
        self._recovery = recovery
        self._observer = observer
        self._scoring = ScoringThread()

    @property
    def is_busy(self) -> bool:
        """Whether a batch is being scored."""
        return self._scoring.is_busy

    @property
    def messages(self) -> int:
        """Messages that are being scored."""
        return self._scoring.messages

    def take_next(self, task: Task, plan: ServicePlan) -> None:
        """Have the next chunk of a partition scored, and see to what came of the one before.

        Raises:
            TransactionError: the outputs of the one before could not be sent.
        """
        if task.status is Status.CATCHING_UP:
            self.finish(plan)  # which may end at the target
            if task.waiting and task.waiting[0].messages[0].offset >= task.target and task.status is Status.CATCHING_UP:
                self.arrive(task, plan)
        if not task.waiting:
            return
        chunk = task.waiting.popleft()
        if task.work is None or task.decoder is None:
            raise RuntimeError(f"found no engine for {task.place}; expected one before messages")
        began = time.perf_counter()
        batch = task.decoder.decode(chunk.messages)
        decode_s = time.perf_counter() - began
        self._observer.decoded(len(chunk.messages))
        self.finish(plan)
        self._scoring.begin(task, task.work.engine, chunk, batch, decode_s)

    def finish(self, plan: ServicePlan) -> None:
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
                self.arrive(task, plan)
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

    def arrive(self, task: Task, plan: ServicePlan) -> None:
        """Go on behind the committed offset, at once or behind the snapshot that a swap needs first."""
        if self._recovery.arrive(task, plan):
            return
        # what is in line waits for the snapshot; it is fetched again
        task.waiting.clear()
        self._feed.seek(task.place, task.offset)

    def discard(self) -> None:
        """Wait for the batch that is being scored, and forget what came of it; its engine is of no use any more."""
        self._scoring.discard()

    def close(self) -> None:
        """Let the thread end."""
        self._scoring.close()
