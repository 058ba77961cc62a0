from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from detectors.baselines import Persistence
from detectors.tail_rank import TailRank, rank_decision
from pipeline.engine import EngineConfig, PartitionEngine
from pipeline.episodes import Origin
from pipeline.evaluation.measures import measure
from pipeline.evaluation.scoring import combine_lanes, score_stream
from pipeline.labelled import LabelledStream
from pipeline.windows import CountWindows, TimeWindows, WindowSpec
from tests.fakes import INTERVAL_US, START_US, MemorySpill, column, make_batch, make_engine, process, seasonal


@dataclass(frozen=True, slots=True)
class SmallEngines:
    """Engines of a small random network."""

    windows: WindowSpec = field(default_factory=CountWindows)

    @contextmanager
    def __call__(self, stream: str, fields: tuple[str, ...]) -> Iterator[PartitionEngine]:  # noqa: ARG002
        """A fresh engine."""
        yield make_engine(config=EngineConfig(windows=self.windows), fields=fields)


class PersistenceEngines:
    """Engines of a baseline."""

    @contextmanager
    def __call__(self, stream: str, fields: tuple[str, ...]) -> Iterator[PartitionEngine]:
        """A fresh engine."""
        detector = Persistence(TailRank(rank_decision(1.0), 64))
        yield PartitionEngine(detector, EngineConfig(), fields, Origin("made", stream, "b"), MemorySpill())


