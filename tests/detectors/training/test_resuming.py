from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.detectors.training.runs import run, same

if TYPE_CHECKING:
    from detectors.training import TrainingState

pytestmark = pytest.mark.torch


def states(**changes: Any) -> "list[TrainingState]":
    """What a run keeps along its way."""
    kept: list[TrainingState] = []
    run(hooks={"keep": kept.append}, **changes)
    return kept


@pytest.mark.parametrize("at", [0, 1, 2])
def test_going_on_gives_the_bits_of_an_undisturbed_run(at: int) -> None:
    """From whichever validation a run goes on, through its saved form, weights, curve and errors are the same."""
    from detectors.training import TrainingState

    whole, kept = run(), states()
    again = run(resume=TrainingState.from_arrays(kept[at].to_arrays()))
    assert same(again.network, whole.network)
    assert again.curve == whole.curve
    assert (again.best_step, again.loss_by_horizon) == (whole.best_step, whole.loss_by_horizon)


def test_what_is_kept_does_not_change_any_more() -> None:
    """What was kept at a validation stays as it was while the run goes on."""
    first, *_, last = states()
    assert first.step == 20
    assert not np.array_equal(first.model["head.weight"], last.model["head.weight"])
    assert not np.array_equal(first.optimiser["head.weight.exp_avg"], last.optimiser["head.weight.exp_avg"])


def test_a_finished_run_gives_its_result_again() -> None:
    """A run whose patience was over is over when it is gone on with, and gives its best weights."""
    changes: dict[str, Any] = {"peak_rate": 3.0, "warm_up_steps": 40, "validate_every": 1, "patience": 3}
    whole, kept = run(**changes), states(**changes)
    asked: list[Any] = []
    again = run(resume=kept[-1], hooks={"progress": asked.append}, **changes)
    assert asked == []
    assert whole.best_step < kept[-1].step
    assert same(again.network, whole.network)


def test_time_that_was_used_is_not_given_again() -> None:
    """The time allowed goes on from where it was."""
    kept: list[TrainingState] = []
    times = iter([0.1, 0.3, 0.6, 0.7, 1.2])
    run(hooks={"elapsed_fraction": lambda: next(times), "keep": kept.append}, validate_every=3)
    assert [round(state.time_fraction, 3) for state in kept] == [0.6, 1.2]
    again = iter([0.2, 0.45])
    steps = run(resume=kept[0], hooks={"elapsed_fraction": lambda: next(again)}, validate_every=3).curve.step
    assert steps == [3, 5]


def test_the_state_of_another_network_is_refused() -> None:
    """What was kept of a network of another size is not gone on with."""
    with pytest.raises(ValueError, match="found weights of another network"):
        run(resume=states(steps=1)[0], hidden=7)
