import base64
import gzip
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.adapters.report.encode import pack_lane, sparkline
from pipeline.adapters.report.verdicts import Points


def _points(value: NDArray[np.float64], time_us: NDArray[np.int64] | None = None, **columns: Any) -> Points:
    n = len(value)
    given = {
        "lane": np.zeros(n, np.int32),
        "index": np.arange(n),
        "time_us": np.arange(n) * 60_000_000 if time_us is None else time_us,
        "value": value,
        "expected": value - 1,
        "lower": value - 3,
        "upper": value + 1,
        "score": np.linspace(0, 9, n),
        "threshold": np.full(n, 6.0),
        "severity": np.zeros(n, np.uint8),
        "phase": np.full(n, 2, np.uint8),
        "in_episode": np.zeros(n, np.bool_),
    }
    return Points(**{**given, **columns})


def _unpacked(points: Points) -> tuple[dict[str, NDArray[Any]], int]:
    """What a page reads, and the length of the text."""
    meta, text = pack_lane(points)
    raw = np.frombuffer(gzip.decompress(base64.b64decode(text)), np.uint8)
    n = meta["count"]
    words = [np.ascontiguousarray(raw[at * n : (at + 4) * n].reshape(4, n).T).ravel() for at in range(0, 28, 4)]
    columns: dict[str, NDArray[Any]] = {"time": meta["start"] + np.cumsum(words[0].view(np.uint32)) * meta["unit"]}
    for name, word in zip(("value", "expected", "lower", "upper", "score", "threshold"), words[1:], strict=True):
        columns[name] = word.view(np.float32).astype(np.float64)
        if name not in {"score", "threshold"}:
            columns[name] = meta["centre"] + columns[name] * meta["scale"]
    flags = raw[28 * n :]
    return columns | {"severity": flags & 7, "phase": flags >> 3 & 3, "gap": flags >> 5}, len(text)


@pytest.mark.parametrize("centre", [0.0, 20.0, -1e8, 1e-9])
def test_values_come_back_to_five_digits_of_what_varies(centre: float) -> None:
    """A small rhythm on a large level is not lost, and neither are time, severity and phase."""
    rng = np.random.default_rng(7)
    value = centre + rng.normal(0, max(abs(centre) * 1e-6, 1e-12), 500)
    severity = (rng.random(500) < 0.1).astype(np.uint8) * 3
    points = _points(value, severity=severity)
    columns, _ = _unpacked(points)
    spread = np.abs(value - np.median(value)).max()
    np.testing.assert_allclose(columns["value"], value, rtol=0, atol=2e-5 * spread)
    np.testing.assert_array_equal(columns["time"] * 1000, points.time_us)
    np.testing.assert_array_equal(columns["severity"], severity)
    assert (columns["phase"] == 2).all()


def test_bands_scores_and_thresholds_come_back_as_a_screen_needs_them() -> None:
    """To a part in a thousand; what is absent stays absent."""
    value = np.sin(np.arange(300) / 10) * 10
    score = np.where(np.arange(300) < 40, np.nan, 5.0 + value / 10)
    columns, _ = _unpacked(_points(value, score=score, lower=np.where(score > 0, value - 3, np.nan)))
    np.testing.assert_allclose(columns["expected"], value - 1, atol=0.01)
    np.testing.assert_allclose(columns["lower"][40:], value[40:] - 3, atol=0.01)
    np.testing.assert_allclose(columns["score"], score, rtol=1e-3)
    np.testing.assert_allclose(columns["threshold"], 6.0)
    assert np.isnan(columns["lower"][:40]).all()


def test_steps_of_years_and_of_microseconds_in_one_lane() -> None:
    """Time is exact to a microsecond where that fits and never drifts where it does not."""
    time_us = np.cumsum(np.array([0, 1, 86_400_000_000 * 3650, 7, 1_000_001]))
    columns, _ = _unpacked(_points(np.zeros(5), time_us))
    np.testing.assert_allclose(columns["time"] * 1000, time_us, rtol=0, atol=40_000_000_000 * 3650 / 2**32)


@pytest.mark.parametrize(
    "value", [[5.0], [5.0, 5.0, 5.0], [1e300, -1e300, 0.0], [1.7e308, -1.7e308, 1.7e308], [np.nan]]
)
def test_constant_single_and_huge_values(value: list[float]) -> None:
    """They come back too; a spread that no float can hold is cut off without a warning."""
    columns, _ = _unpacked(
        _points(np.array(value), expected=np.array(value), lower=np.array(value), upper=np.array(value))
    )
    assert sparkline(_points(np.array(value)))
    if max(value) < 1e308:
        np.testing.assert_allclose(columns["value"], value, rtol=1e-5)


def test_a_point_costs_little() -> None:
    """At most 17 characters, even where all of its numbers are noise; this bounds the size of a page."""
    rng = np.random.default_rng(7)
    value = rng.normal(50, 8, 1000)
    expected = value + rng.normal(0, 1, 1000)
    points = _points(value, expected=expected, lower=expected - 3, upper=expected + 3, score=rng.gamma(2, 1, 1000))
    assert _unpacked(points)[1] < 17_000


def test_a_gap_is_marked_where_points_are_absent_and_not_where_they_were_thinned_out() -> None:
    """Thinned points span more time for a reason; a silence does not."""
    index = np.concatenate([np.arange(0, 4000, 40), np.arange(4000, 4100), np.arange(4100, 8000, 40)])
    time_us = index * 1_000_000
    time_us[150:] += 500_000_000
    columns, _ = _unpacked(_points(np.zeros(len(index)), time_us, index=index))
    assert np.flatnonzero(columns["gap"]).tolist() == [150]


def test_a_sparkline_spans_the_lane_and_shows_its_extremes() -> None:
    """Each slice has its lowest and highest value, and a slice without points says so."""
    value = np.zeros(1000)
    value[500], value[100] = 10, -10
    time_us = np.arange(1000) * 1_000_000
    time_us[700:] += 300_000_000
    low, high = np.frombuffer(base64.b64decode(sparkline(_points(value, time_us))), np.uint8).reshape(-1, 2).T
    assert len(low) == 64
    assert (low.min(), high.max()) == (0, 254)
    assert high[500 * 64 // 1300] == 254
    assert low[100 * 64 // 1300] == 0
    assert (low[36:48] == 255).all()
    assert low[0] == high[0] == 127


@pytest.mark.parametrize("count", [1, 2, 30])
def test_a_short_lane_has_no_holes_in_its_sparkline(count: int) -> None:
    """It has fewer slices instead."""
    levels = np.frombuffer(base64.b64decode(sparkline(_points(np.arange(count, dtype=float)))), np.uint8)
    assert (levels[::2] < 255).all()
