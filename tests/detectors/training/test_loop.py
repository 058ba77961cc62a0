from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, gammaln

from detectors.examples import Examples, validation_examples
from detectors.network import Network
from tests.detectors.training.runs import HORIZONS, run, waves

if TYPE_CHECKING:
    from detectors.training import StepReport

pytestmark = pytest.mark.torch


def numpy_forecast(network: Network, inputs: NDArray[np.float32]) -> tuple[NDArray[np.float64], ...]:
    """mu, log sigma and nu (series, steps, horizons) by the gate equations written out in float64."""
    below: NDArray[np.float64] = inputs.astype(np.float64)
    size = network.hidden
    for layer in range(network.layers):
        w, u, b = (network.arrays[f"{name}_l{layer}"].astype(np.float64) for name in ("weight_ih", "weight_hh", "bias"))
        h = c = np.zeros((len(inputs), size))
        out = np.empty((*inputs.shape[:2], size))
        for t in range(inputs.shape[1]):
            gates = below[:, t] @ w.T + h @ u.T + b
            i, f, o = (expit(gates[:, k * size : (k + 1) * size]) for k in (0, 1, 3))
            c = f * c + i * np.tanh(gates[:, 2 * size : 3 * size])
            h = o * np.tanh(c)
            out[:, t] = h
        below = out
    raw = np.concatenate([below, inputs], -1) @ network.arrays["head_weight"].T + network.arrays["head_bias"]
    mu, log_sigma, nu = np.split(raw, 3, axis=-1)
    return mu + inputs[..., :1], np.clip(log_sigma, -9, 4) - 1, np.logaddexp(0, nu) + 1.1


def numpy_loss(network: Network, examples: Examples) -> NDArray[np.float64]:
    """Mean Student-t negative log likelihood per horizon, capped at 20."""
    mu, log_sigma, nu = numpy_forecast(network, examples.inputs)
    z = (examples.targets - mu) / np.exp(log_sigma)
    density = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(np.pi * nu) - log_sigma
    density -= (nu + 1) / 2 * np.log1p(z * z / nu)
    loss: NDArray[np.float64] = np.nanmean(np.minimum(-density, 20), axis=(0, 1))
    return loss


def test_loss_falls_and_beats_persistence() -> None:
    """A few steps lower the loss on series not trained on, and the forecasts beat 'no change' at every horizon."""
    trained = run()
    assert trained.curve.step == [20, 40, 60]
    assert trained.curve.validation[-1] < trained.curve.validation[0] - 0.2
    assert trained.curve.training[-1] < trained.curve.training[0] - 0.2
    for horizon in HORIZONS:
        assert trained.error_by_horizon[horizon] < 0.8 * trained.persistence_error_by_horizon[horizon]


@pytest.mark.parametrize("layers", [1, 2])
def test_exported_weights_give_the_reported_loss(layers: int) -> None:
    """The exported arrays, put through the gate equations by hand, give the loss that training reports."""
    trained = run(layers=layers, steps=20)
    assert trained.network.layers == layers
    expected = numpy_loss(trained.network, validation_examples(*waves(7), HORIZONS))
    np.testing.assert_allclose(list(trained.loss_by_horizon.values()), expected, rtol=1e-4)
    assert list(trained.loss_by_horizon) == list(HORIZONS)


def test_seed_decides_the_weights() -> None:
    """The same seed gives the same weights twice, to the bit; another seed gives others."""
    first, second, other = (run(steps=5, seed=seed).network.arrays for seed in (7, 7, 8))
    for name, array in first.items():
        assert np.array_equal(array, second[name])
    assert not np.array_equal(first["head_weight"], other["head_weight"])


def test_weights_of_the_best_validation_are_kept() -> None:
    """When more training makes it worse, the run stops early and gives the weights from before."""
    trained = run(peak_rate=3.0, warm_up_steps=40, validate_every=1, patience=3)
    best = int(np.argmin(trained.curve.validation))
    assert len(trained.curve.step) == best + 1 + 3
    assert trained.best_step == trained.curve.step[best]
    kept = numpy_loss(trained.network, validation_examples(*waves(7), HORIZONS))
    counts = np.array([50 - horizon for horizon in HORIZONS])
    np.testing.assert_allclose((kept * counts).sum() / counts.sum(), trained.curve.validation[best], rtol=1e-4)


def test_time_limit_ends_the_run() -> None:
    """When the time allowed has passed, the run is judged once more and ends."""
    elapsed = iter([0.0, 0.3, 0.6, 0.9, 1.2])
    trained = run(hooks={"elapsed_fraction": lambda: next(elapsed)})
    assert trained.curve.step == [5]


def test_progress_is_reported_after_each_step() -> None:
    """Every step is reported in order, with the validation loss where there was one."""
    reports: list[StepReport] = []
    trained = run(hooks={"progress": reports.append}, steps=4, validate_every=3)
    assert [report.step for report in reports] == [1, 2, 3, 4]
    assert [report.fraction for report in reports] == [0.25, 0.5, 0.75, 1.0]
    judged = [report.validation_loss for report in reports if report.validation_loss is not None]
    assert judged == trained.curve.validation
    assert trained.curve.step == [3, 4]


def test_torch_is_left_as_it_was() -> None:
    """A run neither changes torch's number of threads nor its random state."""
    import torch

    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    run(steps=1, threads=1 if threads > 1 else 2)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)


def test_unknown_device_is_refused() -> None:
    """A device that is not here is refused, with those that are."""
    with pytest.raises(ValueError, match=r"found device 'abacus'; expected 'auto' or one that is here: cpu"):
        run(device="abacus")
