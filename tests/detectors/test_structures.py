"""The invariants of scoring with networks of every structure; what holds them for the plain one is `test_detector`."""

import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.arranging import arrange
from detectors.detector import Detector
from detectors.features import INPUTS
from detectors.frontend import series_inputs
from detectors.layout import allocate, lane_dtype, make_plan
from detectors.lstm import SCORED_OUTPUTS
from detectors.network import HORIZONS, Network
from detectors.profiles import PROFILES
from detectors.recurrence import advance_rows, make_scratch
from detectors.structure import Structure
from detectors.thresholds import fixed_decision
from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from tests.detectors import written_out
from tests.detectors.written_out import ALL, STRUCTURES
from tests.fakes import (
    INTERVAL_US,
    START_US,
    bits,
    cut,
    make_batch,
    make_engine,
    make_network,
    process,
    score_in_pieces,
    seasonal,
    tables_of,
)

LANES, POINTS = 6, 160
STRUCTURED = pytest.mark.parametrize("structure", STRUCTURES, ids=str)
PROFILED = pytest.mark.parametrize("profile", ["balanced", "dense"])


def _detector(structure: Structure, profile: str = "balanced", layers: int = 1) -> Detector:
    decision = fixed_decision(1.3, warm_up=60, rest=20, quiet=10)
    return Detector(make_network(layers, structure=structure), PROFILES[profile], decision)


