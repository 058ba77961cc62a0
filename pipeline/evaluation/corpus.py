"""Many labelled streams through the engine, in several processes."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.evaluation.measures import StreamResult, measure
from pipeline.evaluation.processes import each_done, scoring_pool
from pipeline.evaluation.scoring import Engines, score_stream
from pipeline.interfaces import LabelledSource


@dataclass(frozen=True, slots=True)
class CorpusPlan:
    """How streams are scored; none of it alters a score.

    Attributes:
        jobs: processes; with 1 there is none but this.
        micro_batch: records taken at a time.
        prepare: called first in each process; from a module that imports nothing compiled.
    """

    jobs: int
    micro_batch: int
    prepare: Callable[[], object]


def evaluate_corpus(
    sources: Sequence[LabelledSource],
    engines: Engines,
    plan: CorpusPlan,
    observe: Callable[[StreamResult], None],
) -> list[StreamResult]:
    """The measures of each stream, in the order of `sources`, whatever the number of processes.

    Args:
        sources: the streams; each is read by the process that scores it.
        engines: what is evaluated.
        plan: in how many processes.
        observe: told of each stream when it is done, in any order.

    Raises:
        UserError: a stream that cannot be read or scored.
        DriftlineError: a process that ended by itself.
    """
    results: dict[int, StreamResult] = {}
    for index, result in _results(sources, engines, plan):
        results[index] = result
        observe(result)
    return [results[index] for index in range(len(sources))]


def evaluate_source(source: LabelledSource, engines: Engines, micro_batch: int) -> StreamResult:
    """Read, score and measure one stream.

    Its time is that which the processor spent on this process, so that neither other processes nor a wait count.
    """
    stream = source.read()
    return measure(stream, score_stream(stream, engines, clock=time.process_time, micro_batch=micro_batch))


def _results(
    sources: Sequence[LabelledSource], engines: Engines, plan: CorpusPlan
) -> Iterator[tuple[int, StreamResult]]:
    largest_first = sorted(range(len(sources)), key=lambda index: -sources[index].points)
    jobs = min(plan.jobs, len(sources))
    if jobs <= 1:
        for index in largest_first:
            yield index, evaluate_source(sources[index], engines, plan.micro_batch)
        return
    with scoring_pool(jobs, plan.prepare) as pool:
        yield from each_done(
            {pool.submit(evaluate_source, sources[index], engines, plan.micro_batch): index for index in largest_first}
        )
