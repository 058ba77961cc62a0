import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t as student_t

from detectors.detector import Detector
from detectors.features import INPUTS
from detectors.frontend import series_inputs
from detectors.kernel import _block_at
from detectors.layout import Slab, allocate
from detectors.minifloat import decode
from detectors.network import HORIZONS, Network, weight_shapes
from detectors.normalise import FRAME_AFTER
from detectors.profiles import PROFILES
from detectors.recurrence import BLOCK
from detectors.thresholds import fixed_decision
from tests.fakes import INTERVAL_US, START_US, make_detector, score_in_pieces, seasonal

DAY_US = 86_400_000_000
STEP_US = 420_000_000  # seven minutes: no step of the forecast below is like the next
HIDDEN = 3


def _clockwork(profile: str) -> Detector:
    """A detector that forecasts, for every horizon, the sine of the time of day one step ahead, in normalised units."""
    arrays = {name: np.zeros(shape, np.float32) for name, shape in weight_shapes(1, HIDDEN, INPUTS, HORIZONS).items()}
    locations = slice(len(HORIZONS))
    arrays["head_weight"][locations, HIDDEN] = -1  # takes away the level, which is added to every location
    arrays["head_weight"][locations, HIDDEN + 7] = 1
    chosen = PROFILES[profile]
    kept = dict.fromkeys((*chosen.streams, "mean_residual_8", "mean_residual_32", "mean_residual_96"))
    return Detector(
        Network(1, HIDDEN, INPUTS, HORIZONS, arrays), replace(chosen, streams=tuple(kept)), fixed_decision(1.7)
    )


def _score(detector: Detector, values: NDArray[np.float64], time_us: NDArray[np.int64]) -> Slab:
    slab = allocate(detector.lane_dtype, 1)
    score_in_pieces(detector, slab, np.zeros(len(values), np.int64), time_us, values)
    return slab