def _stream(seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Rows, times and values of several lanes, interleaved at random."""
    rng = np.random.default_rng(seed)
    values = np.array([seasonal(rng, POINTS) * 10.0**lane for lane in range(LANES)])
    values[0, 100:105] += 30
    rows = rng.permutation(np.repeat(np.arange(LANES), POINTS))
    nth = np.empty(len(rows), np.int64)
    for lane in range(LANES):
        nth[rows == lane] = np.arange(POINTS)
    return rows, START_US + INTERVAL_US * nth, values[rows, nth]


@STRUCTURED
@PROFILED
@settings(max_examples=12)
@given(cuts=st.sets(st.integers(1, LANES * POINTS - 1), max_size=40).map(sorted), layers=st.integers(1, 2))
def test_carried_steps_equal_one_pass(structure: Structure, profile: str, cuts: list[int], layers: int) -> None:
    """However the points are cut into batches, verdicts and state are those of one pass, bit for bit."""
    detector, stream = _detector(structure, profile, layers), _stream(7)
    whole, pieces = (allocate(detector.lane_dtype, LANES) for _ in range(2))
    expected = bits(score_in_pieces(detector, whole, *stream))
    assert bits(score_in_pieces(detector, pieces, *stream, cuts)) == expected
    assert all(pieces[name].tobytes() == whole[name].tobytes() for name in whole)


@STRUCTURED
def test_lanes_know_nothing_of_one_another_nor_of_what_comes(structure: Structure) -> None:
    """A lane alone, one point at a time and cut short, is given the bits that it has among others."""
    detector, (rows, time_us, values) = _detector(structure), _stream(7)
    together = score_in_pieces(detector, allocate(detector.lane_dtype, LANES), rows, time_us, values)
    for lane in range(LANES):
        mine = np.flatnonzero(rows == lane)[: POINTS - 20]
        nobody = np.zeros(len(mine), np.int64)
        alone = score_in_pieces(
            detector, allocate(detector.lane_dtype, 1), nobody, time_us[mine], values[mine], list(range(1, len(mine)))
        )
        for name in ("score", "expected", "lower", "upper", "surprise"):
            assert getattr(alone, name).tobytes() == getattr(together, name)[mine].tobytes()


@STRUCTURED
@PROFILED
@pytest.mark.parametrize("layers", [1, 2])
def test_forecasts_are_those_of_one_pass_over_the_whole_sequence(
    structure: Structure, profile: str, layers: int
) -> None:
    """Carried steps forecast what the network written out forecasts in one pass over the sequence."""
    detector = _detector(structure, profile, layers)
    values, time_us = seasonal(np.random.default_rng(7), 600), START_US + INTERVAL_US * np.arange(600)
    slab = allocate(detector.lane_dtype, 1)
    verdicts = score_in_pieces(detector, slab, np.zeros(600, np.int64), time_us, values, [1, 7, 300])
    inputs, mean, scale = (array[0] for array in series_inputs(values[None], time_us[None], detector.profile))
    found = np.arcsinh((verdicts.expected[1:] - mean[:-1]) / scale[:-1])
    expected = written_out.read_outs(detector.network, inputs.astype(np.float64))[:-1, 0] + inputs[:-1, 0]
    tolerance = 0.03 if detector.profile.compact_hidden else 1e-4
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@pytest.mark.torch
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("structure", ALL, ids=str)
def test_steps_agree_with_torch(structure: Structure, layers: int) -> None:
    """400 steps of a network that torch made stay within 1e-5 of what torch gives for the whole sequence at once.

    It gives that in float64: layer normalisation magnifies rounding, and in float32 torch is that far off itself.
    """
    torch = pytest.importorskip("torch")
    from detectors.training import TrainingConfig
    from detectors.training.model import export_network, new_model

    config = TrainingConfig(seed=7, layers=layers, hidden=14, structure=structure)
    model = new_model(config, INPUTS)
    with torch.no_grad():
        for name, weight in model.named_parameters():  # gains of 1 and biases of 0 would hide a mistake
            if "gain" in name or "bias" in name:
                weight.add_(torch.linspace(-0.5, 0.5, weight.numel()))
    network = export_network(config, model, INPUTS)
    x = np.random.default_rng(7).normal(size=(4, 400, INPUTS)).astype(np.float32)
    with torch.no_grad():
        expected = model.double().forecast(torch.from_numpy(x).double())[0][..., [0, 3, 4, 5]].numpy()
    np.testing.assert_allclose(_walked(network, x) + x[..., :1], expected, rtol=0, atol=1e-5)


@pytest.mark.torch
@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_a_context_without_gradients_changes_no_forecast(structure: Structure) -> None:
    """What training forecasts behind a context is what it forecasts without one; no gradient is of the context."""
    torch = pytest.importorskip("torch")
    from detectors.training import TrainingConfig
    from detectors.training.model import new_model

    x = torch.from_numpy(np.random.default_rng(7).normal(size=(3, 40, INPUTS)).astype(np.float32))
    whole = new_model(TrainingConfig(hidden=6, structure=structure), INPUTS)
    behind = new_model(TrainingConfig(hidden=6, structure=structure, context=25), INPUTS)
    for one, other in zip(whole.forecast(x), behind.forecast(x), strict=True):
        np.testing.assert_allclose(other.detach(), one[:, 25:].detach(), rtol=0, atol=1e-6)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(behind.forecast(x)[0].sum(), x)
    reach = max(structure.convolution - 1, 0)
    assert (gradient[:, : 25 - reach] == 0).all()
    assert (gradient[:, 25:] != 0).any()


def _walked(network: Network, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scored locations (series, steps, 4) of the kernel, over inputs (series, steps, I) of four series."""
    plan = make_plan(PROFILES["accurate"], network.layers, network.hidden, network.structure, network.inputs)
    state = network.structure.state_size(network.layers, network.hidden, network.inputs)
    hidden, rows = np.zeros((4, state), np.float32), np.arange(4)
    out, told = np.empty((4, SCORED_OUTPUTS), np.float32), []
    for step in x.transpose(1, 0, 2):
        inputs = np.ascontiguousarray(step)
        advance_rows(hidden, rows, plan, arrange(network), make_scratch(plan), inputs, out)
        told.append(out[:, :4].copy())
    return np.stack(told, axis=1)


@pytest.mark.parametrize("structure", STRUCTURES, ids=str)
def test_a_joint_network_is_of_any_structure(structure: Structure) -> None:
    """Steps of a joint network forecast what it forecasts written out, and batches of any size give the same bits."""
    fields, count = ("a", "b"), 300
    network = make_network(structure=structure, fields=fields, gain=0.4)
    detector = Detector(network, PROFILES["balanced"], fixed_decision(1.3, warm_up=60))
    rng = np.random.default_rng(7)
    time_us = START_US + INTERVAL_US * np.arange(count)
    values = np.stack([seasonal(rng, count), 50 * seasonal(rng, count)], axis=1)
    batch = make_batch(["k"] * count, time_us, values)
    expected, inputs = {}, np.zeros((count, network.inputs))
    seen = [series_inputs(values[:, place][None], time_us[None]) for place in range(2)]
    for place, (own, _, _) in enumerate(seen):
        inputs[:, 8 * place : 8 * place + 7] = own[0, :, :7]
        inputs[:, 8 * place + 7] = 1
        inputs[:, 16:] = own[0, :, 7:]
    read = written_out.read_outs(network, inputs)
    for place, (own, mean, scale) in enumerate(seen):
        locations = read[:, place * len(HORIZONS)] + own[0, :, 0]
        expected[place] = mean[0] + scale[0] * np.sinh(locations)
    told: list[list[bytes]] = []
    for cuts in ([], [1, 2, 50], list(range(1, count))):
        tables = list(tables_of(process(make_engine(detector, fields=fields), cut(batch, cuts))))
        for place in range(2):
            found = np.concatenate([table.expected[table.field == place] for table in tables])
            off = (found[1:] - expected[place][:-1]) / seen[place][2][0, :-1]
            np.testing.assert_allclose(off, 0, rtol=0, atol=1e-3)
        told.append([np.concatenate([getattr(t, name) for t in tables]).tobytes() for name in ("expected", "score")])
    assert told[0] == told[1] == told[2]


@STRUCTURED
@PROFILED
def test_bytes_per_lane_are_constant_and_known(structure: Structure, profile: str) -> None:
    """A row has room for h, c of an LSTM, K - 1 inputs and W states, in the profile's numbers, and for nothing else."""
    row = lane_dtype(PROFILES[profile], 2, 64, structure=structure, inputs=INPUTS)
    plain = lane_dtype(PROFILES[profile], 2, 64)
    numbers = (1 if structure.cell == "gru" else 2) * 2 * 64
    numbers += (structure.convolution - 1) * INPUTS if structure.convolution else 0
    numbers += structure.attention * 64
    assert row["hidden"].shape == (numbers,)
    assert row["hidden"].base == plain["hidden"].base
    assert row.itemsize - plain.itemsize == (numbers - 256) * plain["hidden"].base.itemsize


def test_the_plain_structure_is_what_it_was() -> None:
    """The shipped network is plain; its rows, and the mark by which lanes know it, are those of before structures."""
    network = load_bundle(shipped_bundle_path()).network
    assert network.structure.is_plain
    assert lane_dtype(PROFILES["balanced"], 1, 64)["hidden"].shape == (128,)
    described = repr((network.layers, network.hidden, network.horizons)).encode()
    assert _mark_of(described, network) == arrange(network).mark


def test_networks_of_equal_weights_and_other_structure_are_told_apart() -> None:
    """Looking back on more states takes no more weights, and is another network all the same."""
    one, other = (make_network(structure=Structure(attention=count)) for count in (2, 3))
    assert arrange(one).mark != arrange(other).mark


def _mark_of(described: bytes, network: Network) -> int:
    digest = hashlib.sha256(described)
    for name in sorted(network.arrays):
        digest.update(network.arrays[name].tobytes())
    return int.from_bytes(digest.digest()[:8], "little") >> 1


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"cell": "rnn"}, "found cell 'rnn'; expected one of lstm, gru, layer-norm-lstm"),
        ({"convolution": 1}, "found convolution 1; expected 2 to 8 steps, or 0 for no convolution"),
        ({"convolution": 9}, "found convolution 9"),
        ({"attention": 17}, "found attention 17; expected 2 to 16 steps, or 0 for no attention"),
        ({"attention": -2}, "found attention -2"),
    ],
)
def test_what_the_kernel_does_not_support_is_refused(parts: dict[str, Any], message: str) -> None:
    """A structure that could not be scored with cannot be made."""
    with pytest.raises(ValueError, match=message):
        Structure(**parts)
