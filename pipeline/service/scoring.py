"""One batch at a time through its engine, the kernel on a thread while the loop polls and decodes the next.

The kernel runs without the interpreter's lock. What of the engine is Python stays on the loop's thread: two threads
that both want the lock hand it to one another a hundred times a batch, and wait for that longer than they work.
Nothing else may touch the engine of a batch that is under way: whoever needs to see it finishes the batch first.
"""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from pipeline.engine import Job, Outcome, PartitionEngine
from pipeline.records import Batch
from pipeline.service.plan import Chunk
from pipeline.service.task import Task


@dataclass(frozen=True, slots=True)
class Scored:
    """What came of a batch.

    Attributes:
        chunk: that the batch was made of.
        decode_s, scoring_s: seconds that each took.
    """

    task: Task
    chunk: Chunk
    batch: Batch
    outcome: Outcome
    decode_s: float
    scoring_s: float


@dataclass(frozen=True, slots=True)
class _Given:
    task: Task
    chunk: Chunk
    batch: Batch
    decode_s: float
    begin_s: float
    job: Job
    run_s: "Future[float]"


class ScoringThread:
    """A thread for the kernel, and the batch that it has been given."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "scoring")
        self._given: _Given | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a batch was given that is not finished."""
        return self._given is not None

    @property
    def messages(self) -> int:
        """Messages of the batch that was given; 0 for none."""
        return 0 if self._given is None else len(self._given.chunk.messages)

    def begin(self, task: Task, engine: PartitionEngine, chunk: Chunk, batch: Batch, decode_s: float) -> None:
        """Have a batch scored.

        Raises:
            RuntimeError: the one before is not finished.
        """
        if self._given is not None:
            raise RuntimeError("found a batch under way; expected it to be finished before the next")
        began = time.perf_counter()
        job = engine.begin(batch)
        begin_s = time.perf_counter() - began
        self._given = _Given(task, chunk, batch, decode_s, begin_s, job, self._pool.submit(_run, job))

    def finish(self) -> Scored | None:
        """Wait for what came of the batch; None if there is none. What the engine raised is raised here."""
        given, self._given = self._given, None
        if given is None:
            return None
        run_s = given.run_s.result()
        began = time.perf_counter()
        outcome = given.job.finish()
        scoring_s = given.begin_s + run_s + time.perf_counter() - began
        return Scored(given.task, given.chunk, given.batch, outcome, given.decode_s, scoring_s)

    def discard(self) -> None:
        """Wait for the batch, and forget what came of it; its engine is of no use any more."""
        given, self._given = self._given, None
        if given is not None:
            given.run_s.exception()

    def close(self) -> None:
        """Let the thread end."""
        self._pool.shutdown()


def _run(job: Job) -> float:
    began = time.perf_counter()
    job.run()
    return time.perf_counter() - began
