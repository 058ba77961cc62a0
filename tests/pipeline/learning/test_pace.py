import pytest

from pipeline.learning.pace import Pace


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_rest_takes_as_long_as_what_was_seen() -> None:
    """A training that is gone on with at a half and does a tenth in ten seconds needs forty more."""
    clock = _Clock()
    pace = Pace(clock)
    assert pace.left_s(0.5) is None
    clock.now += 0.5
    assert pace.left_s(0.505) is None, "found a time of half a second's progress"
    clock.now += 9.5
    assert pace.left_s(0.6) == pytest.approx(40)
    clock.now += 40
    assert pace.left_s(1.0) == 0


def test_what_does_not_move_has_no_end() -> None:
    """Nothing is said where nothing was done, and what begins anew has a pace of its own."""
    clock = _Clock()
    pace = Pace(clock)
    pace.left_s(0.2)
    clock.now += 60
    assert pace.left_s(0.2) is None
    assert pace.left_s(0.1) is None
    clock.now += 10
    assert pace.left_s(0.2) == pytest.approx(80)
