"""The joint value: the algebra, what is learned and what is not, who is left out, and who it is put down to."""

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.joint import (
    LEAST_RECORDS,
    MEMORY,
    RIDGE,
    JointPoints,
    allocate_joint_points,
    joint_arrays,
    relate,
    view_relations,
)
from detectors.layout import Slab, allocate

Floats = NDArray[np.float64]


def _slab(fields: int, keys: int = 1) -> Slab:
    return allocate(np.dtype(joint_arrays(fields)), keys * (fields + 1))


def _relate(
    slab: Slab, levels: Floats, in_episode: NDArray[np.bool_] | None = None, *, start: int = 0, key: int = 0
) -> JointPoints:
    """Joint points of the records (n, fields) of a key; a NaN is a field without a step."""
    count, fields = levels.shape
    there = ~np.isnan(levels.ravel())
    record = np.repeat(np.arange(start, start + count), fields)[there]
    lane = (np.tile(np.arange(fields), count) + key * (fields + 1))[there]
    open_ = np.zeros(levels.shape, np.bool_) if in_episode is None else in_episode
    points = allocate_joint_points(len(record), fields)
    made = relate(
        view_relations(slab), fields + 1, np.arange(len(record)), lane, record * 1_000, record, record + 1,
        levels.ravel()[there].astype(np.float32), open_.ravel()[there], points,
    )  # fmt: skip
    return JointPoints(points.step[:made], points.position[:made], points.value[:made], points.shares[:made])


def _together(rng: np.random.Generator, count: int, fields: int = 3, noise: float = 0.3) -> Floats:
    """Levels of fields that follow one factor, every other one its opposite."""
    followed = np.outer(rng.normal(size=count), (-1.0) ** np.arange(fields))
    made: Floats = (followed + noise * rng.normal(size=(count, fields))) / np.hypot(1, noise)
    return made


def _by_definition(moments: Floats, levels: Floats) -> float:
    """The fourth root of the mean of ((P z)_i / sqrt(P_ii))^4, with P the inverse of the moments and a ridge."""
    inverse = np.linalg.inv(moments + RIDGE * np.eye(len(levels)))
    return float(np.mean(((inverse @ levels) / np.sqrt(np.diag(inverse))) ** 4) ** 0.25)


@pytest.mark.parametrize("fields", [2, 3, 20, 127])
def test_the_value_is_that_of_the_equations(fields: int) -> None:
    """Within 1e-9 of the inverse written out, for any number of fields."""
    rng = np.random.default_rng(7)
    slab, levels = _slab(fields), np.float32(_together(rng, 450, fields)).astype(float)
    _relate(slab, levels[:-1])
    moments = slab["joint_moments"][:-1].astype(float)
    np.testing.assert_array_equal(moments, moments.T)
    (value,) = _relate(slab, levels[-1:], start=449).value
    assert value == pytest.approx(_by_definition(moments, levels[-1]), rel=1e-9)


def test_a_field_is_what_the_others_say_of_it_away() -> None:
    """Of two fields, u is the residual of the regression of one on the other in its standard deviations."""
    slab = _slab(2)
    _relate(slab, _together(np.random.default_rng(7), 3000, 2))
    (first, cross), (_, second) = slab["joint_moments"][:2].astype(float) + RIDGE * np.eye(2)
    levels = np.array([1.5, 1.0])  # they usually have different signs
    away = [
        (levels[0] - cross / second * levels[1]) / np.sqrt(first - cross**2 / second),
        (levels[1] - cross / first * levels[0]) / np.sqrt(second - cross**2 / first),
    ]
    (value,) = _relate(slab, levels[None], start=3000).value
    assert value == pytest.approx(np.mean(np.power(away, 4)) ** 0.25, rel=1e-6)
    assert value > 4


def test_moments_begin_as_plain_averages() -> None:
    """Before a field is judged its moments are the means of the products, and nothing is said."""
    levels = _together(np.random.default_rng(7), LEAST_RECORDS)
    slab = _slab(3)
    assert not len(_relate(slab, levels).value)
    np.testing.assert_allclose(slab["joint_moments"][:3], levels.T @ levels / LEAST_RECORDS, rtol=1e-5)
    assert len(_relate(slab, levels[:1], start=LEAST_RECORDS).value) == 1


def test_independent_fields_have_the_value_that_is_told() -> None:
    """The fourth root of a mean of fourth powers of normal values: 1.32 for many fields."""
    slab = _slab(20)
    values = _relate(slab, np.random.default_rng(7).normal(size=(4000, 20))).value[2000:]
    assert (values**4).mean() ** 0.25 == pytest.approx(3**0.25, rel=0.03)


def test_one_that_leaves_the_others_is_told_by_its_share() -> None:
    """Levels that are usual one by one are odd where a field goes against the others, which has the largest share."""
    slab, rng = _slab(5), np.random.default_rng(7)
    usual = _relate(slab, _together(rng, 2000, 5)).value[1000:]
    levels = _together(rng, 40, 5)
    levels[:, 3] *= -1
    odd = _relate(slab, levels, start=2000)
    assert np.median(odd.value) > np.quantile(usual, 0.99)
    np.testing.assert_allclose(odd.shares.sum(axis=1), 1, rtol=1e-5)
    assert (odd.shares[10:].argmax(axis=1) == 3).all()


