"""Alarms of two runs in pairs."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.report.diff.alarms import Alarm, pair_alarms
from pipeline.adapters.report.episodes import Episode


def _episodes(*opened: float, key: str = "pump", severity: int = 2) -> list[Episode]:
    return [Episode(key, "value", "point", at, at + 1, severity, 3.0) for at in opened]


def _pairs(alarms: list[Alarm]) -> list[tuple[float | None, ...]]:
    return [tuple(one.opened_ms if one else None for one in (alarm.a, alarm.b)) for alarm in alarms]


def test_alarms_within_the_tolerance_are_one() -> None:
    """Those farther apart are of one run each; all come in order of time."""
    found = pair_alarms(_episodes(10, 50, 90), _episodes(12, 61, 200), lambda _lane: 10)
    assert _pairs(found) == [(10, 12), (50, None), (None, 61), (90, None), (None, 200)]


def test_alarms_of_other_lanes_are_others() -> None:
    """At the same moment, too."""
    found = pair_alarms(_episodes(10, key="pump"), _episodes(10, key="fan"), lambda _lane: 10)
    assert sorted(_pairs(found), key=str) == sorted([(10, None), (None, 10)], key=str)


def test_an_alarm_is_paired_once() -> None:
    """Two of one run near one of the other leave one alone."""
    assert _pairs(pair_alarms(_episodes(10, 11), _episodes(10), lambda _lane: 5)) == [(10, 10), (11, None)]


def test_only_what_is_said_alike_is_the_same() -> None:
    """A pair differs by its time or by its severity."""
    (same,) = pair_alarms(_episodes(10), _episodes(10), lambda _lane: 0)
    (later,) = pair_alarms(_episodes(10), _episodes(11), lambda _lane: 1)
    (worse,) = pair_alarms(_episodes(10), _episodes(10, severity=3), lambda _lane: 0)
    assert [same.is_same, later.is_same, worse.is_same] == [True, False, False]


@given(st.lists(st.integers(0, 30), max_size=6), st.lists(st.integers(0, 30), max_size=6), st.integers(0, 5))
def test_there_are_as_many_pairs_as_there_can_be(a: list[int], b: list[int], tolerance: int) -> None:
    """No other way of pairing has more of them, and every alarm is there once."""
    found = pair_alarms(_episodes(*a), _episodes(*b), lambda _lane: tolerance)
    paired = sum(alarm.a is not None and alarm.b is not None for alarm in found)
    assert paired == _most_pairs(sorted(a), sorted(b), tolerance)
    assert sorted(alarm.a.opened_ms for alarm in found if alarm.a) == sorted(a)
    assert sorted(alarm.b.opened_ms for alarm in found if alarm.b) == sorted(b)


def _most_pairs(a: list[int], b: list[int], tolerance: int) -> int:
    """By trying every way."""
    if not a:
        return 0
    first, *rest = a
    alone = _most_pairs(rest, b, tolerance)
    ways = [
        1 + _most_pairs(rest, b[:at] + b[at + 1 :], tolerance)
        for at, other in enumerate(b)
        if abs(first - other) <= tolerance
    ]
    return max([alone, *ways])
