"""Processes that score, and what they found as each is done."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from pipeline.errors import DriftlineError

T = TypeVar("T")


@contextmanager
def scoring_pool(jobs: int, prepare: Callable[[], object]) -> Iterator[ProcessPoolExecutor]:
    """So many processes within the block; what has not begun at its end never does.

    Args:
        jobs: processes.
        prepare: called first in each; from a module that imports nothing compiled.
    """
    # spawned, since a fork of a process with threads, and Arrow and numba have some, may hang
    pool = ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), initializer=prepare)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def each_done(futures: Mapping[Future[T], int]) -> Iterator[tuple[int, T]]:
    """(number, what was found) of each, in the order in which they come to an end.

    Raises:
        DriftlineError: a process that ended by itself.
    """
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as exc:
        raise DriftlineError(
            "found a scoring process ended by itself or the system; expected it to finish: is memory short? "
            "Try fewer --jobs"
        ) from exc