def test_an_incident_is_hardly_learned_and_a_lasting_change_is() -> None:
    """After 100 odd records the next is nearly as odd; after a few times the memory they are the new normal."""
    slab, rng = _slab(3), np.random.default_rng(7)
    usual = np.median(_relate(slab, _together(rng, 3000)).value[1000:])
    levels = _together(rng, 5 * MEMORY)
    levels[:, 1] *= -1
    before = slab["joint_moments"][0, 1]
    incident = _relate(slab, levels[:100], start=3000).value
    fully = 2 * abs(before) * (1 - (1 - 1 / MEMORY) ** 100)  # what plain weights would move it by
    assert abs(slab["joint_moments"][0, 1] - before) < fully / 2
    assert np.median(incident) > 2.5 * usual
    odd = _relate(slab, levels[100:], start=3100).value
    assert np.median(odd[-500:]) < 1.1 * usual


def test_a_field_with_an_episode_of_its_own_is_left_out() -> None:
    """It has no share, the others are compared among themselves, and nothing is learned of it."""
    slab, rng = _slab(4), np.random.default_rng(7)
    _relate(slab, _together(rng, 1000, 4))
    before = {name: array.copy() for name, array in slab.items()}
    levels = _together(rng, 1, 4)
    levels[0, 2] = 5
    told = _relate(slab, levels, np.array([[False, False, True, False]]), start=1000)
    kept = np.array([0, 1, 3])
    moments = before["joint_moments"][kept][:, kept].astype(float)
    assert told.value[0] == pytest.approx(_by_definition(moments, np.float32(levels[0, kept]).astype(float)), rel=1e-9)
    assert told.shares[0, 2] == 0
    for name, array in slab.items():
        assert array[2].tobytes() == before[name][2].tobytes()
        assert array[0].tobytes() != before[name][0].tobytes()


def test_fewer_than_two_fields_give_no_point() -> None:
    """Neither where only one is there, nor where the other has an episode."""
    slab, rng = _slab(2), np.random.default_rng(7)
    _relate(slab, _together(rng, 200, 2))
    assert not len(_relate(slab, np.array([[0.5, np.nan]]), start=200).value)
    assert not len(_relate(slab, np.array([[0.5, -0.5]]), np.array([[True, False]]), start=201).value)
    assert len(_relate(slab, np.array([[0.5, -0.5]]), start=202).value) == 1


def test_fields_that_come_late_are_learned_from_their_own_records() -> None:
    """The moments of a pair are averages of the records that had both."""
    levels = _together(np.random.default_rng(7), 300)
    slab, late = _slab(3), levels.copy()
    late[:250, 2] = np.nan
    _relate(slab, late[:290])
    assert slab["joint_records"].tolist() == [290, 290, 40, 0]
    seen = np.float32(levels[250:290]).astype(float)
    expected = (seen[:, 0] * seen[:, 2]).mean()
    assert slab["joint_moments"][0, 2] == pytest.approx(expected, abs=0.15)  # odd records have less weight
    assert slab["joint_moments"][0, 2] < 1.5


def test_moments_that_do_not_fit_together_give_a_finite_value() -> None:
    """Of pairs learned from different records they can be those of no distribution at all."""
    slab = _slab(3)
    slab["joint_records"][:3] = 500
    slab["joint_moments"][:3] = [[1, 0.95, 0.95], [0.95, 1, -0.95], [0.95, -0.95, 1]]
    points = _relate(slab, np.array([[6.0, -6.0, 6.0]]))
    assert np.isfinite(points.value).all()
    assert np.isfinite(slab["joint_moments"]).all()


@pytest.mark.parametrize("cuts", [[1], [59, 60, 61], [*range(1, 400, 7)]])
def test_cuts_do_not_show(cuts: list[int]) -> None:
    """Points and state are the same bits in however many pieces the records come."""
    rng = np.random.default_rng(7)
    levels = _together(rng, 400, 4)
    levels[rng.random(levels.shape) < 0.1] = np.nan
    in_episode = rng.random(levels.shape) < 0.05
    whole, pieces = _slab(4), _slab(4)
    expected = _relate(whole, levels, in_episode)
    ends = [0, *cuts, len(levels)]
    parts = [_relate(pieces, levels[a:b], in_episode[a:b], start=a) for a, b in itertools.pairwise(ends)]
    for name in ("value", "shares", "position"):
        joined: NDArray[Any] = np.concatenate([getattr(part, name) for part in parts])
        assert joined.tobytes() == getattr(expected, name).tobytes()
    assert all(whole[name].tobytes() == pieces[name].tobytes() for name in whole)


def test_the_order_of_the_fields_does_not_matter() -> None:
    """But for rounding, the value is the same with fields exchanged, and so are their shares."""
    levels = _together(np.random.default_rng(7), 500, 6)
    order = np.array([3, 0, 5, 1, 4, 2])
    one, other = _relate(_slab(6), levels), _relate(_slab(6), levels[:, order])
    np.testing.assert_allclose(one.value, other.value, rtol=1e-4)
    np.testing.assert_allclose(one.shares[:, order], other.shares, atol=1e-4)


def test_keys_do_not_know_of_one_another() -> None:
    """What one key says is the same bits whatever another one does."""
    rng = np.random.default_rng(7)
    mine, others = _together(rng, 200), _together(rng, 200)
    alone, both = _slab(3), _slab(3, keys=2)
    expected = _relate(alone, mine)
    _relate(both, others)
    assert _relate(both, mine, key=1).value.tobytes() == expected.value.tobytes()
