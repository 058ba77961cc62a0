import numpy as np
import pytest

from detectors.faults import KINDS, LARGEST, SMALLEST, disturb, longest, shows, value_range


def stream(points: int = 1000) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """A rhythm with noise, well above zero."""
    rng = np.random.default_rng(7)
    return 50 + 5 * np.sin(np.arange(points) / 20) + rng.normal(0, 0.5, points)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_changes_its_rows_and_no_earlier_ones(kind: str) -> None:
    """Nothing before a fault knows of it, it shows within, and only a level shift goes on behind."""
    before, extent = stream(), value_range(stream())
    after, fault = disturb(before, kind, 400, extent, np.random.default_rng(3))
    assert (after[:400] == before[:400]).all()
    assert (after[fault.stop :] == before[fault.stop :]).all() == (kind != "level_shift")
    assert fault.start == 400
    assert 1 <= fault.stop - fault.start <= longest(kind)
    assert shows(before, after, fault, extent)


def test_sizes_span_what_hardly_shows_and_what_nobody_misses() -> None:
    """The size told is that of the fault in ranges of the stream, drawn evenly by logarithm."""
    before, extent, rng = stream(), value_range(stream()), np.random.default_rng(3)
    sizes = []
    for _ in range(300):
        after, fault = disturb(before, "spike", 400, extent, rng)
        assert abs(after[400] - before[400]) == pytest.approx(fault.size * extent)
        sizes.append(fault.size)
    assert SMALLEST <= min(sizes) < 1.2 * SMALLEST
    assert 0.8 * LARGEST < max(sizes) <= LARGEST
    assert np.median(sizes) == pytest.approx((SMALLEST * LARGEST) ** 0.5, rel=0.15)


def test_counts_stay_counts_and_missing_values_missing() -> None:
    """Whole numbers that are never negative stay so, whatever the fault."""
    before = np.random.default_rng(7).poisson(3.0, 1000).astype(np.float64)
    before[410] = np.nan
    for kind in KINDS:
        after, _ = disturb(before, kind, 405, value_range(before), np.random.default_rng(3))
        finite = after[np.isfinite(after)]
        assert np.isnan(after[410])
        assert len(finite) == 999
        assert (finite >= 0).all()
        assert (finite == np.round(finite)).all()


def test_a_fault_that_changes_nothing_does_not_show() -> None:
    """A stream that stands still cannot freeze, and one at zero cannot drop to it."""
    before = stream()
    before[300:700] = 0.0
    for kind in ("frozen", "drop_to_zero"):
        after, fault = disturb(before, kind, 400, value_range(before), np.random.default_rng(3))
        assert not shows(before, after, fault, value_range(before))


def test_an_unknown_kind_or_row_is_refused() -> None:
    """With what was found and what was expected."""
    with pytest.raises(ValueError, match="found a fault 'melt' at row 3 of 10; expected one of"):
        disturb(np.zeros(10), "melt", 3, 1.0, np.random.default_rng(3))
    with pytest.raises(ValueError, match="at row 10 of 10"):
        disturb(np.zeros(10), "spike", 10, 1.0, np.random.default_rng(3))
