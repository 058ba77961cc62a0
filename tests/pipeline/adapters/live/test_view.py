"""What the view shows, of what it is told: committed things alone, within its bounds, and rows without a race."""

import threading
import time
from itertools import islice

import numpy as np
import pytest

from pipeline.adapters.live import view
from pipeline.adapters.live.figures import Figures
from pipeline.adapters.live.model import KeyList
from pipeline.adapters.live.source import MOST_ANOMALIES, Wanted
from pipeline.records import Place, Problem
from tests.fakes import make_batch, make_engine, one_stream
from tests.pipeline.adapters.live.samples import PLACE, Told, fleet_batches, looping

EVERYTHING = Wanted(limit=MOST_ANOMALIES)


def _values(told: Told, key: str, field: str = "", limit: int = 5000) -> list[float | None]:
    history = told.view.history(key, field, limit)
    return [value for lane in history.lanes for value in lane.points.value]


def test_only_what_is_committed_is_shown() -> None:
    """Anomalies and points appear with their commit, with its time, and not before."""
    told = Told()
    found = [one.id for batch in fleet_batches(16) for one in told.process(batch).anomalies]
    with looping(told):
        key = told.engine.lanes.names[0]
        assert told.view.anomalies(EVERYTHING).anomalies == []
        assert _values(told, key) == []
    told.commit()
    shown = told.view.anomalies(EVERYTHING).anomalies
    assert [one.id for one in shown] == list(reversed(found))
    assert {one.committed_ms for one in shown} == {told.now_s * 1000}
    with looping(told):
        assert len(_values(told, key)) > 500
    assert told.view.overview().newest_anomaly == found[-1]


def test_what_is_dropped_is_never_shown() -> None:
    """What a failed commit or a loss of partitions drops does not come with the next commit, but once."""
    told = Told()
    batches = list(fleet_batches(16))
    for batch in batches[:4]:
        told.process(batch)
    told.observer.commit_failed()
    told.engine = make_engine()
    found = [one.id for batch in batches[:2] for one in told.process(batch).anomalies]
    told.commit()
    assert [one.id for one in told.view.anomalies(EVERYTHING).anomalies] == list(reversed(found))
    for batch in batches[2:5]:
        told.process(batch)
    told.observer.rebalanced("lost", [PLACE])
    told.engine = make_engine()
    for batch in batches[:2]:
        told.engine.process(batch)  # done again without output
    found += [one.id for batch in batches[2:] for one in told.process(batch).anomalies]
    told.commit()
    assert [one.id for one in told.view.anomalies(EVERYTHING).anomalies] == list(reversed(found))
    with looping(told):
        history = told.view.history(told.engine.lanes.names[0], "", 5000)
    positions = history.lanes[0].points.position
    assert positions == sorted(set(positions))


def test_history_is_what_was_said_of_a_lane() -> None:
    """The newest points of one field of one key, as in the verdicts, the oldest first, however they were cut."""
    rng = np.random.default_rng(7)
    told = Told(fields=("a", "b"))
    keys = [f"key-{number % 3}" for number in range(900)]
    times = 1_700_000_000_000_000 + 60_000_000 * np.arange(900)
    whole = make_batch(keys, times, rng.normal(size=(900, 2)))
    tables = []
    for start, stop in ((0, 5), (5, 6), (6, 500), (500, 900)):
        tables += told.process(whole.slice(start, stop)).verdicts
        told.commit()
    with looping(told):
        history = told.view.history("key-1", "b", 150)
    (lane,) = history.lanes
    assert (lane.topic, lane.partition, lane.field, lane.lanes) == (*PLACE, "b", ["a", "b", "*"])
    rows = [
        (table.time_us[row] / 1000, table.value[row], table.lower[row], table.score[row], int(table.severity[row]))
        for table in tables
        for row in range(len(table))
        if table.key_names[table.key[row]] == "key-1" and table.field_names[table.field[row]] == "b"
    ][-150:]
    points = lane.points
    told_rows = zip(points.time_ms, points.value, points.lower, points.score, points.severity, strict=True)
    assert [[None if one is None or np.isnan(one) else one for one in row] for row in rows] == [
        list(row) for row in told_rows
    ]
    assert lane.now is not None
    assert (lane.now.points, lane.now.phase, lane.now.newest_ms) == (300, "provisional", points.time_ms[-1])


def test_points_that_reached_no_lane_are_not_drawn() -> None:
    """Neither a missing value nor a point that came twice or late is one of the history."""
    times = 1_700_000_000_000_000 + 60_000_000 * np.array([0, 1, 1, 2, 3, 1])
    told = Told()
    told.process(make_batch(["a"] * 6, times, np.array([1.0, 2.0, 2.0, np.nan, 3.0, 4.0])))
    told.commit()
    with looping(told):
        assert _values(told, "a") == [1.0, 2.0, 3.0]


