"""The guard over a newer bundle."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from pipeline.accounting import Counts
from pipeline.engine import Outcome
from pipeline.records import Anomaly, Suppression
from pipeline.residuals import BOUNDS, Residuals
from pipeline.service.guard import Guard
from pipeline.service.probation import Probation
from tests.pipeline.adapters.outputs.samples import anomalies_of, make_stream


def _outcome(level: float) -> Outcome:
    """Of 1,000 points with a mean residual."""
    buckets = np.zeros(len(BOUNDS) + 1, np.int64)
    buckets[3] = 1000
    return Outcome((), (), Counts(), np.zeros(0, np.int64), Residuals(buckets, 1000 * level))


class _Left:
    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.lessons: list[tuple[str, str]] = []

    def __call__(self, bundle: str, reason: str) -> None:
        self.calls.append((bundle, reason))

    def learned(self, bundle: str, lesson: str) -> None:
        self.lessons.append((bundle, lesson))


@pytest.fixture
def left() -> _Left:
    """What was asked to be left."""
    return _Left()


@pytest.fixture
def guard(left: _Left) -> Guard:
    """One that has seen the first bundle for long."""
    made = Guard("first", Probation(block_points=1000, pass_points=30_000), left, left.learned)
    for n in range(50):
        made.scored(_outcome(0.3 + 0.01 * (n % 3)))
    return made


def test_a_worse_bundle_is_left_once(guard: Guard, left: _Left) -> None:
    """With its name and reason, and not again while the way back is under way or behind it."""
    for _ in range(4):  # each partition tells of its own swap
        guard.swapped("second")
    assert guard.is_on_probation
    for _ in range(12):
        guard.scored(_outcome(0.6))
    ((bundle, reason),) = left.calls
    assert bundle == "second"
    assert "found a mean residual of 0.6" in reason
    for _ in range(4):
        guard.swapped("first")
    for _ in range(40):
        guard.scored(_outcome(0.6))
    assert len(left.calls) == 1
    assert not guard.is_on_probation


@pytest.mark.parametrize(
    ("level", "alarms", "told"),
    [
        (
            0.31,
            0,
            "within its own band of 0.258 to 0.372: the streams are as they were, and the newer bundle was worse",
        ),
        (0.6, 0, "outside its own band of 0.258 to 0.372: the streams have changed"),
        (0.1, 0, "outside its own band of 0.258 to 0.372: the streams have changed"),
        (0.31, 9, "(found 45 alarms in 5000 points; expected about 5): the streams have changed"),
    ],
    ids=["as-before", "larger", "smaller", "more-alarms"],
)
def test_behind_the_way_back_it_is_told_whether_it_was_the_bundle(
    guard: Guard, left: _Left, level: float, alarms: int, told: str
) -> None:
    """Once: whether the bundle from before does as before with what comes now, first forecasts of the other left out.

    What it does from then on is the band of the next newer bundle.
    """
    guard.swapped("second")
    for _ in range(12):
        guard.scored(_outcome(0.6))
    guard.swapped("first")
    for _ in range(10):
        guard.scored(_outcome(0.9))
    assert left.lessons == []
    for n in range(40):
        guard.scored(replace(_outcome(level + 0.01 * (n % 3)), anomalies=_alarms(alarms)))
    ((bundle, lesson),) = left.lessons
    assert bundle == "second"
    assert told in lesson
    guard.swapped("third")
    for n in range(60):
        guard.scored(replace(_outcome(level + 0.01 * (n % 3)), anomalies=_alarms(alarms)))
    assert [one for one, _ in left.calls] == ["second"]
    assert len(left.lessons) == 1


def test_a_way_back_that_people_took_tells_nothing(guard: Guard, left: _Left) -> None:
    """They know why."""
    guard.swapped("second")
    guard.scored(_outcome(0.3))
    guard.swapped("first")
    for _ in range(40):
        guard.scored(_outcome(0.6))
    assert left.lessons == []


def test_a_bundle_as_good_passes_and_sets_the_band(guard: Guard, left: _Left) -> None:
    """Behind its probation a bundle is what the next one is compared with."""
    guard.swapped("second")
    for n in range(60):
        guard.scored(_outcome(0.2 + 0.01 * (n % 3)))
    assert not guard.is_on_probation
    guard.swapped("third")
    for n in range(10):
        guard.scored(_outcome(0.3 + 0.01 * (n % 3)))
    assert [bundle for bundle, _ in left.calls] == ["third"]


def test_suppressed_alarms_do_not_count(guard: Guard, left: _Left) -> None:
    """A bundle is not left for alarms in maintenance, and is for as many that are told."""
    why = Suppression("id", "maintenance", "")
    alarms = tuple(msgspec.structs.replace(one, suppressed=why) for one in _alarms(50))
    guard.swapped("second")
    for _ in range(12):
        guard.scored(replace(_outcome(0.3), anomalies=alarms))
    assert not left.calls
    for _ in range(3):
        guard.scored(replace(_outcome(0.3), anomalies=_alarms(50)))
    assert len(left.calls) == 1


def _alarms(count: int) -> tuple[Anomaly, ...]:
    stream = make_stream(400)
    return tuple(anomalies_of(replace(stream, is_anomaly=np.arange(400) < count)))
