import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.network import HORIZONS, Network, weight_shapes


def weights(layers: int = 2, hidden: int = 3) -> dict[str, NDArray[np.float32]]:
    """Arrays that fit."""
    rng = np.random.default_rng(7)
    shapes = weight_shapes(layers, hidden, 10, HORIZONS)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def test_shapes_of_two_layers() -> None:
    """The second layer reads the first; the head reads the last layer and the inputs and gives 3 rows a horizon."""
    shapes = weight_shapes(2, 3, 10, HORIZONS)
    assert shapes == {
        "weight_ih_l0": (12, 10),
        "weight_hh_l0": (12, 3),
        "bias_l0": (12,),
        "weight_ih_l1": (12, 3),
        "weight_hh_l1": (12, 3),
        "bias_l1": (12,),
        "head_weight": (18, 13),
        "head_bias": (18,),
    }


def test_arrays_are_kept_apart_from_the_caller() -> None:
    """A network's weights cannot be changed, neither through it nor through the arrays it was made from."""
    arrays = weights()
    network = Network(2, 3, 10, HORIZONS, arrays)
    kept = network.arrays["bias_l0"].copy()
    arrays["bias_l0"] += 1
    assert np.array_equal(network.arrays["bias_l0"], kept)
    with pytest.raises(ValueError, match="read-only"):
        network.arrays["bias_l0"][0] = 0


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("bias_l0", np.zeros(11, np.float32), r"found bias_l0 of shape \(11,\) .* expected \(12,\)"),
        ("bias_l0", np.zeros(12), r"found bias_l0 .* type float64; expected .* float32"),
        ("bias_l0", np.full(12, np.nan, np.float32), r"found values in bias_l0 that are not finite"),
        ("bias_l2", np.zeros(12, np.float32), r"found arrays \[.*'bias_l2'.*\]; expected"),
    ],
)
def test_unfit_arrays_are_refused(name: str, array: NDArray[np.float32], message: str) -> None:
    """An array of another shape or type, with a value that is not finite, or one too many is refused by name."""
    with pytest.raises(ValueError, match=message):
        Network(2, 3, 10, HORIZONS, weights() | {name: array})


@pytest.mark.parametrize("horizons", [(), (0, 1), (2, 1), (1, 1)])
def test_unfit_horizons_are_refused(horizons: tuple[int, ...]) -> None:
    """Horizons must rise and be at least 1."""
    with pytest.raises(ValueError, match="found horizons"):
        Network(2, 3, 10, horizons, weights())


def test_unfit_sizes_are_refused() -> None:
    """A network has at least one layer, one unit and one input."""
    with pytest.raises(ValueError, match=r"expected 1 or more"):
        Network(0, 3, 10, HORIZONS, weights())