def test_memory_is_bounded() -> None:
    """Points are kept up to the budget and about so, the newest of them; with none, rows alone are told."""
    bounded, none = Told(max_bytes=200_000), Told(max_bytes=0)
    for batch in fleet_batches(16, size=500):
        for told in (bounded, none):
            told.process(batch)
            told.commit()
    kept = bounded.view._points
    assert 100_000 < kept._bytes <= 200_000
    assert kept._bytes == sum(block.nbytes for blocks in kept._shown.values() for block in blocks)
    newest = int(bounded.engine.lanes.slab["scalars"]["last_time_us"].max()) / 1000
    with looping(bounded), looping(none):
        key = bounded.engine.lanes.names[0]
        (lane,) = bounded.view.history(key, "", 5000).lanes
        assert 0 < len(lane.points.value) < 700
        assert lane.now is not None
        assert lane.points.time_ms[-1] == lane.now.newest_ms <= newest
        (lane,) = none.view.history(key, "", 5000).lanes
        assert lane.points.value == []
        assert lane.now is not None


def test_many_small_batches_are_put_together() -> None:
    """A thousand commits of one point each leave few blocks, and every point."""
    told = Told()
    whole = one_stream(np.random.default_rng(7).normal(size=1500), key="slow")
    for at in range(1500):
        told.process(whole.slice(at, at + 1))
        told.commit()
    assert len(told.view._points._shown[PLACE]) == 2
    with looping(told):
        assert _values(told, "slow") == whole.values[:, 0].tolist()


def test_a_loop_that_does_not_come_is_not_waited_for_long() -> None:
    """Without an answer about the rows the rest is told after a second."""
    told = Told()
    told.process(one_stream(np.zeros(10), key="a"))
    told.commit()
    began = time.monotonic()
    (lane,) = told.view.history("a", "", 10).lanes
    assert 0.9 < time.monotonic() - began < 30
    assert lane.now is None
    assert len(lane.points.value) == 10


def test_rows_are_looked_at_by_the_loop_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question waits until the thread of the loop says that no engine is at work."""
    monkeypatch.setattr(view, "_ANSWER_S", 60.0)
    told = Told()
    told.process(one_stream(np.zeros(10), key="a"))
    answers = []
    thread = threading.Thread(target=lambda: answers.append(told.view.history("a", "", 10)))
    thread.start()
    while not told.view._questions:
        time.sleep(0.01)
    time.sleep(0.2)
    assert not answers
    told.round()
    thread.join()
    now = answers[0].lanes[0].now
    assert now is not None
    assert now.points == 10


def test_a_partition_that_has_gone_is_told_of_no_more() -> None:
    """Neither its keys nor its lag count, while its points are still there to look at."""
    told = Told()
    for batch in fleet_batches(16):
        told.process(batch)
    told.commit()
    assert told.view.overview().lag_records == 5
    told.observer.rebalanced("revoked", [PLACE])
    told.observer.set_status({Place("other", 1): "restoring"})
    now = told.view.overview()
    assert (now.lag_records, now.keys) == (0, 0)
    assert [(one.topic, one.status, one.offset) for one in now.partitions] == [("other", "restoring", None)]
    with looping(told):
        assert told.view.keys("fan", 10).total == 0


def test_keys_are_found_by_a_text() -> None:
    """Whatever the case, those that begin with it first; without one those that were heard of last; all are counted."""
    told = Told()
    names = ["alpha", "Beta", "beta-2", "alphabet", *(f"other-{number}" for number in range(300))]
    told.process(make_batch(names, np.full(len(names), 10**15), np.zeros(len(names))))
    told.commit()
    told.process(make_batch(["alpha"], np.array([10**15 + 1]), np.zeros(1)))
    told.commit()
    assert told.view.keys("BET", 10).keys == ["Beta", "beta-2", "alphabet"]
    found = told.view.keys("", 5)
    assert (len(found.keys), found.total) == (5, 304)
    assert told.view.keys("other", 7).total == 300
    assert told.view.keys("none", 7).keys == []


def test_messages_that_reached_no_lane_are_no_keys() -> None:
    """Among the keys heard of last is neither one that came without a key nor one of which all was unusable."""
    times = 1_700_000_000_000_000 + 60_000_000 * np.arange(3)
    told = Told()
    unusable = Problem(1, -1, "bad_key", "no key")
    told.process(make_batch(["a", "", "b"], times, np.array([1.0, np.nan, 2.0]), [unusable]))
    told.commit()
    assert told.view.keys("", 10) == KeyList(["a", "b"], 2)


def test_a_loop_that_is_held_up_has_no_pace() -> None:
    """While it does not come round, as when Kafka is away, records a second are not what they were before."""
    told = Told()
    for batch in islice(fleet_batches(16, size=100), 8):
        told.process(batch)
        told.commit()
        told.round()
    assert told.view.overview().records_per_s == 100
    told.now_s += 60
    assert told.view.overview().records_per_s == 0
    told.round()
    assert told.view.overview().records_per_s == 0


def test_every_metric_that_is_shown_exists() -> None:
    """A metric renamed in its catalogue is noticed here."""
    told = Told()
    for batch in fleet_batches(16):
        told.process(batch)
    told.observer.dead_lettered({"malformed": 3})
    told.commit()
    samples = Figures(told.registry)._samples
    for name in (
        "records_total", "anomalies_total", "episode_events_total", "dead_letters_total", "lanes", "episodes_open",
        "state_bytes", "watermark_timestamp_seconds", "last_commit_timestamp_seconds", "bundle_info", "build_info",
    ):  # fmt: skip
        assert name in samples, name
    now = told.view.overview()
    assert now.dead_letters == 3
    assert now.watermark_ms == told.engine.watermark_us / 1000
    assert now.state_bytes == told.engine.lanes.state_bytes