class Ticks:
    """A clock that moves on by a second whenever it is read."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def __call__(self) -> float:
        """Seconds."""
        self.time_s += 1.0
        return self.time_s


def make_stream(fields: int = 1, rows: int = 900) -> LabelledStream:
    """A daily cycle with a spike in the last field at row 700."""
    rng = np.random.default_rng(7)
    values = np.column_stack([seasonal(rng, rows) for _ in range(fields)])
    values[700:703, -1] += 20
    is_anomaly = np.zeros(rows, bool)
    is_anomaly[700:703] = True
    time_us = START_US + INTERVAL_US * np.arange(rows)
    names = tuple(f"f{index}" for index in range(fields))
    return LabelledStream("s", names, time_us, values, is_anomaly, time_us[[[700, 702]]])


def test_scores_lie_at_the_rows_that_they_are_of() -> None:
    """Each row has the score of its verdict, 0 where there is none; alerts lie where episodes opened or worsened."""
    stream = make_stream()
    scores = score_stream(stream, SmallEngines(), clock=Ticks(), micro_batch=100)
    outcomes = process(make_engine(fields=("f0",)), [make_batch(["s"] * 900, stream.time_us, stream.values)])
    assert scores.scores["event"].tolist() == np.nan_to_num(column(outcomes, "score")).astype(float).tolist()
    alerts = [one for outcome in outcomes for one in outcome.anomalies if one.event != "closed"]
    assert np.flatnonzero(scores.alert_score).tolist() == [one.position - 1 for one in alerts]
    assert scores.alert_score[scores.alert_score > 0].tolist() == [one.score for one in alerts]
    assert scores.alerts_us.tolist() == stream.time_us[[one.position - 1 for one in alerts]].tolist()
    assert scores.points == 900


def test_time_is_that_of_the_engine_alone() -> None:
    """Nine micro-batches take nine ticks of the clock."""
    assert score_stream(make_stream(), SmallEngines(), clock=Ticks(), micro_batch=100).scoring_s == 9.0


def test_loading_kernels_is_not_timed() -> None:
    """Before the clock is first read another engine has taken a record, and what it saw is not among the scores."""
    clock = Ticks()
    made: list[tuple[float, PartitionEngine]] = []

    @contextmanager
    def engines(stream: str, fields: tuple[str, ...]) -> Iterator[PartitionEngine]:  # noqa: ARG001
        made.append((clock.time_s, make_engine(fields=fields)))
        yield made[-1][1]

    score_stream(make_stream(), engines, clock=clock, micro_batch=100)
    assert [(time_s, engine.counts.consumed) for time_s, engine in made] == [(0.0, 1), (0.0, 900)]


def test_the_size_of_micro_batches_does_not_show() -> None:
    """Scores and alerts are the same bits."""
    one, other = (score_stream(make_stream(2), SmallEngines(), clock=Ticks(), micro_batch=size) for size in (37, 900))
    assert one.scores["event"].tobytes() == other.scores["event"].tobytes()
    assert one.alert_score.tobytes() == other.alert_score.tobytes()


def test_segment_scores_of_a_record_are_averaged() -> None:
    """Of several fields the segment score of a row is the mean of theirs, and that of the joint lane weighs as much."""
    stream = make_stream(2)
    scores = score_stream(stream, SmallEngines(), clock=Ticks(), micro_batch=100)
    outcomes = process(make_engine(fields=stream.fields), [make_batch(["s"] * 900, stream.time_us, stream.values)])
    by_lane = np.full((900, 3), np.nan)
    by_lane[column(outcomes, "position") - 1, column(outcomes, "field")] = column(outcomes, "segment_score")
    fields = np.nan_to_num(by_lane[:, :2]).mean(axis=1)
    has_joint = np.isfinite(by_lane[:, 2])
    assert 0 < has_joint.sum() < 900
    np.testing.assert_allclose(
        scores.scores["segment"], np.where(has_joint, (fields + by_lane[:, 2]) / 2, fields), rtol=1e-6
    )
    assert scores.scores["segment"][:150].tolist() == [0.0] * 150


def test_a_detector_without_segment_scores_has_no_such_read_out() -> None:
    """What baselines leave empty is not ranked by."""
    scores = score_stream(make_stream(), PersistenceEngines(), clock=Ticks(), micro_batch=100)
    assert [*scores.scores] == ["event"]
    assert measure(make_stream(), scores).ranking.keys() == {"event"}


def test_late_and_duplicate_rows_score_nothing() -> None:
    """Rows whose time goes back or stands still have the score 0, and the others the scores that they have alone."""
    stream = make_stream()
    kept = np.insert(np.arange(900), 800, [500, 799])  # row 500 once more behind row 799, and row 799 twice
    doubled = replace(
        stream, time_us=stream.time_us[kept], values=stream.values[kept], is_anomaly=stream.is_anomaly[kept]
    )
    plain, scores = (
        score_stream(one, SmallEngines(), clock=Ticks(), micro_batch=1000).scores["event"] for one in (stream, doubled)
    )
    assert scores[800:802].tolist() == [0, 0]
    assert np.delete(scores, [800, 801]).tobytes() == plain.tobytes()


def test_an_engine_sees_nothing_of_the_labels_or_the_future() -> None:
    """Other labels and other rows behind leave a score as it was."""
    stream = make_stream()
    cut = replace(
        stream,
        time_us=stream.time_us[:750],
        values=stream.values[:750],
        is_anomaly=~stream.is_anomaly[:750],
        windows=np.empty((0, 2), np.int64),
    )
    whole, part = (score_stream(one, SmallEngines(), clock=Ticks(), micro_batch=200) for one in (stream, cut))
    assert whole.scores["event"][:750].tobytes() == part.scores["event"].tobytes()


@pytest.mark.parametrize("windows", [CountWindows(hop=7), TimeWindows(6 * INTERVAL_US, 3 * INTERVAL_US)])
def test_an_alert_lies_where_it_is_told(windows: WindowSpec) -> None:
    """Windows that hold points back tell an alert late; it lies at the row behind which the engine knew it."""
    stream, engines = make_stream(), SmallEngines(windows)
    whole = score_stream(stream, engines, clock=Ticks(), micro_batch=1000)
    alert = int(np.flatnonzero(whole.alert_score[700:])[0]) + 700
    assert 700 < alert < 710
    assert stream.time_us[alert] in whole.alerts_us
    for rows, is_known in ((alert, False), (alert + 1, True)):
        cut = replace(
            stream, time_us=stream.time_us[:rows], values=stream.values[:rows], is_anomaly=stream.is_anomaly[:rows]
        )
        part = score_stream(cut, engines, clock=Ticks(), micro_batch=1000)
        assert part.alert_score.tobytes() == whole.alert_score[:rows].tobytes()
        assert bool(part.alert_score[700:].any()) == is_known


def test_fields_combine_as_novelties_do() -> None:
    """A record's score is the eighth root of the sum of eighth powers; of one field it is that field's, to the bit."""
    scores = np.array([[1.0, 2.0], [0.0, 0.0], [3.0, 3.0]], np.float32)
    assert combine_lanes(scores) == pytest.approx([(1 + 2**8) ** 0.125, 0, 3 * 2**0.125])
    alone = np.random.default_rng(7).random((50, 1), np.float32)
    assert combine_lanes(alone).astype(np.float32).tobytes() == alone.tobytes()
