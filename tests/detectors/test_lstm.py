import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.lstm import SCORED_OUTPUTS, lstm_step, lstm_step_4, read_out
from tests.detectors.written_out import sigmoid

Floats = NDArray[np.float64]


def _weights(rng: np.random.Generator, inputs: int, hidden: int) -> tuple[Floats, Floats]:
    """(w, b) as `lstm_step` takes them."""
    return rng.normal(size=(inputs + hidden, 4 * hidden)) / np.sqrt(hidden), rng.normal(size=4 * hidden)


def _written_out(x: Floats, h: Floats, c: Floats, w: Floats, b: Floats) -> tuple[Floats, Floats]:
    """The gate equations, one by one, from the blocks of `w` for i, f, o and g."""
    i, f, o, g = np.split(np.concatenate([x, h]) @ w + b, 4)
    cell = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(cell), cell


@pytest.mark.parametrize("hidden", [1, 6, 8])
def test_float64_steps_follow_the_gate_equations(hidden: int) -> None:
    """In float64, 200 carried steps equal the gate equations written out, to 1e-12."""
    rng = np.random.default_rng(7)
    w, b = _weights(rng, 3, hidden)
    h, c, gates = np.zeros(hidden), np.zeros(hidden), np.empty(4 * hidden)
    expected_h, expected_c = np.zeros(hidden), np.zeros(hidden)
    for x in rng.normal(size=(200, 3)):
        lstm_step(x, h, c, w, b, gates)
        expected_h, expected_c = _written_out(x, expected_h, expected_c, w, b)
        np.testing.assert_allclose(h, expected_h, rtol=0, atol=1e-12)
        np.testing.assert_allclose(c, expected_c, rtol=0, atol=1e-12)


@given(st.integers(1, 13), st.integers(1, 10), st.integers(0, 2**32 - 1))
def test_four_lanes_at_once_give_the_bits_of_one_at_a_time(hidden: int, inputs: int, seed: int) -> None:
    """`lstm_step_4` gives each of its four lanes the very bits that `lstm_step` gives it alone, at any size."""
    rng = np.random.default_rng(seed)
    w, b = (array.astype(np.float32) for array in _weights(rng, inputs, hidden))
    x = rng.normal(size=(20, 4, inputs)).astype(np.float32) * np.float32(3)
    h, c = (rng.normal(size=(4, hidden)).astype(np.float32) for _ in range(2))
    alone_h, alone_c = h.copy(), c.copy()
    gates = np.empty((4, 4 * hidden), np.float32)
    for step in range(len(x)):
        lstm_step_4(x[step], h, c, w, b, gates)
        for lane in range(4):
            lstm_step(x[step, lane], alone_h[lane], alone_c[lane], w, b, gates[lane])
    assert h.tobytes() == alone_h.tobytes()
    assert c.tobytes() == alone_c.tobytes()


@pytest.mark.torch
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("four", [False, True])
def test_steps_agree_with_torch(layers: int, four: bool) -> None:
    """500 carried steps stay within 1e-5 of torch.nn.LSTM given the same weights and the whole sequence at once."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(7)
    hidden, inputs, steps = 14, 10, 500
    module = torch.nn.LSTM(inputs, hidden, layers)
    order = np.r_[0:hidden, hidden : 2 * hidden, 3 * hidden : 4 * hidden, 2 * hidden : 3 * hidden]
    layer_weights = []
    for layer in range(layers):
        parts = {
            name: getattr(module, f"{name}_l{layer}").detach().numpy()[order]
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        w = np.ascontiguousarray(np.concatenate([parts["weight_ih"].T, parts["weight_hh"].T]))
        layer_weights.append((w, parts["bias_ih"] + parts["bias_hh"]))
    x = np.random.default_rng(7).normal(size=(steps, 4, inputs)).astype(np.float32)
    with torch.no_grad():
        expected, (expected_h, expected_c) = module(torch.from_numpy(x))
    h, c = np.zeros((layers, 4, hidden), np.float32), np.zeros((layers, 4, hidden), np.float32)
    gates = np.empty((4, 4 * hidden), np.float32)
    for step in range(steps):
        below = x[step]
        for layer, (w, b) in enumerate(layer_weights):
            if four:
                lstm_step_4(below, h[layer], c[layer], w, b, gates)
            else:
                for lane in range(4):
                    lstm_step(below[lane], h[layer, lane], c[layer, lane], w, b, gates[lane])
            below = h[layer].copy()
        np.testing.assert_allclose(below, expected[step].numpy(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(h, expected_h.numpy(), rtol=0, atol=1e-5)
    np.testing.assert_allclose(c, expected_c.numpy(), rtol=0, atol=1e-5)


def test_saturated_gates_stay_finite_and_bounded() -> None:
    """Inputs a thousand times too large saturate the gates and leave (h, c) finite, h within [-1, 1]."""
    rng = np.random.default_rng(7)
    w, b = (array.astype(np.float32) for array in _weights(rng, 3, 6))
    h, c, gates = np.zeros(6, np.float32), np.zeros(6, np.float32), np.empty(24, np.float32)
    for x in rng.normal(size=(100, 3)).astype(np.float32) * np.float32(1000):
        lstm_step(x, h, c, w, b, gates)
    assert np.isfinite(c).all()
    assert (np.abs(h) <= 1).all()


def test_read_out_is_linear_in_state_and_inputs() -> None:
    """The read-out is bias + [h, x] w."""
    rng = np.random.default_rng(7)
    x, h = rng.normal(size=10).astype(np.float32), rng.normal(size=6).astype(np.float32)
    w = rng.normal(size=(16, SCORED_OUTPUTS)).astype(np.float32)
    b = rng.normal(size=SCORED_OUTPUTS).astype(np.float32)
    out = np.empty(SCORED_OUTPUTS, np.float32)
    read_out(x, h, w, b, out)
    np.testing.assert_allclose(out, np.concatenate([h, x]).astype(np.float64) @ w + b, rtol=0, atol=1e-5)
