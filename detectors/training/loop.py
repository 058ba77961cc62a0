"""The training itself: steps, validations, and when it is over."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from detectors.examples import Examples
from detectors.network import Network
from detectors.training.config import LearningCurve, StepReport, Trained, TrainingConfig
from detectors.training.devices import (
    SAMPLE,
    agree_on_batch,
    choose_batch,
    choose_kernels,
    choose_precision,
    pick_device,
)
from detectors.training.model import import_network, new_model
from detectors.training.ranks import Ranks, join, leave
from detectors.training.result import result_of
from detectors.training.run import Run
from detectors.training.staging import Batch, Source, send
from detectors.training.state import TrainingState, moments_of, weights_of


def _nothing(_told: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a training asks and tells while it goes on.

    Attributes:
        elapsed_fraction: part of the time allowed that has passed since it was begun or gone on with; when all has, the
            run ends, its rate lowered as at the end of its steps. Weights that this decides depend on the machine's
            speed.
        progress: called after each step.
        note: called with what the user is to know.
        keep: called after each validation with what the run can be gone on from, in the process that leads.
    """

    elapsed_fraction: Callable[[], float] = lambda: 0.0
    progress: Callable[[StepReport], None] = _nothing
    note: Callable[[str], None] = _nothing
    keep: Callable[[TrainingState], None] = _nothing


def train(
    config: TrainingConfig,
    source: Source,
    validation: Examples,
    *,
    start: Network | None = None,
    resume: TrainingState | None = None,
    hooks: Hooks | None = None,
) -> Trained:
    """Train a network until its steps are done, its time is up or validation has stopped improving.

    Started by `torchrun`, all processes train one network together: each computes its part of the series of a step, and
    the sum of their gradients is that of one process for all of them, but for rounding.

    Args:
        config: how.
        source: series of each step.
        validation: judged every `config.validate_every` steps and after the last.
        start: weights to begin with, of the sizes of `config`; they are judged first, so that what comes of it is never
            worse on `validation`. None begins with random ones.
        resume: where a run of the same configuration, source and start was; on one CPU what comes of going on is what
            would have come without the break, to the bit.
        hooks: what is asked and told meanwhile.

    Raises:
        ValueError: the device is unknown or not here, `start` has other sizes, or `resume` is of another network.
    """
    device = pick_device(config.device)
    threads = torch.get_num_threads()
    torch.set_num_threads(config.threads)
    try:
        ranks = join(config.device)
        model = new_model(config, validation.inputs.shape[2]).to(device)
        if start is not None:
            import_network(config, model, start)
        run = Run(config, model, ranks)
        training = _Training(config, run, source, send(validation, device), ranks, hooks or Hooks())
        state = training.begin(judged=start is not None) if resume is None else training.go_on(resume)
        state = training.finish(state)
        return result_of(
            config, model, training.validation, run.pieces,
            curve=state.curve, best_step=state.best_step, batch=state.batch, processes=ranks.count,
        )  # fmt: skip
    finally:
        torch.set_num_threads(threads)
        leave()


