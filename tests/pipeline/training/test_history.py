import numpy as np
import pytest

from pipeline.engine import EngineConfig
from pipeline.records import Batch
from pipeline.training.alarms import AlarmCounter, count_alarms
from pipeline.training.gathering import group
from pipeline.training.history import History
from pipeline.windows import TimeWindows
from tests.fakes import (
    INTERVAL_US,
    START_US,
    cut,
    every,
    make_batch,
    make_detector,
    make_engine,
    process,
    seasonal,
)

pytestmark = pytest.mark.torch
COUNT = 900


def stream(keys: int = 6) -> Batch:
    """Records of several keys, of which later ones come more seldom, with a fault in the first."""
    rng = np.random.default_rng(7)
    key = rng.choice(keys, COUNT * keys, p=np.arange(keys, 0, -1) / sum(range(keys + 1)))
    values = np.stack([seasonal(rng, len(key)), seasonal(rng, len(key))], axis=1)
    fault = np.flatnonzero(key == 0)[-40:-37]
    values[fault, 0] += 50
    return make_batch([f"k{n}" for n in key], START_US + INTERVAL_US * np.arange(len(key)), values)


BATCH = stream()


def remember(most: int, size: int, config: EngineConfig | None = None, least: int = 100) -> History:
    """The history of the stream, in micro-batches of a size."""
    history = History(most, least)
    engine = make_engine(make_detector(gain=0, threshold=2.2), config, fields=("a", "b"))
    for outcome in process(engine, cut(BATCH, every(BATCH, size))):
        history.add(outcome.verdicts, outcome.anomalies)
    history.publish()
    return history


def test_what_is_kept_is_what_was_scored() -> None:
    """Every accepted point is there, key by key and in order, with its value, time and place."""
    history = remember(10**9, 700)
    assert [name[2] for name, _ in history] == [f"k{n}" for n in range(6)]
    assert history.points_kept == history.points_seen == BATCH.values.size
    for name, points in history:
        mine = BATCH.key_codes == BATCH.key_names.index(name[2])
        second = points["field"] == 1
        assert points["value"][second].tobytes() == BATCH.values[mine, 1].tobytes()
        assert points["time_us"][second].tobytes() == BATCH.time_us[mine].tobytes()


@pytest.mark.parametrize("most", [10**9, 5000, 900])
def test_micro_batches_do_not_show(most: int) -> None:
    """Whatever has room, the same is kept however the records were cut."""
    digests = {remember(most, size).digest() for size in (1, 37, 2000, len(BATCH))}
    assert len(digests) == 1


def test_memory_is_bounded_and_the_newest_are_kept() -> None:
    """With room for fewer points each key keeps its newest; with room for fewer keys, a part of them is kept."""
    history = remember(5000, 100)
    assert history.points_kept <= 5000
    assert history.keys_kept == 6
    for name, points in history:
        mine = BATCH.time_us[BATCH.key_codes == BATCH.key_names.index(name[2])]
        assert points["time_us"][-1] == mine[-1]
    few = remember(450, 100)
    assert (few.keys_kept, few.keys_seen) == (4, 6)
    assert all(len(points) == 100 for _, points in few)


def test_points_of_episodes_are_told() -> None:
    """Points from the one that opens an episode on are marked until it closes."""
    _, points = next(iter(remember(10**9, 500)))
    opened = np.flatnonzero(points["opens"] & (points["field"] == 0))
    assert len(opened) >= 1
    assert points["value"][opened[-1]] > 40
    assert points["in_episode"][opened].all()
    assert not points["in_episode"].all()


@pytest.mark.parametrize("by_pane", [False, True])
def test_points_of_a_record_or_pane_are_one_step(by_pane: bool) -> None:
    """Steps are told as the kernel tells them: by record, or with windows by event time by pane."""
    config = EngineConfig(windows=TimeWindows(2 * INTERVAL_US, 2 * INTERVAL_US, 0)) if by_pane else None
    _, points = next(iter(remember(10**9, 500, config)))
    step = group(points, by_pane=by_pane)
    assert step[0] == 0
    counts = np.bincount(step)
    assert (counts == 2).all()
    for column in ("time_us",) if by_pane else ("time_us", "position"):
        assert (np.diff(points[column])[np.diff(step) == 0] == 0).all()


def test_alarms_of_the_newest_fifth_are_counted_alike() -> None:
    """Counted in a history or in a replay after it, the newest fifth has the same points and alarms."""
    history = remember(10**9, 500)
    before = count_alarms(history)
    counter = AlarmCounter(before.since_us)
    engine = make_engine(make_detector(gain=0, threshold=2.2), fields=("a", "b"))
    for outcome in process(engine, cut(BATCH, every(BATCH, 333))):
        counter.add(outcome.verdicts, outcome.anomalies)
    assert (counter.counted.points, counter.counted.opened) == (before.points, before.opened)
    assert before.opened > 0
    assert before.points == pytest.approx(BATCH.values.size / 5, rel=0.01)
    assert before.rate == 1000 * before.opened / before.points
