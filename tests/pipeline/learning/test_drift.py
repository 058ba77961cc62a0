import numpy as np
import pytest

from pipeline.learning.drift import Drift, DriftRule, PartitionDrift, log_quantile
from pipeline.residuals import BOUNDS, Residuals, measure_residuals, no_residuals

RULE = DriftRule()
DAY = 48


def _block(rng: np.random.Generator, scale: float, points: int = RULE.block_points) -> Residuals:
    """Residuals whose scale wanders a little from block to block, as those of a fleet do."""
    scale *= float(np.exp(rng.normal(0, 0.02)))
    return measure_residuals(0.2 * scale * rng.standard_t(5, points), np.zeros(points), np.ones(points))


def _told(scales: list[float], seed: int = 7, rule: DriftRule = RULE) -> list[tuple[int, Drift]]:
    """What is told of blocks of these scales, each with its number."""
    rng, watched = np.random.default_rng(seed), PartitionDrift(rule)
    watched.add(no_residuals(), 0)
    found = ((n, watched.add(_block(rng, scale), (n + 1) * rule.block_us)) for n, scale in enumerate(scales))
    return [(n, drift) for n, drift in found if drift is not None]


def _days(level: float, blocks: int, swing: float) -> list[float]:
    """Scales that go up and down with the time of day."""
    return [level * (1 + swing * float(np.sin(2 * np.pi * n / DAY))) for n in range(blocks)]


@pytest.mark.parametrize("swing", [0.0, 0.1])
def test_a_rise_of_a_third_is_told_within_a_day(swing: float) -> None:
    """Whatever the dice, once, not before it is there, and with the levels that it rose from and to."""
    for seed in range(20):
        told = _told(_days(1.0, 200, swing) + _days(1.3, 100, swing), seed)
        assert len(told) == 1
        at, drift = told[0]
        assert 200 < at < 200 + DAY
        assert drift.behind / drift.before == pytest.approx(1.3, rel=0.15)
        assert abs(drift.since_us / RULE.block_us - 200) < DAY / 2


@pytest.mark.parametrize("swing", [0.0, 0.3])
def test_what_is_usual_is_no_drift(swing: float) -> None:
    """In twenty times five hundred blocks, more than ten days each, none is told, with a swing by the hour or not."""
    assert [told for seed in range(20) for told in _told(_days(1.0, 500, swing), seed)] == []


def test_what_gets_easier_is_no_drift_and_neither_is_its_way_back() -> None:
    """A quiet time, such as a weekend, changes nothing: only what is above the level from before is told."""
    assert _told([1.0] * 100 + [0.7] * 150 + [1.0] * 150) == []


def test_a_change_soon_after_what_is_usual_is_known_is_told_soon() -> None:
    """Ten blocks behind the first thirty: these count as well."""
    assert [at for at, _ in _told([1.0] * 40 + [3.0] * 60)]


def test_it_is_told_when_a_plain_rise_began() -> None:
    """To a block or two, though it takes several to tell it."""
    for seed in range(10):
        ((at, drift),) = _told([1.0] * 100 + [2.0] * 60, seed)
        assert at > 105
        assert abs(drift.since_us / RULE.block_us - 100) <= 2


def test_small_rises_add_up() -> None:
    """None of them matters alone; together they do."""
    steps = [1.08**n for n in range(6) for _ in range(120)]
    assert _told([1.0] * 120 + [1.08] * 400) == []
    assert len(_told(steps)) >= 1


def test_drift_is_told_anew_only_of_what_comes_on_top() -> None:
    """Having been told, the new level is the usual one."""
    told = _told([1.0] * 100 + [1.5] * 300 + [2.3] * 100)
    assert len(told) == 2
    assert told[1][0] > 400
    assert told[1][1].behind / told[1][1].before == pytest.approx(2.3 / 1.5, rel=0.15)


def test_a_swap_forgets_what_was_usual() -> None:
    """Under another bundle the level is another one, which is no drift."""
    rng, watched = np.random.default_rng(7), PartitionDrift(RULE)
    for n in range(100):
        assert watched.add(_block(rng, 1.0), n * RULE.block_us) is None
    assert watched.rise == pytest.approx(1.0, abs=0.1)
    watched.reset()
    assert watched.rise is None
    for n in range(100, 200):
        assert watched.add(_block(rng, 2.0), n * RULE.block_us) is None
    assert watched.rise == pytest.approx(1.0, abs=0.1)


def test_a_block_is_long_enough_however_many_points_there_are() -> None:
    """A thousand points a second and a point a minute both make a block of half an hour, or of 500 points."""
    rng, watched = np.random.default_rng(7), PartitionDrift(RULE)
    for n in range(2000):
        watched.add(_block(rng, 1.0), n * 1_000_000)  # 500 points a second for half an hour and a bit
    assert watched.rise is None
    for n in range(RULE.usual_blocks):
        watched.add(_block(rng, 1.0), 2_000_000_000 + (n + 1) * RULE.block_us)
    assert watched.rise is not None


@pytest.mark.parametrize("quantile", [0.5, 0.9])
def test_a_quantile_is_about_right_and_rises_with_the_residuals(quantile: float) -> None:
    """Within a quarter of that of the residuals themselves, from a hundredth of a standard deviation to several."""
    rng = np.random.default_rng(7)
    found = []
    for scale in np.geomspace(0.05, 3, 30):
        residual = scale * np.abs(rng.normal(size=20_000))
        measured = measure_residuals(residual, np.zeros(20_000), np.ones(20_000))
        told = np.exp(log_quantile(measured.buckets, quantile))
        assert told == pytest.approx(min(np.quantile(residual, quantile), 10), rel=0.25)
        found.append(told)
    assert np.all(np.diff(found) > 0)
    alone = np.zeros(len(BOUNDS) + 1, np.int64)
    alone[0] = 1
    assert np.isfinite(log_quantile(alone, quantile))
