"""What the commands that train show: how far the training is, and what came of it."""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from detectors.training import StepReport
    from pipeline.cli.screen import Screen

R = TypeVar("R")
_BARS = "▁▂▃▄▅▆▇█"
_CURVE_WIDTH = 60


def train_on_screen(run: "Callable[[Callable[[StepReport], None]], R]", steps: int, screen: "Screen") -> "R":
    """What came of a training, which is given a function to report to.

    Raises:
        ConfigError: it cannot be done as told.
    """
    from pipeline.errors import ConfigError

    shown, began = "", time.monotonic()
    first = 0.0  # part of the run that was done before
    with screen.bar("training", "steps", steps) as move:

        def report(step: "StepReport") -> None:
            nonlocal shown, first
            first = first or step.fraction
            if step.loss is not None:
                shown = f"loss {step.loss:.3f}, validation {step.validation_loss:.3f}"
                left_s = (time.monotonic() - began) * (1 - step.fraction) / max(step.fraction - first, 1e-9)
                left = f", {timedelta(seconds=round(left_s))} left at most" if step.fraction < 1 else ""
                screen.step(f"step {step.step} of {steps}, {shown}{left}")
            move(shown or "training", round(step.fraction * steps), step.step)

        try:
            return run(report)
        except ValueError as exc:
            raise ConfigError(f"training: {exc}") from exc


def learning_curve(curve: dict[str, list[float]]) -> str:
    """Validation loss along the run as one line of bars, the lowest being the best, with its first, best and last."""
    losses = curve["validation"]
    if not losses:
        return "no validation took place"
    low, high = min(losses), max(losses)
    shown = _thin(losses, _CURVE_WIDTH)
    heights = [round((loss - low) / (high - low or 1.0) * (len(_BARS) - 1)) for loss in shown]
    best = losses.index(low)
    return (
        f"validation loss {''.join(_BARS[height] for height in heights)}\n"
        f"first {losses[0]:.3f}, best {low:.3f} at step {curve['step'][best]}, last {losses[-1]:.3f}"
    )


def _thin(values: Sequence[float], count: int) -> Sequence[float]:
    """At most `count` of the values, evenly spread."""
    if len(values) <= count:
        return values
    return [values[i * (len(values) - 1) // (count - 1)] for i in range(count)]


def tell_errors(metrics: dict[str, Any]) -> str:
    """How much better than no change the forecasts are, by horizon."""
    ours, persistence = metrics["validation_error"], metrics["persistence_error"]
    told = ", ".join(f"{horizon}: {error / persistence[horizon]:.2f}" for horizon, error in ours.items())
    return f"forecast error by steps ahead, where 'as it is now' is 1: {told}"
