"""The tails against a brute-force computation on the whole past, with generations short enough to turn over often."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.minifloat import encode
from detectors.novelty import (
    COMMON,
    OVERSHOOT_GAIN,
    OVERSHOOT_WEIGHT,
    RARITY_POINTS,
    RARITY_POWER,
    forget,
    is_uncommon,
    log_total,
    novelty,
    rarity_scale,
    remember,
    remembered,
)

SIZE, GENERATION = 3, 50


class _Tails(NamedTuple):
    """The tails of one stream and its true past."""

    tails: NDArray[Any]
    counts: NDArray[np.uint16]
    past: list[float]

    def stored(self, value: float) -> Any:
        return np.int16(encode(np.float32(value))) if self.tails.dtype == np.int16 else np.float32(value)

    def take(self, value: float) -> None:
        remember(self.stored(value), self.tails, self.counts, 0, SIZE, len(self.past) // GENERATION % 2)
        self.past.append(value)
        if len(self.past) % GENERATION == 0:
            forget(self.counts, 0, SIZE, len(self.past) // GENERATION % 2)

    def kept(self) -> NDArray[np.float64]:
        """What the two generations cover."""
        return np.array(self.past[len(self.past) - remembered(len(self.past), GENERATION) :])

    def uncommon(self, value: float, mean: float = 0.0) -> bool:
        return bool(is_uncommon(self.stored(value), self.tails, self.counts, 0, SIZE, np.float32(mean)))

    def novelty(self, value: float, mean: float = 0.0) -> float:
        total = math.log10(len(self.kept()) + 1)
        return float(novelty(self.stored(value), self.tails, self.counts, 0, SIZE, np.float32(mean), total, 1.0))

    def exact_from(self) -> float:
        """The least value whose rank on the upper side is exact, by the definition of the tails."""
        start = len(self.past) // GENERATION * GENERATION
        generations = [self.past[max(start - GENERATION, 0) : start], self.past[start:]]
        distinct = [sorted(set(values), reverse=True) for values in generations]
        return max([values[SIZE - 1] for values in distinct if len(values) >= SIZE], default=-math.inf)


def _tails_of(values: NDArray[np.float64], dtype: str = "f4") -> _Tails:
    made = _Tails(np.zeros(4 * SIZE, dtype), np.zeros(4 * SIZE, np.uint16), [])
    for value in values.tolist():
        made.take(value)
    return made


@pytest.mark.parametrize("dtype", ["f4", "i2"])
def test_rank_and_overshoot_are_exact_in_the_tails(dtype: str) -> None:
    """Down to the last value kept, on either side, novelty is that of the rank among all points remembered.

    That includes ties and turns of generation. Beyond everything seen it gains the overshoot.
    """
    rng = np.random.default_rng(7)
    values = np.round(rng.standard_t(3, 400) * 4) / 4  # many ties, all exact in 16 bits
    tails, checked, beyond = _tails_of(values[:5], dtype), 0, 0
    for value in values[5:]:
        kept = tails.kept()
        for side in (1, -1):
            mirrored = tails if side > 0 else _tails_of(-np.array(tails.past), dtype)
            if side * value <= 0 or side * value < mirrored.exact_from():
                continue
            rank = int((side * kept >= side * value).sum())
            expected = max(math.log10((len(kept) + 1) / (rank + 1)), 0.0)
            if rank == 0:
                past_range = np.ptp(kept)
                distance = (side * value - (side * kept).max()) / past_range
                expected += OVERSHOOT_WEIGHT * math.log10(1 + OVERSHOOT_GAIN * distance)
                beyond += 1
            assert tails.novelty(value) == pytest.approx(expected, abs=1e-6)
            checked += 1
        tails.take(value)
    assert checked > 30
    assert beyond > 5


def test_a_value_seen_often_is_not_rare_however_extreme() -> None:
    """Where a fifth of the past is at the maximum, the maximum has the rarity of one in five."""
    tails = _tails_of(np.array([0.0, 0.1, -0.1, 0.2, 5.0] * 10))
    assert tails.novelty(5.0) == pytest.approx(math.log10(51 / 11))


def test_novelty_never_falls_on_the_way_out() -> None:
    """The further out, the more novel, on both sides, and what is common has none."""
    tails = _tails_of(np.random.default_rng(7).normal(size=180))
    for side in (1, -1):
        out = [tails.novelty(value) if tails.uncommon(value) else 0.0 for value in side * np.linspace(0, 5, 400)]
        assert (np.diff(out) >= -1e-6).all()
        assert out[0] == 0
        assert out[-1] > 2


def test_a_value_near_the_mean_is_common() -> None:
    """Less than half way to the values kept is common, at least half way is not, and the mean itself is common."""
    tails = _tails_of(np.array([-4.0, -3.0, -2.0, 2.0, 3.0, 4.0]))
    assert tails.uncommon(2 * COMMON)
    assert not tails.uncommon(2 * COMMON - 0.01)
    assert tails.uncommon(-2 * COMMON)
    assert not tails.uncommon(-2 * COMMON + 0.01)
    assert not tails.uncommon(0.0)


def test_the_past_is_forgotten_after_two_generations() -> None:
    """A record-high value is known for one generation at least and two at most."""
    quiet = np.random.default_rng(7).uniform(-1, 1, 2 * GENERATION)
    tails = _tails_of(np.concatenate([[100.0], quiet[: 2 * GENERATION - 2]]))
    assert tails.novelty(100.0) < 2
    tails.take(0.5)  # the last point of the second generation
    assert tails.novelty(100.0) > 2


def test_points_remembered_rise_to_one_generation_and_then_lie_between_one_and_two() -> None:
    """N counts the points since the start of the older generation."""
    assert [remembered(age, GENERATION) for age in (0, 1, 49, 50, 51, 99, 100, 149)] == [0, 1, 49, 50, 51, 99, 50, 99]


def test_rarities_of_short_pasts_weigh_relatively_more() -> None:
    """The scale is the inverse of log10 of the points to a power, between 10 and 4000 points."""
    assert rarity_scale(3) == rarity_scale(9) == 1.0
    assert rarity_scale(999) == pytest.approx(3**-RARITY_POWER)
    assert rarity_scale(10_000) == rarity_scale(4000)


def test_counts_saturate() -> None:
    """A value seen more often than a count can hold stays known as frequent."""
    tails, counts = np.zeros(4 * SIZE, np.float32), np.zeros(4 * SIZE, np.uint16)
    counts[0], tails[0] = 65_535, 1.0
    remember(np.float32(1.0), tails, counts, 0, SIZE, 0)
    assert counts[0] == 65_535


def test_tables_hold_what_the_formulas_give() -> None:
    """Scales and logarithms read off tables are those computed, to the bit, within the tables and beyond."""
    for points in [*range(4100), 8191, 8192, 20_000]:
        assert log_total(points) == math.log10(points + 1.0)
        log_age = math.log10(min(max(points + 1.0, 10.0), RARITY_POINTS))
        assert rarity_scale(points) == 1.0 / log_age**RARITY_POWER
