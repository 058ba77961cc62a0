from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch
INPUTS, STEPS, LENGTH = 3, 100, 20


@pytest.mark.parametrize(
    "structure", [{}, {"cell": "gru"}, {"cell": "layer-norm-lstm"}, {"attention": 3}, {"convolution": 4}]
)
def test_what_has_no_steps_at_first_has_no_state_before_the_window(structure: dict[str, Any]) -> None:
    """Beside a series that has them all, it is forecast as if its newest 64 were all that there is."""
    import torch

    from detectors.examples import REBUILT_STEPS
    from detectors.structure import Structure
    from detectors.training import TrainingConfig
    from detectors.training.model import Forecaster, new_model

    def make(context: int) -> Forecaster:
        config = TrainingConfig(hidden=6, horizons=(1, 3), context=context, structure=Structure(**structure))
        model = new_model(config, INPUTS)
        for name, weights in model.named_parameters():
            if "bias" in name:
                weights.data += 1.0  # gates are open, so that what was long ago counts
        return model.double()

    rng = np.random.default_rng(7)
    inputs = torch.from_numpy(rng.normal(size=(2, STEPS + LENGTH, INPUTS)))
    inputs[0, : STEPS - REBUILT_STEPS] = 0.0
    with torch.no_grad():
        found, whole = (make(context).forecast(inputs)[0][:, -LENGTH:] for context in (STEPS, 0))
        rebuilt = make(REBUILT_STEPS).forecast(inputs[:1, STEPS - REBUILT_STEPS :])[0]
    torch.testing.assert_close(found[:1], rebuilt, rtol=0, atol=1e-13)
    torch.testing.assert_close(found[1], whole[1], rtol=0, atol=1e-13)
    assert not torch.allclose(found[0], whole[0], rtol=0, atol=1e-11)
