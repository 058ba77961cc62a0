import numpy as np
import pytest

from detectors.excerpts import Excerpts
from detectors.series import joint_series, lane_series
from tests.detectors.test_excerpts import COUNT, HORIZONS, make_track, values

pytestmark = pytest.mark.torch


def excerpts(*, joint: bool) -> Excerpts:
    """Of three series of different lengths; of two fields each, if joint."""
    if joint:
        keys = [[make_track(values(seed)), make_track(values(seed + 1))] for seed in (1, 3)]
        return Excerpts([joint_series(tracks, COUNT, HORIZONS) for tracks in keys], 70, 50, fields=2)
    lanes = (values(), np.tile(values(8), 3), np.tile(values(9), 2))
    return Excerpts([lane_series(make_track(lane), HORIZONS) for lane in lanes], 70, 50)


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("count", [1, 3])
def test_what_is_cut_on_the_device_is_what_was_drawn(joint: bool, count: int) -> None:
    """Excerpts cut from the staged history are those that are drawn on the host, and processes share them out."""
    import torch

    from detectors.training import ExcerptSource, Ranks

    cpu, wanted = torch.device("cpu"), excerpts(joint=joint)
    parts = [ExcerptSource(excerpts(joint=joint), 7, 40).open(5, 40, cpu, Ranks(rank, count)) for rank in range(count)]
    for step in (5, 6):
        expected = wanted.draw(np.random.default_rng([7, step]), 40)
        for rank, part in enumerate(parts):
            inputs, targets = next(part)
            np.testing.assert_array_equal(inputs.numpy(), expected.inputs[rank::count])
            np.testing.assert_array_equal(targets.numpy(), expected.targets[rank::count])


def test_a_step_is_given_the_same_whatever_came_before() -> None:
    """What a step is given depends on seed and number of the step alone."""
    import torch

    from detectors.training import ExcerptSource, Ranks

    cpu, source = torch.device("cpu"), ExcerptSource(excerpts(joint=False), 7, 4)
    steps = source.open(1, 4, cpu, Ranks())
    first, second = next(steps)[0], next(steps)[0]
    assert torch.equal(next(source.open(2, 4, cpu, Ranks()))[0], second)
    assert not torch.equal(first, second)


def test_a_step_with_nothing_to_learn_leaves_numbers() -> None:
    """When all that a step is given is masked, its loss is 0 and the weights stay numbers."""
    import torch

    from detectors.examples import Examples
    from detectors.training import StreamSource, TrainingConfig, train

    rng = np.random.default_rng(7)
    inputs = rng.normal(size=(4, 30, 3)).astype(np.float32)
    masked = Examples(inputs, np.full((4, 30, 2), np.nan, np.float32))
    judged = Examples(inputs, rng.normal(size=(4, 30, 2)).astype(np.float32))
    config = TrainingConfig(hidden=4, horizons=HORIZONS, steps=2, validate_every=1, device="cpu")
    trained = train(config, StreamSource(lambda _step: iter([masked] * 2), 4), judged)
    assert trained.curve.training == [0.0, 0.0]
    assert np.isfinite(trained.network.arrays["head_weight"]).all()
    assert torch.isfinite(torch.tensor(trained.curve.validation)).all()
