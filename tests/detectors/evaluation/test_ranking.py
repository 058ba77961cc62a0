import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.evaluation.ranking import average_precision, label_rows, label_windows, vus_pr

Series = tuple[NDArray[np.float64], NDArray[np.bool_]]


@st.composite
def series(draw: st.DrawFn) -> Series:
    """Scores with many ties, and labels with at least one anomalous point."""
    n = draw(st.integers(1, 30))
    score = np.array(draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)), dtype=np.float64)
    is_anomaly = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    is_anomaly[draw(st.integers(0, n - 1))] = True
    return score, is_anomaly


def vus_by_definition(score: NDArray[np.float64], is_anomaly: NDArray[np.bool_], max_buffer: int) -> float:
    """The volume with every buffer length, range and threshold walked one by one."""
    ranges: list[list[int]] = []
    for i in np.flatnonzero(is_anomaly).tolist():
        if ranges and ranges[-1][1] == i - 1:
            ranges[-1][1] = i
        else:
            ranges.append([i, i])
    return float(np.mean([area_by_definition(score, is_anomaly, ranges, length) for length in range(max_buffer + 1)]))


def area_by_definition(
    score: NDArray[np.float64], is_anomaly: NDArray[np.bool_], ranges: list[list[int]], length: int
) -> float:
    """The range-based area for one buffer length, `ranges` given as first and last point."""
    half = length // 2
    label = is_anomaly.astype(np.float64)
    merged: list[list[int]] = []
    for first, last in ranges:
        for distance in range(1, half + 1):
            for i in {first - distance, last + distance} & set(range(len(score))):
                label[i] = min(1.0, label[i] + (1.0 - distance / length) ** 0.5)
        if merged and first - half <= merged[-1][1]:
            merged[-1][1] = last + half
        else:
            merged.append([first - half, last + half])
    area, reached = 0.0, 0.0
    for threshold in sorted(set(score.tolist()), reverse=True):
        is_flagged = score >= threshold
        worth = float(label[is_flagged].sum())
        softened = float(label[is_flagged & ~is_anomaly].sum())
        share = sum(is_flagged[max(first, 0) : last + 1].any() for first, last in merged) / len(merged)
        recall = min(worth / (is_anomaly.sum() + softened / 2), 1.0) * share
        area += (recall - reached) * worth / is_flagged.sum()
        reached = recall
    return area


@given(series(), st.integers(0, 12))
def test_volume_follows_its_definition(case: Series, max_buffer: int) -> None:
    """The volume is that of the definition walked threshold by threshold and range by range."""
    score, is_anomaly = case
    assert vus_pr(score, is_anomaly, max_buffer) == pytest.approx(vus_by_definition(score, is_anomaly, max_buffer))


@given(series(), st.integers(0, 40))
def test_measures_lie_between_0_and_1(case: Series, max_buffer: int) -> None:
    """No score earns less than 0 or more than 1."""
    score, is_anomaly = case
    assert 0.0 < average_precision(score, is_anomaly) <= 1.0
    assert 0.0 <= vus_pr(score, is_anomaly, max_buffer) <= 1.0 + 1e-12


@given(series(), st.integers(0, 40))
def test_perfect_score_earns_1(case: Series, max_buffer: int) -> None:
    """A score that ranks every anomalous point above every normal one earns 1."""
    score, is_anomaly = case
    perfect = score + 10.0 * is_anomaly
    assert average_precision(perfect, is_anomaly) == pytest.approx(1.0)
    assert vus_pr(perfect, is_anomaly, max_buffer) == pytest.approx(1.0)


@given(series())
def test_only_the_order_matters(case: Series) -> None:
    """A rising function of the score changes neither measure."""
    score, is_anomaly = case
    stretched = np.exp(score) - 20.0
    assert average_precision(stretched, is_anomaly) == average_precision(score, is_anomaly)
    assert vus_pr(stretched, is_anomaly, 10) == vus_pr(score, is_anomaly, 10)


