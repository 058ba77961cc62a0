"""Cells, convolution and attention, each against its equations."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from detectors.attention import read_recalled, recall
from detectors.convolution import convolve
from detectors.gru import gru_step, gru_step_4
from detectors.layer_norm import VECTORS, layer_norm_step, layer_norm_step_4
from detectors.products import add_product, add_product_4
from tests.detectors import written_out

Floats = NDArray[np.float64]
GATES = {"gru": 3, "layer-norm-lstm": 4}
SCRATCH = {"gru": 6, "layer-norm-lstm": 8}
KINDS = pytest.mark.parametrize("cell", list(GATES))


def _one(cell: str, x: Any, h: Any, c: Any, w: Any, b: Any, gates: Any) -> None:
    """A step of one lane."""
    if cell == "gru":
        gru_step(x, h, w, b, gates)
    else:
        layer_norm_step(x, h, c, w, b, gates)


def _four(cell: str, x: Any, h: Any, c: Any, w: Any, b: Any, gates: Any) -> None:
    """A step of four lanes."""
    if cell == "gru":
        gru_step_4(x, h, w, b, gates)
    else:
        layer_norm_step_4(x, h, c, w, b, gates)


def _weights(rng: np.random.Generator, cell: str, inputs: int, hidden: int) -> tuple[Floats, Floats]:
    """(w, b) as the steps take them."""
    vectors = 6 if cell == "gru" else VECTORS
    return (
        rng.normal(size=(inputs + hidden, GATES[cell] * hidden)) / np.sqrt(hidden),
        rng.normal(size=vectors * hidden),
    )


def _by_name(cell: str, inputs: int, w: Floats, b: Floats) -> dict[str, Floats]:
    """The same by the names of a network's arrays, gates in torch's order."""
    size = w.shape[1] // GATES[cell]
    if cell == "gru":
        bias_ih, bias_hh = np.split(b, 2)
        return {"weight_ih": w[:inputs].T, "weight_hh": w[inputs:].T, "bias_ih": bias_ih, "bias_hh": bias_hh}
    order = np.r_[0 : 2 * size, 3 * size : 4 * size, 2 * size : 3 * size]
    bias, gain_ih, gain_hh = (b[4 * size * k : 4 * size * (k + 1)][order] for k in range(3))
    return {
        "weight_ih": w[:inputs].T[order], "weight_hh": w[inputs:].T[order], "bias": bias, "gain_ih": gain_ih,
        "gain_hh": gain_hh, "gain_c": b[12 * size : 13 * size], "bias_c": b[13 * size :],
    }  # fmt: skip


@KINDS
@pytest.mark.parametrize("hidden", [2, 6, 8])
def test_float64_steps_follow_the_equations(cell: str, hidden: int) -> None:
    """In float64, 200 carried steps equal the equations written out, to 1e-12."""
    rng = np.random.default_rng(7)
    w, b = _weights(rng, cell, 3, hidden)
    arrays = _by_name(cell, 3, w, b)
    h, c, gates = np.zeros(hidden), np.zeros(hidden), np.empty(SCRATCH[cell] * hidden)
    expected_h, expected_c = np.zeros(hidden), np.zeros(hidden)
    for x in rng.normal(size=(200, 3)):
        _one(cell, x, h, c, w, b, gates)
        expected_h, expected_c = written_out.CELLS[cell](x, expected_h, expected_c, arrays)
        np.testing.assert_allclose(h, expected_h, rtol=0, atol=1e-12)
        np.testing.assert_allclose(c, expected_c, rtol=0, atol=1e-12)


@KINDS
@given(hidden=st.integers(1, 13), inputs=st.integers(1, 10), seed=st.integers(0, 2**32 - 1))
def test_four_lanes_at_once_give_the_bits_of_one_at_a_time(cell: str, hidden: int, inputs: int, seed: int) -> None:
    """A step of four lanes gives each the very bits that it has alone, at any size."""
    rng = np.random.default_rng(seed)
    w, b = (array.astype(np.float32) for array in _weights(rng, cell, inputs, hidden))
    x = rng.normal(size=(20, 4, inputs)).astype(np.float32) * np.float32(3)
    h, c = (rng.normal(size=(4, hidden)).astype(np.float32) for _ in range(2))
    alone_h, alone_c = h.copy(), c.copy()
    gates = np.empty((4, SCRATCH[cell] * hidden), np.float32)
    for step in range(len(x)):
        _four(cell, x[step], h, c, w, b, gates)
        for lane in range(4):
            _one(cell, x[step, lane], alone_h[lane], alone_c[lane], w, b, gates[lane])
    assert h.tobytes() == alone_h.tobytes()
    assert c.tobytes() == alone_c.tobytes()


@KINDS
def test_saturated_gates_stay_finite_and_bounded(cell: str) -> None:
    """Inputs a thousand times too large saturate the gates and leave the state finite, h within [-1, 1]."""
    rng = np.random.default_rng(7)
    w, b = (array.astype(np.float32) for array in _weights(rng, cell, 3, 6))
    h, c = np.zeros(6, np.float32), np.zeros(6, np.float32)
    gates = np.empty(SCRATCH[cell] * 6, np.float32)
    for x in rng.normal(size=(100, 3)).astype(np.float32) * np.float32(1000):
        _one(cell, x, h, c, w, b, gates)
    assert np.isfinite(c).all()
    assert (np.abs(h) <= 1).all()


def test_layers_that_say_nothing_are_normalised_to_nothing() -> None:
    """Where all products are equal their normalised form is 0, not a division by 0."""
    w, b = np.zeros((4, 4)), np.ones(VECTORS)
    h, c = np.zeros(1), np.zeros(1)
    layer_norm_step(np.ones(3), h, c, w, b, np.empty(8))
    assert c[0] == pytest.approx(written_out.sigmoid(np.ones(1))[0] * np.tanh(1))


@given(inputs=st.integers(1, 13), width=st.integers(1, 9), seed=st.integers(0, 2**32 - 1))
def test_products_are_products_in_one_order(inputs: int, width: int, seed: int) -> None:
    """X w is added to what is there, the same bits for a lane alone and for four."""
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(4, inputs)).astype(np.float32), rng.normal(size=(inputs, width)).astype(np.float32)
    before = rng.normal(size=(4, width)).astype(np.float32)
    together, alone = before.copy(), before.copy()
    add_product_4(x, w, together[0], together[1], together[2], together[3])
    for lane in range(4):
        add_product(x[lane], w, alone[lane])
    assert together.tobytes() == alone.tobytes()
    np.testing.assert_allclose(alone, before + x.astype(np.float64) @ w, rtol=0, atol=1e-4)


@pytest.mark.parametrize("steps", [2, 3, 8])
def test_the_convolution_sees_the_last_inputs(steps: int) -> None:
    """In float64, each step's channels are those of the equation over its inputs and those before, to 1e-12."""
    rng = np.random.default_rng(7)
    inputs, kernel, bias = rng.normal(size=(30, 3)), rng.normal(size=(steps, 3, 3)), rng.normal(size=3)
    recent, out = np.zeros(steps * 3), np.empty(3)
    w = np.ascontiguousarray(kernel[::-1].reshape(-1, 3))  # the oldest step first
    for step, x in enumerate(inputs):
        convolve(x, recent, w, bias, out)
        past = [inputs[step - back] @ kernel[back] for back in range(steps) if step >= back]
        np.testing.assert_allclose(out, np.tanh(bias + sum(past)), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("count", "hidden"), [(2, 6), (5, 3), (16, 8)])
def test_attention_recalls_the_last_states(count: int, hidden: int) -> None:
    """In float64, what is recalled is that of the equation over the states before, to 1e-12."""
    rng = np.random.default_rng(7)
    memory, weights, out = np.zeros(count * hidden), np.empty(count), np.empty(hidden)
    states: list[Floats] = []
    for h in rng.uniform(-1, 1, (40, hidden)):
        states.append(h)
        recall(h, memory, weights, out)
        np.testing.assert_allclose(out, written_out.recalled(states, count), rtol=0, atol=1e-12)
        assert weights.sum() == pytest.approx(1)
        assert (memory.reshape(count, hidden)[-1] == h).all()


def test_what_is_recalled_is_read_out_linearly() -> None:
    """The read-outs have what was recalled, times its weights, added."""
    rng = np.random.default_rng(7)
    recalled, w, out = rng.normal(size=5), rng.normal(size=(5, 8)), rng.normal(size=8)
    expected = out + recalled @ w
    read_recalled(recalled, w, out)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-12)
