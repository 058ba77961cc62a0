"""Histories in memory, and trials over them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.detector import Detector
from pipeline.engine import EngineConfig, PartitionEngine
from pipeline.feedback import NOTHING_SAID, Ranges
from pipeline.gate.extent import Extent, measure_extent
from pipeline.gate.tally import Spans, Tally
from pipeline.gate.trial import Trial, run_trial
from pipeline.records import Batch
from tests.fakes import INTERVAL_US, START_US, make_batch, make_detector, make_engine, seasonal


@dataclass(frozen=True, slots=True)
class Recorded:
    """A batch as a partition."""

    batch: Batch
    name: str = "recorded"
    path: Path = Path("recorded")

    def batches(self, batch_size: int, *, after_row: int = 0) -> Iterator[Batch]:
        """See `Partition`."""
        for start in range(after_row, len(self.batch), batch_size):
            yield self.batch.slice(start, min(start + batch_size, len(self.batch)))


def streams(keys: int = 10, points: int = 500, fields: int = 1, *, late: int = 0) -> Batch:
    """Keys in turn, five minutes apart, each with a daily cycle; `late` records of the middle come ten rounds late."""
    rng = np.random.default_rng(7)
    values = np.stack([[seasonal(rng, points) for _ in range(fields)] for _ in range(keys)])
    time_us = (START_US + INTERVAL_US * np.arange(points))[:, None].repeat(keys, axis=1).ravel()
    order = np.arange(len(time_us), dtype=np.float64)
    middle = len(order) // 2
    order[middle : middle + late] += 10 * keys + 0.5
    batch = make_batch(
        [f"key-{key}" for key in range(keys)] * points, time_us, values.transpose(2, 0, 1).reshape(-1, fields)
    )
    return _ordered(batch, np.argsort(order, kind="stable"))


def _ordered(batch: Batch, order: NDArray[np.intp]) -> Batch:
    return Batch(batch.key_names, batch.key_codes[order], batch.time_us[order], batch.values[order], batch.position)


def extent_of(parts: Sequence[Batch], end_us: int | None = None) -> Extent:
    """Of a history that there is something of."""
    extent = measure_extent([Recorded(part) for part in parts], end_us, lambda _: None, lambda: False)
    assert extent is not None
    return extent


def trial_of(
    parts: Sequence[Batch],
    challenger: Detector,
    champion: Detector | None = None,
    *,
    held_out: float = 0.4,
    config: EngineConfig | None = None,
    challenger_config: EngineConfig | None = None,
    keys_in_memory: int | None = None,
    micro_batch: int = 1_000,
    spans: Spans | None = None,
    feedback: Ranges = NOTHING_SAID,
) -> Trial:
    """The challenger against the champion over some partitions; seconds count calls of the clock."""
    champion = champion or make_detector(warm_up=50)
    fields = tuple(f"field-{n}" for n in range(parts[0].values.shape[1]))
    extent, ticks = extent_of(parts), iter(range(10**9))

    def make(detector: Detector, config: EngineConfig | None) -> PartitionEngine:
        return make_engine(detector, config, fields=fields, keys_in_memory=keys_in_memory)

    trial = run_trial(
        [Recorded(part) for part in parts],
        lambda: make(champion, config),
        (lambda: make(champion, config), lambda: make(challenger, challenger_config or config)),
        Tally(extent.begin_of(held_out), extent.last_us, spans, feedback),
        told="recorded",
        end_us=None,
        micro_batch=micro_batch,
        clock=lambda: float(next(ticks)),
        observe=lambda _: None,
        stop=lambda: False,
    )
    assert trial is not None
    return trial
