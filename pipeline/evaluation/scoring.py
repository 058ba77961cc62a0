"""What the engine says of a labelled stream: scores, alerts, the time that it took."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.engine import Outcome, PartitionEngine
from pipeline.labelled import LabelledStream
from pipeline.records import Anomaly, Batch, VerdictTable

READ_OUTS = {"event": "score", "segment": "segment_score"}
"""Columns of a verdict that rank points, by the name of the read-out."""
US_PER_S = 1_000_000


class Engines(Protocol):
    """What is evaluated: makes a fresh engine for a stream. It goes to other processes, so it can be pickled."""

    def __call__(self, stream: str, fields: tuple[str, ...]) -> AbstractContextManager[PartitionEngine]:
        """An engine for the stream of a name, to be used within the block."""


@dataclass(frozen=True, slots=True, eq=False)
class StreamScores:
    """What an engine said of a stream of n rows.

    Attributes:
        scores: by read-out, (n,) float64: those of the fields and of their joint lane combined, 0 where a row was not
            scored. The segment score is missing where the detector has none.
        alert_score: (n,) float64, highest score of the alerts that were told with a row, else 0. An alert is an episode
            that opens or worsens. Where windows hold points back it is told with a later row than the one it is of.
        alerts_us: (a,) int64, event time of the row with which each alert was told, silences included.
        points: rows times fields.
        scoring_s: seconds spent in the engine.
        bytes_per_lane: of state.
    """

    scores: dict[str, NDArray[np.float64]]
    alert_score: NDArray[np.float64]
    alerts_us: NDArray[np.int64]
    points: int
    scoring_s: float
    bytes_per_lane: int


def score_stream(
    stream: LabelledStream, engines: Engines, *, clock: Callable[[], float], micro_batch: int
) -> StreamScores:
    """Take a stream through a fresh engine, in order and once.

    Args:
        stream: labels are not looked at.
        engines: what is evaluated.
        clock: seconds; read before and after each micro-batch.
        micro_batch: records taken at a time; it changes no score.
    """
    _load_kernels(stream, engines)
    by_lane: dict[str, NDArray[np.float32]] = {}
    alerts: list[tuple[int, float]] = []
    seconds = 0.0
    with engines(stream.name, stream.fields) as engine:
        shape = (len(stream), len(engine.lane_names))
        by_lane |= {name: np.full(shape, np.nan, np.float32) for name in READ_OUTS}
        for batch in _batches(stream, micro_batch):
            start = clock()
            outcome = engine.process(batch)
            seconds += clock() - start
            for table in outcome.verdicts:
                _place(table, by_lane)
            alerts += [(row, anomaly.score or 0.0) for row, anomaly in alerts_told(outcome)]
        bytes_per_lane = engine.lanes.bytes_per_lane
    return StreamScores(
        scores={
            name: _COMBINE[name](scores, len(stream.fields))
            for name, scores in by_lane.items()
            if name == "event" or np.isfinite(scores).any()
        },
        alert_score=_highest(len(stream), alerts),
        alerts_us=stream.time_us[[row for row, _ in alerts]],
        points=stream.values.size,
        scoring_s=seconds,
        bytes_per_lane=bytes_per_lane,
    )


def combine_lanes(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """One score (n,) of the scores (n, lanes) of a record: (sum of score^8)^(1/8), as novelties combine to a score.

    It is the score itself where there is one lane, and hardly more than the highest where there are several. NaN counts
    as 0.
    """
    scores = np.nan_to_num(scores, nan=0.0)
    largest: NDArray[np.float64] = scores.max(axis=1).astype(np.float64)
    if scores.shape[1] == 1:
        return largest
    share = scores / np.where(largest > 0, largest, 1.0)[:, None]
    combined: NDArray[np.float64] = largest * (share**8).sum(axis=1) ** 0.125
    return combined


def average_lanes(scores: NDArray[np.float32], fields: int) -> NDArray[np.float64]:
    """One segment score (n,) of those (n, lanes) of a record: the mean over fields, what lasts shows in many a little.

    The joint lane behind them, if there is one and where it has a score, counts as much as all fields together.
    """
    mean: NDArray[np.float64] = np.nan_to_num(scores[:, :fields], nan=0.0).mean(axis=1, dtype=np.float64)
    if scores.shape[1] == fields:
        return mean
    joint = scores[:, fields].astype(np.float64)
    return np.where(np.isnan(joint), mean, (mean + joint) / 2)


_COMBINE: dict[str, Callable[[NDArray[np.float32], int], NDArray[np.float64]]] = {
    "event": lambda scores, _fields: combine_lanes(scores),
    "segment": average_lanes,
}


def _batches(stream: LabelledStream, size: int) -> Iterator[Batch]:
    for start in range(0, len(stream), size):
        rows = slice(start, min(start + size, len(stream)))
        count = rows.stop - rows.start
        yield Batch(
            key_names=[stream.name],
            key_codes=np.zeros(count, np.int32),
            time_us=stream.time_us[rows],
            values=np.array(stream.values[rows]),
            position=np.arange(rows.start, rows.stop) + 1,
        )


def _load_kernels(stream: LabelledStream, engines: Engines) -> None:
    """Have an engine that is not used otherwise take the first record, so that loading kernels is not timed."""
    with engines(stream.name, stream.fields) as engine:
        engine.process(next(_batches(stream, 1)))


def _place(table: VerdictTable, by_lane: dict[str, NDArray[np.float32]]) -> None:
    """Put the scores of a table at the rows that they are of; those of empty windows are of none."""
    is_row = table.position > 0
    rows, lanes = table.position[is_row] - 1, table.field[is_row]
    for name, column in READ_OUTS.items():
        by_lane[name][rows, lanes] = getattr(table, column)[is_row]


def alerts_told(outcome: Outcome) -> Iterator[tuple[int, Anomaly]]:
    """Each alert, an episode that opens or worsens, behind the row with which it was told, counted from 0.

    Positions of the records must be their rows, counted from 1.
    """
    told: dict[tuple[int, str], int] = {}
    for table in outcome.verdicts:
        flagged = np.flatnonzero(table.is_anomaly)
        fields = [table.field_names[field] for field in table.field[flagged].tolist()]
        of = zip(table.position[flagged].tolist(), fields, strict=True)
        told |= dict(zip(of, table.released_by[flagged].tolist(), strict=True))
    for anomaly in outcome.anomalies:
        if anomaly.event != "closed":
            position = told[anomaly.position, anomaly.field] if anomaly.score is not None else anomaly.position
            yield position - 1, anomaly


def _highest(count: int, alerts: Iterable[tuple[int, float]]) -> NDArray[np.float64]:
    scores = np.zeros(count)
    for row, score in alerts:
        scores[row] = max(scores[row], score)
    return scores
