"""What people have said, in training."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.feedback import Feedback, Kind, Ranges
from pipeline.training.alarms import AlarmCounter, count_alarms
from pipeline.training.history import History
from tests.fakes import cut, every, make_detector, make_engine, process
from tests.pipeline.training.test_history import BATCH

pytestmark = pytest.mark.torch
LAST_US = int(BATCH.time_us.max())
FAULT_US = int(BATCH.time_us[np.flatnonzero(BATCH.values[:, 0] > 40)[0]])


def _history(*said: Feedback, size: int = 700) -> History:
    history = History(10**9, 100, Ranges(said))
    engine = make_engine(make_detector(gain=0, threshold=2.2), fields=("a", "b"))
    for outcome in process(engine, cut(BATCH, every(BATCH, size))):
        history.add(outcome.verdicts, outcome.anomalies)
    history.publish()
    return history


def _points(history: History, key: str = "k0") -> NDArray[np.void]:
    return next(points for name, points in history if name[2] == key)


def _said(kind: Kind, from_us: int, to_us: int, field: str | None = None) -> Feedback:
    return Feedback(id=f"{kind}{from_us}", kind=kind, key="k0", field=field, from_us=from_us, to_us=to_us)


PLAIN = _points(_history())


@pytest.mark.parametrize("kind", ["maintenance", "true_anomaly"])
def test_maintenance_and_true_anomalies_are_not_learned(kind: Kind) -> None:
    """Their points count as points of an episode, of the field and in the range that is meant and nowhere else."""
    start, end = LAST_US // 2 + int(BATCH.time_us.min()) // 2, LAST_US // 4 * 3 + int(BATCH.time_us.min()) // 4
    history = _history(_said(kind, start, end, "a"))
    points = _points(history)
    within = (points["time_us"] >= start) & (points["time_us"] <= end) & (points["field"] == 0)
    assert within.sum() > 100
    assert not PLAIN["in_episode"][within].all()
    assert points["in_episode"][within].all()
    assert (points["in_episode"] == PLAIN["in_episode"])[~within].all()
    assert (_points(history, "k1")["in_episode"] == _points(_history(), "k1")["in_episode"]).all()
    assert history.digest() != _history().digest()
    assert _history(_said(kind, start, end, "a"), size=37).digest() == history.digest()
    assert (_points(_history(_said(kind, start, end, "a"), size=37))["in_episode"] == points["in_episode"]).all()


def test_a_false_alarm_is_learned() -> None:
    """Points of an episode that was none are not masked; its alarm still counts as one."""
    points = _points(_history(_said("false_alarm", FAULT_US, LAST_US)))
    within = points["time_us"] >= FAULT_US
    assert PLAIN["in_episode"][within].any()
    assert not points["in_episode"][within].any()
    assert (points["in_episode"] == PLAIN["in_episode"])[~within].all()
    assert (points["opens"] == PLAIN["opens"]).all()


def test_alarms_in_maintenance_are_not_counted() -> None:
    """Neither of the bundle before nor of the new one, and the points of what is held back stay the same."""
    window = _said("maintenance", FAULT_US - 1, LAST_US)
    before, without = count_alarms(_history()), count_alarms(_history(window))
    assert without.points == before.points
    assert without.opened < before.opened
    counter = AlarmCounter(without.since_us, Ranges([window]))
    engine = make_engine(make_detector(gain=0, threshold=2.2), fields=("a", "b"))
    for outcome in process(engine, cut(BATCH, every(BATCH, 333))):
        counter.add(outcome.verdicts, outcome.anomalies)
    assert (counter.counted.points, counter.counted.opened) == (without.points, without.opened)
