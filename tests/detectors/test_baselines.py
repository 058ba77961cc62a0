"""The baselines beside their definitions written out, and that each is a detector like the LSTM."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.baselines import Persistence, WindowedGaussian
from detectors.episodes import OPENED
from detectors.kernel import Verdicts
from detectors.layout import Slab, allocate
from detectors.tail_rank import TailRank, rank_decision
from tests.fakes import INTERVAL_US, START_US, seasonal

RANKING = TailRank(rank_decision(1.0))
Baseline = WindowedGaussian | Persistence
KINDS: dict[str, Callable[[], Baseline]] = {
    "gaussian": lambda: WindowedGaussian(RANKING, 100),
    "persistence": lambda: Persistence(RANKING),
}
EACH = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)


def _run(detector: Baseline, values: NDArray[np.float64], slab: Slab | None = None, first: int = 0) -> Verdicts:
    """Verdicts of one lane, whose points are numbered from `first`."""
    slab = allocate(detector.lane_dtype, 1) if slab is None else slab
    at = first + np.arange(len(values))
    walk = detector.begin(slab, np.zeros(len(values), np.int64), START_US + INTERVAL_US * at, values, at)
    walk.run()
    return walk.verdicts()


def test_the_gaussian_is_of_the_last_values() -> None:
    """Expected value, band and surprise are those of mean and standard deviation of the window, short at first."""
    values = 1e9 + np.random.default_rng(7).normal(size=450).cumsum()
    values[200] += 1e6
    verdicts = _run(WindowedGaussian(RANKING, 100), values)
    assert np.isnan(verdicts.expected[:2]).all()
    for at in (2, 50, 99, 100, 101, 199, 201, 250, 299, 300, 301, 449):
        window = values[max(0, at - 100) : at]
        mean, sd = window.mean(), window.std()
        assert verdicts.expected[at] == pytest.approx(mean, rel=1e-14, abs=1e-6)
        assert verdicts.upper[at] - verdicts.lower[at] == pytest.approx(2 * 1.96 * sd, rel=1e-5)
        assert verdicts.surprise[at] == pytest.approx((values[at] - mean) / sd, rel=1e-4)


def test_the_gaussian_recovers_from_what_cannot_be_added() -> None:
    """Behind a value so large that the others vanish beside it, the window is of the others again."""
    values = np.random.default_rng(7).normal(size=400)
    values[150] = 1e30
    verdicts = _run(WindowedGaussian(RANKING, 100), values)
    assert verdicts.expected[251] == pytest.approx(values[151:251].mean(), rel=1e-12)


def test_persistence_is_the_step_in_units_of_those_before() -> None:
    """The band is that of the steps' root mean square around the value before."""
    values = np.random.default_rng(7).normal(size=300).cumsum()
    verdicts = _run(Persistence(RANKING), values)
    steps = np.diff(values)
    assert np.isnan(verdicts.expected[:2]).all()
    for at in (2, 100, 299):
        usual = np.sqrt(np.mean(steps[: at - 1] ** 2))
        assert verdicts.expected[at] == values[at - 1]
        assert verdicts.surprise[at] == pytest.approx(steps[at - 1] / usual, rel=1e-6)
        assert verdicts.upper[at] - verdicts.lower[at] == pytest.approx(2 * 1.96 * usual)


@EACH
def test_a_spike_is_flagged_where_it_is(make: Callable[[], Baseline]) -> None:
    """And named as the one stream that there is; a calm stream is left alone."""
    values = seasonal(np.random.default_rng(7), 1500)
    values[1000] += 20
    verdicts = _run(make(), values)
    assert 1000 in np.flatnonzero(verdicts.event == OPENED)
    assert verdicts.flagged.sum() < 6
    assert make().streams == ("score",)
    assert verdicts.event_novelty[0] == verdicts.score[verdicts.event_point[0]]
    assert verdicts.event_window[0, -1] == pytest.approx(values[verdicts.event_point[0]], rel=1e-6)


@EACH
def test_a_lane_goes_on_from_its_row(make: Callable[[], Baseline]) -> None:
    """Its verdicts behind any cut are to the bit those of one pass, wherever the row has come to lie."""
    values = seasonal(np.random.default_rng(7), 900)
    values[500] += 9
    whole, detector = _run(make(), values), make().for_partition(("value",), 1)
    slab = allocate(detector.lane_dtype, 1)
    parts = [_run(detector, values[:333], slab)]
    moved = {name: array.copy() for name, array in slab.items()}
    parts.append(_run(make(), values[333:], moved, 333))
    for name in ("score", "expected", "lower", "upper", "surprise", "threshold", "flagged", "event", "points"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        assert joined.tobytes() == getattr(whole, name).tobytes(), name
    assert detector.is_restorable


@EACH
def test_a_verdict_depends_on_nothing_after_its_point(make: Callable[[], Baseline]) -> None:
    """Another future changes no earlier verdict."""
    values = seasonal(np.random.default_rng(7), 600)
    other = np.concatenate([values[:400], values[:200] * 1e6])
    assert _run(make(), values).score[:400].tobytes() == _run(make(), other).score[:400].tobytes()


@EACH
@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_any_finite_values_give_finite_scores(make: Callable[[], Baseline], scale: float) -> None:
    """Constant, tiny or huge, and with a step behind a constant stretch, which is an alarm in an old lane."""
    values = np.concatenate([np.full(1500, 3.0), [4.0], np.full(300, 3.0)]) * scale
    verdicts = _run(make(), values)
    assert np.isfinite(verdicts.score[150:]).all()
    assert (verdicts.event[:1500] != OPENED).all()
    if scale == 1:
        assert verdicts.event[1500] == OPENED


def test_a_window_of_one_is_refused() -> None:
    """One value has no spread."""
    with pytest.raises(ValueError, match="found a window of 1 points; expected 2 or more"):
        WindowedGaussian(RANKING, 1)