def _kept_residuals(detector: Detector, slab: Slab, horizon: int, count: int) -> NDArray[np.float64]:
    """Residuals of the last points, oldest first, from the ring of their moving mean."""
    length = {8: 10, 32: 20, 96: 40}[horizon]
    start = getattr(detector.plan, f"mean_residual_{horizon}")
    points = int(slab["scalars"]["points"][0])
    return np.array([
        float(decode(slab["rings"][0, start + point % length])) for point in range(points - count, points)
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "horizon", "stride"),
    [("balanced", 8, 1), ("balanced", 32, 1), ("balanced", 96, 1), ("dense", 32, 2), ("dense", 96, 4)],
)
@pytest.mark.parametrize("count", [150, 277])
def test_a_point_is_compared_with_the_forecast_made_for_it(profile: str, horizon: int, stride: int, count: int) -> None:
    """A residual is against the forecast made `horizon` points ago or, where not all are kept, the first one since."""
    values = np.random.default_rng(7).normal(size=count)
    time_us = START_US + STEP_US * np.arange(count)
    detector = _clockwork(profile)
    slab = _score(detector, values, time_us)
    point = np.arange(count - 8, count)
    made = -(-(point - horizon) // stride) * stride
    forecast = np.sin(2 * np.pi * (time_us[made] + STEP_US) / DAY_US)
    level = series_inputs(values[None], time_us[None], detector.profile)[0][0, point, 0]
    np.testing.assert_allclose(_kept_residuals(detector, slab, horizon, 8), level - forecast, rtol=0, atol=0.004)


@pytest.mark.parametrize(("profile", "horizon"), [("balanced", 8), ("balanced", 32), ("dense", 32), ("dense", 96)])
@pytest.mark.parametrize("before", [200, 201, 202, 203])
def test_a_forecast_made_before_a_gap_is_not_answered(profile: str, horizon: int, before: int) -> None:
    """After a gap, a residual is 0 until the forecast that it is against was made after the gap."""
    detector = _clockwork(profile)
    values = np.random.default_rng(7).normal(size=before + horizon + 1)
    time_us = START_US + STEP_US * np.arange(len(values))
    time_us[before:] += 10 * STEP_US
    shown = 10 if horizon == 8 else 20
    unanswered = _kept_residuals(detector, _score(detector, values[:-1], time_us[:-1]), horizon, min(horizon, shown))
    answered = _kept_residuals(detector, _score(detector, values, time_us), horizon, 1)
    assert (unanswered == 0).all()
    assert (answered != 0).all()


def test_a_gap_drops_the_forecast_of_its_point_and_is_told() -> None:
    """The point after a gap has no expected value, band or surprise, and is marked; its neighbours have them."""
    detector = make_detector()
    time_us = START_US + INTERVAL_US * np.arange(300)
    time_us[200:] += 9 * INTERVAL_US
    verdicts = score_in_pieces(
        detector,
        allocate(detector.lane_dtype, 1),
        np.zeros(300, np.int64),
        time_us,
        seasonal(np.random.default_rng(7), 300),
    )
    assert np.flatnonzero(verdicts.gap).tolist() == [200]
    for name in ("expected", "lower", "upper", "surprise"):
        assert np.flatnonzero(np.isnan(getattr(verdicts, name))).tolist() == [0, 200]


def test_a_network_of_zeros_forecasts_no_change_within_a_band_of_its_quantiles() -> None:
    """With all weights 0 the value expected is the one before, and the band is the Student-t interval around it."""
    detector = make_detector(gain=0)
    values = np.random.default_rng(7).normal(100, 5, 400)
    time_us = START_US + INTERVAL_US * np.arange(400)
    slab = allocate(detector.lane_dtype, 1)
    verdicts = score_in_pieces(detector, slab, np.zeros(400, np.int64), time_us, values)
    np.testing.assert_allclose(verdicts.expected[1:], values[:-1], rtol=1e-5)
    level, mean, scale = (array[0] for array in series_inputs(values[None], time_us[None]))
    reach = student_t.ppf(0.975, np.log(2) + 1.1) * np.exp(-1)
    for bound, side in ((verdicts.lower, -1), (verdicts.upper, 1)):
        expected = mean + scale * np.sinh(level[:, 0] + side * reach)
        np.testing.assert_allclose(bound[1:], expected[:-1], rtol=1e-3)
    surprise = (level[1:, 0] - level[:-1, 0]) * np.exp(1)
    np.testing.assert_allclose(verdicts.surprise[1:], surprise, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("profile", ["balanced", "dense"])
def test_a_lane_forgets_between_two_points_of_two_generations(profile: str) -> None:
    """A spike as high as one before is less novel up to the end of the next generation, and then is new again."""
    generation, first = 200, FRAME_AFTER + 250
    detector = dataclasses.replace(
        make_detector(profile, gain=0, threshold=99),
        profile=dataclasses.replace(PROFILES[profile], generation=generation),
    )
    noise = np.random.default_rng(7).normal(size=FRAME_AFTER + 3 * generation + 1)
    scores = []
    for second in (FRAME_AFTER + 3 * generation - 1, FRAME_AFTER + 3 * generation):
        values = noise.copy()
        values[[first, second]] = 8.0
        time_us = START_US + INTERVAL_US * np.arange(len(values))
        rows = np.zeros(len(values), np.int64)
        verdicts = score_in_pieces(detector, allocate(detector.lane_dtype, 1), rows, time_us, values)
        scores.append(float(verdicts.score[second]))
    known, forgotten = scores
    assert known + 0.1 < forgotten


@pytest.mark.parametrize(
    ("rows", "ends"),
    [
        ([0, 1, 2, 3, 4, 5], [4, 6]),
        ([0, 0, 0], [1, 2, 3]),
        ([0, 1, 0, 1, 2, 3, 1], [2, 6, 7]),
        ([5], [1]),
    ],
)
def test_blocks_are_runs_of_distinct_lanes(rows: list[int], ends: list[int]) -> None:
    """Points step together up to four at a time, and never two of one lane."""
    found, start = [], 0
    while start < len(rows):
        start = _block_at(np.array(rows), start)
        found.append(start)
    assert found == ends
    assert max(np.diff([0, *found])) <= BLOCK
