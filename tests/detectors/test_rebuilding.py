"""What a lane carries behind a swap of networks."""

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.detector import Detector
from detectors.frontend import series_inputs
from detectors.kernel import Verdicts
from detectors.layout import Slab, allocate
from detectors.minifloat import decode
from detectors.network import Network
from detectors.profiles import PROFILES
from detectors.structure import PLAIN, Structure
from detectors.thresholds import fixed_decision
from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from tests.detectors.written_out import STRUCTURES, read_outs
from tests.fakes import INTERVAL_US, START_US, bits, make_network, score_in_pieces, seasonal

BEFORE, AFTER, LANES = 300, 200, 5
SHIPPED = load_bundle(shipped_bundle_path()).network
STRUCTURED = pytest.mark.parametrize("structure", [PLAIN, *STRUCTURES], ids=str)
SIZES = pytest.mark.parametrize(("profile", "layers"), [("balanced", 1), ("balanced", 2), ("dense", 1)])


def _detector(network: Network, profile: str = "balanced") -> Detector:
    return Detector(network, PROFILES[profile], fixed_decision(1.5, warm_up=60))


def _values(seed: int) -> NDArray[np.float64]:
    """(LANES, BEFORE + AFTER) of a rhythm with noise, on several levels."""
    rng = np.random.default_rng(seed)
    return np.array([seasonal(rng, BEFORE + AFTER) * 10.0**lane + lane for lane in range(LANES)])


def _times(points: int) -> NDArray[np.int64]:
    return START_US + INTERVAL_US * np.arange(points)


def _score(
    detector: Detector, slab: Slab, values: NDArray[np.float64], first: int, cuts: list[int] | None = None
) -> Verdicts:
    """Points of all lanes in turn, from the `first` on."""
    lanes, points = values.shape
    rows = np.tile(np.arange(lanes), points)
    times = np.repeat(START_US + INTERVAL_US * (first + np.arange(points)), lanes)
    return score_in_pieces(detector, slab, rows, times, values.T.ravel(), cuts or [])


def _moved(slab: Slab, detector: Detector) -> Slab:
    """The lanes of a slab in one for another detector, whose network may carry more or less."""
    moved = allocate(detector.lane_dtype, len(slab["scalars"]))
    for name in moved.keys() - {"hidden"}:
        moved[name][:] = slab[name]
    return moved


@SIZES
@STRUCTURED
def test_the_state_is_that_of_the_new_network_led_over_the_window(
    profile: str, layers: int, structure: Structure
) -> None:
    """The first forecast behind a swap is that of the network written out, led over the window and the point itself."""
    values = _values(3)[:1, : BEFORE + 2]
    slab = allocate(_detector(make_network(layers), profile).lane_dtype, 1)
    _score(_detector(make_network(layers), profile), slab, values[:, :BEFORE], 0)
    lane = slab["scalars"][0]
    window = slab["window"][0]
    held = np.array([decode(code) for code in window]) if window.dtype == np.int16 else window
    size, sd = len(held), np.sqrt(lane["variance"])
    kept = np.array([held[t % size] for t in range(BEFORE - size, BEFORE)], np.float64)
    x = kept * lane["frame_scale"] + lane["frame_mean"] - lane["mean"]
    inputs = np.zeros((size, 10))
    inputs[:, 0] = np.arcsinh(x / sd)
    inputs[1:, 1] = np.arcsinh(np.diff(x) / sd)
    following = (_times(BEFORE)[-size:] + INTERVAL_US) / 86_400e6
    inputs[:, 7], inputs[:, 8] = np.sin(2 * np.pi * following), np.cos(2 * np.pi * following)
    inputs[:, 9] = (np.floor(following) + 3) % 7 >= 5
    network = make_network(layers, gain=0.8, structure=structure)
    real, mean, scale = (array[0, BEFORE] for array in series_inputs(values, _times(BEFORE + 2)[None]))
    expected = read_outs(network, np.array([*inputs, real]))[-1, 0] + real[0]
    slab = _moved(slab, _detector(network, profile))
    verdicts = _score(_detector(network, profile), slab, values[:, BEFORE:], BEFORE)
    found = np.arcsinh((verdicts.expected[1] - mean) / scale)
    assert found == pytest.approx(expected, abs=0.02 if profile == "dense" else 1e-3)


@SIZES
@STRUCTURED
def test_a_swap_is_the_same_however_the_points_are_cut(profile: str, layers: int, structure: Structure) -> None:
    """Behind a swap, batches of any size give the same verdicts and the same state, bit for bit."""
    values, states, told = _values(4), [], []
    for cuts in ([], [1], [2, 3, 9], list(range(1, AFTER * LANES))):
        slab = allocate(_detector(make_network(layers), profile).lane_dtype, LANES)
        _score(_detector(make_network(layers), profile), slab, values[:, :BEFORE], 0)
        new = _detector(make_network(layers, gain=0.8, structure=structure), profile)
        slab = _moved(slab, new)
        told.append(bits(_score(new, slab, values[:, BEFORE:], BEFORE, cuts)))
        states.append([array.tobytes() for array in slab.values()])
    assert all(one == told[0] for one in told)
    assert all(one == states[0] for one in states)


def test_an_equal_network_is_not_a_swap() -> None:
    """A detector made anew with equal weights goes on with what is carried, to the bit."""
    values = _values(5)
    whole, pieces = (allocate(_detector(make_network()).lane_dtype, LANES) for _ in range(2))
    detector = _detector(make_network())
    for slab, second in ((whole, detector), (pieces, _detector(make_network()))):
        _score(detector, slab, values[:, :BEFORE], 0)
        _score(second, slab, values[:, BEFORE:], BEFORE)
    assert [array.tobytes() for array in pieces.values()] == [array.tobytes() for array in whole.values()]


def test_a_swap_leaves_no_blind_spot() -> None:
    """In the first points behind a swap, forecasts are nearly as good as had the new network been there all along.

    With what the other network carried they are clearly worse: the rebuilding is what this shows.
    """
    values, other, new = _values(6), _detector(make_network(1, 64, gain=2.0)), _detector(SHIPPED)

    def error(slab: Slab) -> float:
        verdicts = _score(new, slab, values[:, BEFORE : BEFORE + 10], BEFORE)
        residual = np.abs(values.T[BEFORE + 1 : BEFORE + 10] - verdicts.expected.reshape(10, LANES)[1:])
        return float((residual / values.std(axis=1)).mean())

    slabs = {name: allocate(new.lane_dtype, LANES) for name in ("carried", "rebuilt", "foreign", "nothing")}
    for name, slab in slabs.items():
        _score(new if name == "carried" else other, slab, values[:, :BEFORE], 0)
        if name in {"foreign", "nothing"}:
            slab["scalars"]["network"] = slabs["carried"]["scalars"]["network"]
    slabs["nothing"]["hidden"][:] = 0
    errors = {name: error(slab) for name, slab in slabs.items()}
    assert errors["rebuilt"] < 1.05 * errors["carried"]
    assert errors["foreign"] > 1.2 * errors["rebuilt"]