@given(series())
def test_backwards_is_the_same(case: Series) -> None:
    """Neither measure depends on the direction of time, nor on which of two equal scores comes first."""
    score, is_anomaly = case
    assert average_precision(score[::-1], is_anomaly[::-1]) == pytest.approx(average_precision(score, is_anomaly))
    assert vus_pr(score[::-1], is_anomaly[::-1], 10) == pytest.approx(vus_pr(score, is_anomaly, 10))


def test_average_precision_by_hand() -> None:
    """Precision is 1 at the first of two anomalous points and 2/3 at the second."""
    score = np.array([0.1, 0.9, 0.5, 0.6, 0.2])
    is_anomaly = np.array([False, True, True, False, False])
    assert average_precision(score, is_anomaly) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_constant_score_earns_the_base_rate() -> None:
    """A score that says nothing has the precision of flagging everything."""
    is_anomaly = np.arange(100) < 7
    assert average_precision(np.zeros(100), is_anomaly) == pytest.approx(0.07)
    assert vus_pr(np.zeros(100), is_anomaly, 0) == pytest.approx(0.07)


def test_near_miss_beats_far_miss() -> None:
    """A peak just before a range earns volume that a peak far from it does not; single points see no difference."""
    is_anomaly = np.zeros(1000, dtype=bool)
    is_anomaly[500:520] = True
    near, far = np.zeros(1000), np.zeros(1000)
    near[490:500] = 1.0
    far[200:210] = 1.0
    assert vus_pr(near, is_anomaly) > 4 * vus_pr(far, is_anomaly)
    assert average_precision(near, is_anomaly) == average_precision(far, is_anomaly)


def test_every_range_counts() -> None:
    """Finding part of both ranges beats finding all of one, though single points weigh the same."""
    is_anomaly = np.zeros(400, dtype=bool)
    is_anomaly[100:120] = is_anomaly[300:320] = True
    both, one = np.zeros(400), np.zeros(400)
    both[100:110] = both[300:310] = 1.0
    one[100:120] = 1.0
    assert vus_pr(both, is_anomaly, 20) > 1.2 * vus_pr(one, is_anomaly, 20)
    assert average_precision(both, is_anomaly) == average_precision(one, is_anomaly)


def test_labels_of_rows() -> None:
    """Rows at both ends of a window lie within it; without windows no row does."""
    time_us = np.array([0, 10, 20, 30, 40], dtype=np.int64)
    assert label_rows(time_us, [(10, 20), (35, 40)]).tolist() == [False, True, True, False, True]
    assert not label_rows(time_us, []).any()


@pytest.mark.parametrize(
    ("score", "is_anomaly", "message"),
    [
        ([0.0, 1.0], [True], r"found score \(2,\) and is_anomaly \(1,\)"),
        ([0.0, np.nan], [True, False], "found NaN at row 1 of score"),
        ([0.0, 1.0], [False, False], "found no anomalous point among 2"),
    ],
)
def test_unusable_input(score: list[float], is_anomaly: list[bool], message: str) -> None:
    """What cannot be ranked is refused, with what was found."""
    for measure in (average_precision, vus_pr):
        with pytest.raises(ValueError, match=message):
            measure(np.array(score), np.array(is_anomaly))


def test_negative_buffer() -> None:
    """A buffer has a length."""
    with pytest.raises(ValueError, match="found max_buffer = -1"):
        vus_pr(np.zeros(2), np.array([True, False]), -1)


def test_runs_of_labels_are_windows() -> None:
    """Each run of labelled rows is a window, from which the labels come back; a lone row and both ends are runs too."""
    #  row        0  1  2  3  4  5  6
    labels = np.array([1, 1, 0, 1, 0, 0, 1], bool)
    time_us = np.arange(7) * 10
    windows = label_windows(time_us, labels)
    assert windows.tolist() == [[0, 10], [30, 30], [60, 60]]
    assert label_rows(time_us, windows).tolist() == labels.tolist()
    assert label_windows(time_us, np.zeros(7, bool)).shape == (0, 2)


def test_a_window_of_rows_that_step_back_spans_them_all() -> None:
    """No labelled row lies outside its window, whatever the order of times."""
    assert label_windows(np.array([10, 30, 20, 40]), np.array([False, True, True, False])).tolist() == [[20, 30]]
