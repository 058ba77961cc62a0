"""The invariants of scoring, at the detector: carry, batch invariance, causality, and what a verdict may depend on."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.detector import Detector
from detectors.episodes import CLOSED, CLOSED_AS_LEVEL_SHIFT, OPENED
from detectors.frontend import series_inputs
from detectors.kernel import Verdicts
from detectors.layout import Slab, allocate
from detectors.network import Network
from detectors.profiles import PROFILES
from detectors.thresholds import ThresholdTable, fixed_decision, make_decision
from tests.detectors.written_out import read_outs
from tests.fakes import INTERVAL_US, START_US, bits, make_detector, make_network, score_in_pieces, seasonal

LANES, POINTS = 6, 260
SIZES = [("balanced", 1, 6), ("balanced", 2, 5), ("dense", 1, 6), ("dense", 2, 5)]
PROBED = pytest.mark.parametrize(("profile", "layers", "hidden"), SIZES)


@dataclasses.dataclass(frozen=True, slots=True)
class _Stream:
    """Points of several lanes in the order of their arrival."""

    rows: NDArray[np.int64]
    time_us: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, which: NDArray[np.int64] | slice) -> "_Stream":
        return _Stream(self.rows[which], self.time_us[which], self.values[which])


def _fleet(rng: np.random.Generator) -> _Stream:
    """Lanes of different kinds with gaps and faults, interleaved at random."""
    values = np.array([seasonal(rng, POINTS) * 10.0**lane for lane in range(LANES)])
    values[0, 150:160] += 30
    values[1, 200:] += 500
    values[2] = 7.0
    values[3, 180:] = values[3, 180]
    time_us = np.tile(START_US + INTERVAL_US * np.arange(POINTS), (LANES, 1))
    time_us[4, 120:] += 50 * INTERVAL_US
    rows = rng.permutation(np.repeat(np.arange(LANES), POINTS))
    nth = np.empty(len(rows), np.int64)
    for lane in range(LANES):
        nth[rows == lane] = np.arange(POINTS)
    return _Stream(rows, time_us[rows, nth], values[rows, nth])


STREAM = _fleet(np.random.default_rng(7))


def _detector(profile: str, layers: int, hidden: int) -> Detector:
    return make_detector(profile, layers=layers, hidden=hidden, threshold=1.3, warm_up=60, rest=20, quiet=10)


def _slab(detector: Detector, lanes: int = LANES) -> Slab:
    return allocate(detector.lane_dtype, lanes)


def _score(detector: Detector, stream: _Stream, slab: Slab, cuts: list[int] | None = None) -> Verdicts:
    return score_in_pieces(detector, slab, stream.rows, stream.time_us, stream.values, cuts or [])


def _locations_in_one_pass(network: Network, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """One-step forecasts (T,), in normalised units, of a network written out, run once over all inputs (T, I)."""
    return np.asarray(read_outs(network, inputs)[:, 0] + inputs[:, 0])


def _state(slab: Slab) -> list[bytes]:
    return [array.tobytes() for array in slab.values()]


CUTS = st.sets(st.integers(1, LANES * POINTS - 1), max_size=40).map(sorted)


@PROBED
@settings(max_examples=15)
@given(cuts=CUTS)
def test_carried_steps_equal_one_pass(profile: str, layers: int, hidden: int, cuts: list[int]) -> None:
    """However the points are cut into batches, verdicts and state are those of one pass, bit for bit."""
    detector = _detector(profile, layers, hidden)
    whole, pieces = _slab(detector), _slab(detector)
    expected = bits(_score(detector, STREAM, whole))
    assert bits(_score(detector, STREAM, pieces, cuts)) == expected
    assert _state(pieces) == _state(whole)


@PROBED
def test_one_point_at_a_time_equals_one_pass(profile: str, layers: int, hidden: int) -> None:
    """Batches of one, which never step four lanes together, give the bits of one pass."""
    detector = _detector(profile, layers, hidden)
    singly = _score(detector, STREAM, _slab(detector), list(range(1, len(STREAM))))
    assert bits(singly) == bits(_score(detector, STREAM, _slab(detector)))


@PROBED
@pytest.mark.parametrize("batch", [1, 7, 600])
def test_forecasts_are_those_of_one_pass_over_the_whole_sequence(
    profile: str, layers: int, hidden: int, batch: int
) -> None:
    """Carried steps, in batches of any size, forecast what an LSTM written out forecasts in one pass over them."""
    detector = _detector(profile, layers, hidden)
    values, time_us = seasonal(np.random.default_rng(7), 600), START_US + INTERVAL_US * np.arange(600)
    rows, cuts = np.zeros(600, np.int64), list(range(batch, 600, batch))
    verdicts = score_in_pieces(detector, _slab(detector, 1), rows, time_us, values, cuts)
    inputs, mean, scale = (array[0] for array in series_inputs(values[None], time_us[None], detector.profile))
    found = np.arcsinh((verdicts.expected[1:] - mean[:-1]) / scale[:-1])
    expected = _locations_in_one_pass(detector.network, inputs.astype(np.float64))[:-1]
    tolerance = 0.02 if detector.profile.compact_hidden else 1e-4
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@PROBED
@pytest.mark.parametrize("part", ["h", "c"])
def test_a_detector_that_forgets_its_state_between_batches_is_caught(
    profile: str, layers: int, hidden: int, part: str
) -> None:
    """Putting h, or c, to zero between batches changes forecasts and scores: the tests of carried steps would fail."""
    detector = _detector(profile, layers, hidden)
    forgetful, pieces = _slab(detector), []
    columns = slice(layers * hidden) if part == "h" else slice(layers * hidden, None)
    for start in range(0, len(STREAM), 100):
        forgetful["hidden"][:, columns] = 0
        pieces.append(_score(detector, STREAM.take(slice(start, start + 100)), forgetful))
    whole = _score(detector, STREAM, _slab(detector))
    for name in ("expected", "score"):
        found = np.concatenate([getattr(piece, name) for piece in pieces])
        assert not np.array_equal(found, getattr(whole, name), equal_nan=True)


@PROBED
def test_the_recurrent_weights_matter(profile: str, layers: int, hidden: int) -> None:
    """Without the weights from h to the gates of any one layer, the forecasts are others."""
    detector = _detector(profile, layers, hidden)
    expected = _score(detector, STREAM, _slab(detector)).expected
    for layer in range(layers):
        network = detector.network
        arrays = dict(network.arrays)
        arrays[f"weight_hh_l{layer}"] = np.zeros_like(arrays[f"weight_hh_l{layer}"])
        changed = dataclasses.replace(
            detector, network=Network(layers, hidden, network.inputs, network.horizons, arrays)
        )
        assert not np.array_equal(_score(changed, STREAM, _slab(detector)).expected, expected, equal_nan=True)


@PROBED
@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_neither_the_other_lanes_nor_the_row_matter(profile: str, layers: int, hidden: int, seed: int) -> None:
    """Lanes interleaved in another order, put in other rows and cut at random give each lane its bits."""
    rng = np.random.default_rng(seed)
    detector = _detector(profile, layers, hidden)
    slab, moved = _slab(detector), _slab(detector, LANES + 3)
    expected = _score(detector, STREAM, slab)
    place = rng.permutation(LANES + 3)[:LANES]
    shuffled = rng.permutation(STREAM.rows)
    order = np.empty(len(STREAM), np.int64)
    for lane in range(LANES):
        order[shuffled == lane] = np.flatnonzero(STREAM.rows == lane)
    stream = STREAM.take(order)
    found = _score(
        detector, dataclasses.replace(stream, rows=place[stream.rows]), moved, sorted(rng.integers(1, len(STREAM), 20))
    )
    for lane in range(LANES):
        # positions differ, so episodes are compared by their state below
        theirs, ours = (verdicts._replace(episode=np.zeros(len(STREAM), np.int64)) for verdicts in (expected, found))
        assert bits(ours, shuffled == lane) == bits(theirs, STREAM.rows == lane)
        slab["scalars"]["episode_position"] = moved["scalars"]["episode_position"] = 0
        for name, array in slab.items():
            assert moved[name][place[lane]].tobytes() == array[lane].tobytes()


@pytest.mark.parametrize("profile", ["balanced", "dense", "accurate"])
def test_a_row_goes_on_where_it_left_off_wherever_it_is_put(profile: str) -> None:
    """The bytes of a row, copied to another slab in the middle of a stream, go on to the same bits."""
    detector = _detector(profile, 1, 6)
    expected = bits(_score(detector, STREAM, _slab(detector)), slice(700, None))
    first, second = _slab(detector), _slab(detector, 2 * LANES)
    _score(detector, STREAM.take(slice(700)), first)
    for name, array in first.items():
        second[name][LANES:] = np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)
    rest = STREAM.take(slice(700, None))
    found = detector.score(second, rest.rows + LANES, rest.time_us, rest.values, np.arange(700, len(STREAM)))
    assert bits(found) == expected


@PROBED
@settings(max_examples=10)
@given(end=st.integers(1, LANES * POINTS))
def test_a_verdict_depends_on_nothing_after_its_point(profile: str, layers: int, hidden: int, end: int) -> None:
    """Cutting the stream short changes no earlier verdict."""
    detector = _detector(profile, layers, hidden)
    whole = _score(detector, STREAM, _slab(detector))
    short = _score(detector, STREAM.take(slice(end)), _slab(detector))
    assert bits(short) == bits(whole, slice(end))


def _one_lane(detector: Detector, values: NDArray[np.float64], interval_us: int = INTERVAL_US) -> Verdicts:
    time_us = START_US + interval_us * np.arange(len(values))
    slab, rows = _slab(detector, 1), np.zeros(len(values), np.int64)
    return detector.score(slab, rows, time_us, values, np.arange(len(values)))


@pytest.mark.parametrize("profile", ["balanced", "dense"])
def test_nothing_is_flagged_while_warming(profile: str) -> None:
    """Until the warm-up is over there is neither score nor flag, whatever the values; from then on there is a score."""
    values = np.random.default_rng(7).standard_cauchy(400)
    verdicts = _one_lane(make_detector(profile, threshold=0.01, warm_up=200), values)
    assert not verdicts.flagged[:200].any()
    assert not verdicts.event[:200].any()
    assert np.isnan(verdicts.score[:200]).all()
    assert np.isfinite(verdicts.score[200:]).all()
    assert verdicts.flagged[200:].any()


@pytest.mark.parametrize("profile", ["balanced", "dense"])
@pytest.mark.parametrize("value", [0.0, 0.1, -3e9, 1e-30])
def test_a_constant_stream_is_never_flagged(profile: str, value: float) -> None:
    """However low the threshold, nothing is unusual in a stream that never changes."""
    verdicts = _one_lane(make_detector(profile, threshold=1e-6), np.full(9000, value))
    assert not verdicts.flagged.any()


def test_the_first_change_of_a_constant_stream_is_flagged() -> None:
    """A stream that was constant for long and then changes is unusual."""
    values = np.concatenate([np.full(1000, 5.0), [6.0], np.full(50, 5.0)])
    assert np.flatnonzero(_one_lane(make_detector(), values).event == OPENED).tolist() == [1000]


def _bases(rng: np.random.Generator, count: int) -> dict[str, NDArray[np.float64]]:
    noise = rng.normal(size=count)
    smooth = np.convolve(rng.normal(size=count + 19), np.ones(20) / 20, "valid") + 0.2 * noise
    return {"noise": noise, "seasonal": seasonal(rng, count), "smooth": smooth, "counts": np.round(2 * noise)}


@pytest.mark.parametrize("profile", ["balanced", "dense"])
@pytest.mark.parametrize("base", ["noise", "seasonal", "smooth", "counts"])
@pytest.mark.parametrize("size", [10, -10, 40])
def test_a_level_shift_is_told_once_and_accepted(profile: str, base: str, size: int) -> None:
    """A lasting change of level opens one episode, closed as a level shift, and in 2,000 points none follows."""
    values = _bases(np.random.default_rng(7), 5000)[base]
    values[3000:] += size * values.std()
    verdicts = _one_lane(make_detector(profile, threshold=2.2), values)
    happened = verdicts.event_point[verdicts.event_point >= 3000]
    events = verdicts.event[happened]
    assert (events == OPENED).sum() == 1
    assert happened[0] < 3010
    assert events[-1] == CLOSED_AS_LEVEL_SHIFT
    assert happened[-1] < 3100


@pytest.mark.parametrize("profile", ["balanced", "dense"])
@pytest.mark.parametrize(("lasts", "kind"), [(False, CLOSED), (True, CLOSED_AS_LEVEL_SHIFT)])
def test_another_time_of_day_is_no_level_shift(profile: str, lasts: bool, kind: int) -> None:
    """In a square daily rhythm an incident just before it turns is none; a lasting change there is one."""
    count, day, turn = 2000, 288, 288 * 5 + 144
    values = 5.0 * (np.arange(count) % day >= day // 2) + 0.1 * np.random.default_rng(7).normal(size=count)
    values[turn - 1 : count if lasts else turn] -= 12
    verdicts = _one_lane(make_detector(profile, threshold=2.2), values)
    happened = verdicts.event[verdicts.event_point[verdicts.event_point >= turn - 1]]
    assert happened[0] == OPENED
    assert happened[happened >= CLOSED][0] == kind


def test_an_incident_does_not_raise_the_threshold() -> None:
    """The threshold after an incident is the one that the lane would have had without it."""
    table = ThresholdTable((150, 5000), (-5.0, -3.0), ((2.5, 2.0), (2.2, 1.7)))
    detector = dataclasses.replace(make_detector(), decision=make_decision(table, 1.0))
    values = seasonal(np.random.default_rng(7), 3000)
    hurt = values.copy()
    hurt[1000:1040] += 20
    calm, verdicts = _one_lane(detector, values), _one_lane(detector, hurt)
    assert verdicts.flagged[1000:1040].any()
    assert verdicts.threshold.tobytes() == calm.threshold.tobytes()
    assert (np.diff(calm.threshold) <= 0).all()


@pytest.mark.parametrize("profile", ["balanced", "dense", "accurate"])
@pytest.mark.parametrize("at", [5, 25, 700])
def test_the_largest_numbers_poison_no_lane(profile: str, at: int) -> None:
    """After values as large as numbers go, forecasts and scores are finite, and the lane still tells a fault."""
    values = seasonal(np.random.default_rng(7), 3000)
    values[at : at + 3] = 1.7e308, -1.7e308, 5e-324
    detector = make_detector(profile)
    slab = _slab(detector, 1)
    time_us = START_US + INTERVAL_US * np.arange(len(values))
    verdicts = score_in_pieces(detector, slab, np.zeros(len(values), np.int64), time_us, values)
    assert np.isfinite(verdicts.score[150:]).all()
    for name in ("expected", "lower", "upper", "surprise"):
        assert np.isfinite(getattr(verdicts, name)[1:]).all()
    assert (verdicts.lower[1:] <= verdicts.expected[1:]).all()
    assert (verdicts.expected[1:] <= verdicts.upper[1:]).all()
    assert all(np.isfinite(slab["scalars"][name]).all() for name in slab["scalars"].dtype.names or ())
    if at == 700:
        assert verdicts.event[700] == OPENED


@pytest.mark.parametrize("profile", ["balanced", "dense"])
def test_a_fault_is_flagged_at_its_first_point(profile: str) -> None:
    """A spike far beyond everything seen opens an episode at once, with the newest values as its context."""
    values = seasonal(np.random.default_rng(7), 1200)
    values[1000] += 5
    detector = make_detector(profile, threshold=2.2)
    verdicts = detector.score(
        _slab(detector, 1),
        np.zeros(1200, np.int64),
        START_US + INTERVAL_US * np.arange(1200),
        values,
        np.arange(1200) + 500,
    )
    assert verdicts.event_point[0] == 1000
    assert verdicts.episode[1000] == 1500
    assert verdicts.event_opened_us[0] == START_US + INTERVAL_US * 1000
    assert verdicts.event_peak[0] == verdicts.score[1000]
    window = detector.profile.window
    np.testing.assert_allclose(verdicts.event_window[0], values[1001 - window : 1001], atol=0.01)
    assert verdicts.event_novelty[0, detector.profile.streams.index("value")] > 1.5


def test_what_the_kernel_cannot_use_is_refused() -> None:
    """A network of other inputs, or without a horizon that is scored, raises with what was found."""
    network = make_network()
    arrays = dict(network.arrays)
    arrays["weight_ih_l0"] = arrays["weight_ih_l0"][:, :5]
    arrays["head_weight"] = arrays["head_weight"][:, :11]
    narrow = Network(1, 6, 5, network.horizons, arrays)
    with pytest.raises(ValueError, match="found a network of 5 inputs; expected 10"):
        Detector(narrow, PROFILES["balanced"], fixed_decision(1.7))
    arrays = dict(network.arrays)
    arrays["head_weight"], arrays["head_bias"] = arrays["head_weight"][:9], arrays["head_bias"][:9]
    with pytest.raises(ValueError, match="found horizons"):
        Detector(Network(1, 6, 10, (1, 8, 32), arrays), PROFILES["balanced"], fixed_decision(1.7))