class _Training:
    """One call of `train`."""

    def __init__(
        self, config: TrainingConfig, run: Run, source: Source, validation: Batch, ranks: Ranks, hooks: Hooks
    ) -> None:
        self.validation = validation
        self._config = config
        self._run = run
        self._source = source
        self._ranks = ranks
        self._hooks = hooks
        self._device = validation[0].device
        self._passed = 0.0  # of the time allowed, when this call began
        self._agreed = 0.0  # of it, as the processes know

    def begin(self, *, judged: bool) -> TrainingState:
        """The state before the first step."""
        batch, is_mixed = self._settle()
        weights = weights_of(self._run.model)
        state = TrainingState(
            step=0, fraction=0.0, time_fraction=0.0, best_loss=math.inf, best_step=0, waited=0, batch=batch, piece=0,
            is_mixed=is_mixed, curve=LearningCurve(), model=weights, best=weights, optimiser={},
        )  # fmt: skip
        if judged:
            loss = self._judge()
            state = replace(state, best_loss=loss, curve=LearningCurve([0], [math.nan], [loss]))
        self._run.model.is_mixed = is_mixed
        return state

    def go_on(self, state: TrainingState) -> TrainingState:
        """The state that a run was in.

        Raises:
            ValueError: it is that of another network, or other processes have another one.
        """
        steps = self._ranks.add_up(torch.tensor([state.step], device=self._device)).item()
        if steps != state.step * self._ranks.count:
            raise ValueError(
                f"found process {self._ranks.rank} at step {state.step} and others elsewhere; expected all to go on "
                "from one file: keep it where all of them see it"
            )
        self._try_kernels()
        self._run.restore(state)
        self._passed = self._agreed = state.time_fraction
        return state

    def finish(self, state: TrainingState) -> TrainingState:
        """The state at the end; the model has its best weights then."""
        batches = self._source.open(state.step + 1, state.batch, self._device, self._ranks)
        while state.fraction < 1 and state.waited < self._config.patience:
            reached = self._advance(state, batches)
            if state.is_mixed and not math.isfinite(reached.curve.training[-1] + reached.curve.validation[-1]):
                self._hooks.note(
                    f"training in bfloat16 went astray before step {reached.step}: going on in float32 from step "
                    f"{state.step}"
                )
                state = state.in_float32()
                self._run.restore(state)
                batches = self._source.open(state.step + 1, state.batch, self._device, self._ranks)
                continue
            state = reached
            if self._ranks.leads:
                self._hooks.keep(state)
        self._run.restore(replace(state, model=state.best))
        return state

    def _settle(self) -> tuple[int, bool]:
        """Series per step, and whether the LSTM computes in bfloat16; tried on a few series where need be."""
        model, source, sample = self._run.model, self._source, self._try_kernels()
        model.is_mixed, told = choose_precision(self._config.precision, model, *sample)
        if told:
            self._hooks.note(told)
        if source.batch is not None:
            return source.batch, model.is_mixed
        found = choose_batch(model, *sample, source.most)
        return agree_on_batch(found, self._ranks, self._device), model.is_mixed

    def _try_kernels(self) -> Batch:
        """Have the model take what runs on the device; the series that it was tried on, a few of them where need be."""
        is_on_cuda = self._device.type == "cuda"
        if not is_on_cuda and self._config.precision == "auto":
            return self.validation
        sample = self._source.sample(SAMPLE, self._device)
        if is_on_cuda:
            self._run.model.is_fused, told = choose_kernels(self._run.model, *sample)
            if told:
                self._hooks.note(told)
        return sample

    def _advance(self, state: TrainingState, batches: Iterator[Batch]) -> TrainingState:
        """The state behind the next validation."""
        step, fraction, losses = state.step, state.fraction, []
        while True:
            step += 1
            losses.append(self._run.step(*next(batches), _rate(self._config, step, fraction)))
            is_due = step % self._config.validate_every == 0
            passed = self._time_passed(ask=is_due)
            fraction = min(max(step / self._config.steps, passed), 1.0)
            if is_due or fraction >= 1:
                break
            self._hooks.progress(StepReport(step, fraction, None, None))
        training, validation = self._mean(losses), self._judge()
        self._hooks.progress(StepReport(step, fraction, training, validation))
        return self._state(state, step, fraction, passed, training, validation)

    def _state(
        self, before: TrainingState, step: int, fraction: float, passed: float, training: float, validation: float
    ) -> TrainingState:
        curve, weights = before.curve, weights_of(self._run.model)
        is_better = validation < before.best_loss
        return replace(
            before,
            step=step,
            fraction=fraction,
            time_fraction=passed,
            best_loss=validation if is_better else before.best_loss,
            best_step=step if is_better else before.best_step,
            waited=0 if is_better else before.waited + 1,
            piece=self._run.pieces.size or 0,
            curve=LearningCurve([*curve.step, step], [*curve.training, training], [*curve.validation, validation]),
            model=weights,
            best=weights if is_better else before.best,
            optimiser=moments_of(self._run.model, self._run.optimiser),
        )

    def _mean(self, losses: list[torch.Tensor]) -> float:
        """Mean loss of some steps, over all processes."""
        return float(np.mean(self._ranks.add_up(torch.stack(losses)).tolist()))

    def _judge(self) -> float:
        return float(self._run.judge(*self.validation).item())

    def _time_passed(self, *, ask: bool) -> float:
        """Of the time allowed; what processes agree on, they ask one another about at validations alone."""
        if self._ranks.count == 1:
            return self._passed + self._hooks.elapsed_fraction()
        if ask:
            passed = torch.tensor([self._passed + self._hooks.elapsed_fraction()], device=self._device)
            self._agreed = float(self._ranks.follow(passed).item())
        return self._agreed


def _rate(config: TrainingConfig, step: int, fraction: float) -> float:
    """Learning rate: linear warm-up, then a half cosine over the run down to a fiftieth of the peak."""
    warm = min(1.0, step / max(config.warm_up_steps, 1))
    return config.peak_rate * warm * (0.5 * (1.0 + math.cos(math.pi * fraction)) + 0.02)
