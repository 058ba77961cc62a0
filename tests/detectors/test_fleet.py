from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.fleet import FAULT_POINTS, FAULTS, FaultLabel, Fleet, make_fleet

INTERVAL_US = 300_000_000


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """96 lanes, 6 of each fault."""
    return make_fleet(7, lanes=96, points=1200, interval_us=INTERVAL_US)


def stream(fleet: Fleet, key: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Times and values of one lane."""
    rows = fleet.key_codes == fleet.key_names.index(key)
    return fleet.time_us[rows], fleet.values[rows]


def faults_of(fleet: Fleet, fault: str) -> list[FaultLabel]:
    """Labels of one kind."""
    return [label for label in fleet.labels if label.fault == fault]


def around(fleet: Fleet, label: FaultLabel) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Values before the fault, values within it, and the range of the values before it."""
    time_us, values = stream(fleet, label.key)
    before = values[time_us < label.start_us]
    within = values[(time_us >= label.start_us) & (time_us < label.end_us)]
    low, high = np.quantile(before, [0.01, 0.99])
    return before, within, high - low


def test_same_seed_same_fleet(fleet: Fleet) -> None:
    """The seed decides everything, and another seed gives another fleet."""
    again = make_fleet(7, lanes=96, points=1200, interval_us=INTERVAL_US)
    other = make_fleet(8, lanes=96, points=1200, interval_us=INTERVAL_US)
    assert again.labels == fleet.labels
    assert np.array_equal(again.values, fleet.values)
    assert other.labels != fleet.labels


def test_records_are_interleaved_by_time(fleet: Fleet) -> None:
    """Records come in order of time, lanes mixed, and each lane's own times rise."""
    assert np.all(np.diff(fleet.time_us) >= 0)
    assert np.mean(np.diff(fleet.key_codes) != 0) > 0.9
    for key in fleet.key_names:
        time_us, values = stream(fleet, key)
        assert np.all(np.diff(time_us) >= INTERVAL_US)
        assert np.isfinite(values).all()


def test_half_the_lanes_have_one_fault_of_each_kind_equally_often(fleet: Fleet) -> None:
    """Every kind falls on the same number of lanes, half the lanes altogether, never two on a lane."""
    assert Counter(label.fault for label in fleet.labels) == dict.fromkeys(FAULTS, 6)
    assert len({label.key for label in fleet.labels}) == len(fleet.labels)


def test_faults_lie_in_the_last_part_and_end_before_the_stream(fleet: Fleet) -> None:
    """Each label starts after 45 % of its stream, has a length of its kind and ends with points to spare."""
    for label in fleet.labels:
        time_us, _ = stream(fleet, label.key)
        shortest, longest = FAULT_POINTS[label.fault]
        assert label.start_us >= time_us[0] + int(0.45 * 1200) * INTERVAL_US
        assert shortest <= (label.end_us - label.start_us) / INTERVAL_US <= longest
        assert label.end_us < time_us[-1]


def test_silence_removes_records(fleet: Fleet) -> None:
    """A silent lane has no record between start and end, and one at the end; the others miss none."""
    silent = {label.key: label for label in faults_of(fleet, "silence")}
    for key, label in silent.items():
        time_us, _ = stream(fleet, key)
        assert not np.any((time_us >= label.start_us) & (time_us < label.end_us))
        assert label.end_us in time_us
    for key in set(fleet.key_names) - set(silent):
        assert len(stream(fleet, key)[0]) == 1200


def test_frozen_and_zero_are_constant(fleet: Fleet) -> None:
    """A frozen lane repeats one value, a dropped lane is zero, and neither happens before the fault."""
    for fault in ("frozen", "drop_to_zero"):
        for label in faults_of(fleet, fault):
            before, within, _ = around(fleet, label)
            assert np.ptp(within) == 0
            assert (within[0] == 0) == (fault == "drop_to_zero")
            assert np.all(before > 0)


def test_sizes_show_on_a_plot(fleet: Fleet) -> None:
    """Spikes, shifts, drifts and bursts move a lane by a good part of its range, and not by far more."""
    for label in faults_of(fleet, "spike"):
        before, within, span = around(fleet, label)
        assert 0.5 * span < np.abs(within[0] - before[-1]) < 2 * span
    for label in faults_of(fleet, "level_shift"):
        before, within, span = around(fleet, label)
        assert 0.35 * span < np.abs(within[0] - before[-1]) < 1.5 * span
    for label in faults_of(fleet, "drift"):
        time_us, values = stream(fleet, label.key)
        _, within, span = around(fleet, label)
        after = values[time_us >= label.end_us]
        assert 0.6 * span < np.abs(within[-1] - after[0]) < 2 * span
    for label in faults_of(fleet, "burst"):
        before, within, span = around(fleet, label)
        assert np.diff(within).std() > 2.5 * np.diff(before).std()
        assert np.ptp(within) < 5 * span


def test_changed_period_changes_the_cycle(fleet: Fleet) -> None:
    """The main cycle of the lane is at least 1.6 times faster or slower during the fault."""
    for label in faults_of(fleet, "changed_period"):
        before, within, _ = around(fleet, label)

        def main_period(values: NDArray[np.float64]) -> float:
            power = np.abs(np.fft.rfft(values - values.mean(), 8192))
            return float(8192 / power.argmax())

        ratio = main_period(within) / main_period(before)
        assert max(ratio, 1 / ratio) > 1.6


@pytest.mark.parametrize("bad", [{"lanes": 15}, {"points": 799}, {"interval_us": 999}])
def test_too_small_a_fleet_is_refused(bad: dict[str, int]) -> None:
    """A fleet without room for every kind of fault is refused with what was found and expected."""
    with pytest.raises(ValueError, match=r"found .* expected at least 16 lanes, 800 points and 1000 us"):
        make_fleet(7, **bad)
