"""One batch at a time through its engine on a thread, while the loop polls and decodes the next.

The kernel runs without the interpreter's lock, so the two take each other's time only where both are Python. Nothing
but this thread touches the engine of a batch that is under way: whoever needs to see it finishes the batch first.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from pipeline.engine import Outcome, PartitionEngine
from pipeline.interfaces import Message
from pipeline.records import Batch
from pipeline.service.task import Task


@dataclass(frozen=True, slots=True)
class Scored:
    """What came of a batch.

    Attributes:
        messages: that the batch was made of.
        decode_s, scoring_s: seconds that each took.
    """

    task: Task
    messages: Sequence[Message]
    batch: Batch
    outcome: Outcome
    decode_s: float
    scoring_s: float


@dataclass(frozen=True, slots=True)
class _Job:
    task: Task
    messages: Sequence[Message]
    batch: Batch
    decode_s: float
    done: "Future[tuple[Outcome, float]]"


class ScoringThread:
    """A thread that scores, and what it has been given."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "scoring")
        self._job: _Job | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a batch was given that is not finished."""
        return self._job is not None

    def begin(
        self, task: Task, engine: PartitionEngine, messages: Sequence[Message], batch: Batch, decode_s: float
    ) -> None:
        """Have a batch scored.

        Raises:
            RuntimeError: the one before is not finished.
        """
        if self._job is not None:
            raise RuntimeError("found a batch under way; expected it to be finished before the next")
        self._job = _Job(task, messages, batch, decode_s, self._pool.submit(_score, engine, batch))

    def finish(self) -> Scored | None:
        """Wait for what came of the batch; None if there is none. What the engine raised is raised here."""
        job, self._job = self._job, None
        if job is None:
            return None
        outcome, scoring_s = job.done.result()
        return Scored(job.task, job.messages, job.batch, outcome, job.decode_s, scoring_s)

    def discard(self) -> None:
        """Wait for the batch, and forget what came of it."""
        job, self._job = self._job, None
        if job is not None:
            job.done.exception()

    def close(self) -> None:
        """Let the thread end."""
        self._pool.shutdown()


def _score(engine: PartitionEngine, batch: Batch) -> tuple[Outcome, float]:
    began = time.perf_counter()
    outcome = engine.process(batch)
    return outcome, time.perf_counter() - began
