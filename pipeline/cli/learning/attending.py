"""Has one training done, from where an interrupted one was or anew, and keeps what became of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import msgspec

from pipeline.adapters.bundles.history import short
from pipeline.adapters.bundles.lease import Lease
from pipeline.adapters.bundles.training_log import TrainingLog, new_name
from pipeline.adapters.training_metrics import TrainingMetrics
from pipeline.cli.learning.job import Job, News, Result, Resumed, Surveyed, Told, Trouble, microseconds, moment
from pipeline.cli.learning.keeping import Keeping, keeping
from pipeline.cli.learning.worker import TrainingProcess
from pipeline.config import Config, Given
from pipeline.errors import DriftlineError
from pipeline.learning.records import Run
from pipeline.learning.schedule import Due, Rules, Situation
from pipeline.learning.unfinished import Unfinished
from pipeline.service.plan import Log

LEASE_S = 60.0
"""Since the last renewal, after which somebody else may train."""
_LISTEN_S = 0.2
_PROGRESS_S = 60.0
"""Between two lines of the log that tell how far a training is."""


@dataclass(slots=True)
class _Course:
    """What a training has told on the way."""

    training: Unfinished
    stage: str = ""
    loss: float | None = None
    resumed_step: int | None = None
    told_s: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Attendant:
    """Attends to trainings, one at a time.

    Attributes:
        file: of the configuration; None for none.
        options: what the command line sets.
        rules: by which trainings are due.
        by: who runs them.
        lease: that is held while one goes on.
        records: where what became of them is kept.
        beat: called while all goes on.
        stopping: whether to stop.
    """

    config: Config
    file: Path | None
    options: Mapping[str, Given]
    rules: Rules
    by: str
    lease: Lease
    records: TrainingLog
    metrics: TrainingMetrics
    log: Log
    beat: Callable[[], None]
    stopping: Callable[[], bool]

    def train(self, due: Due, situation: Situation) -> None:
        """Have a training done, and keep what became of it.

        Raises:
            DriftlineError: the registry cannot be reached.
        """
        with keeping(self.config, self.log) as kept:
            training = kept.unfinished(due, situation, self.rules) or self._new(due, situation)
            kept.keep(training)
            course, process = _Course(training), TrainingProcess(self._job(training, kept.state), kept.held)
            result = self._listen(process, course, kept)
            self.metrics.set_stage("")
            if result is None:
                return
            self._conclude(course, result)
            if not process.was_cut_off:
                kept.remove()

    def _new(self, due: Due, situation: Situation) -> Unfinished:
        if situation.newest is None:
            raise TypeError("found a training due without records; expected some")
        answered = [one for one in situation.signals if one.name in due.answers]
        told = [at for at in (one.since or one.event_time for one in answered) if at is not None]
        reasons = [f"{one.kind}: {one.reason}" for one in answered]
        return Unfinished(
            name=new_name(situation.now), at=situation.now, trigger=due.trigger, answers=due.answers,
            champion=situation.champion, since=max(situation.newest - self.config.retrain.history, moment(0)),
            until=situation.newest + timedelta(microseconds=1),
            learn_from=min(told) if told and due.trigger == "drift" else None,
            reason=f"retrained ({'; '.join(reasons[:3]) or due.trigger})",
        )  # fmt: skip

    def _job(self, training: Unfinished, state: Path | None) -> Job:
        self.log.info(
            "training_resumed" if training.resumed else "training_began", run=training.name, trigger=training.trigger,
            answers=list(training.answers), since=training.since.isoformat(), until=training.until.isoformat(),
            champion=short(training.champion), kept=None if state is None else str(state),
        )  # fmt: skip
        return Job(
            training.name,
            None if self.file is None else str(self.file),
            {key: (given.where, given.value) for key, given in self.options.items()},
            training.champion,
            microseconds(training.since),
            microseconds(training.until),
            training.reason,
            None if training.learn_from is None else microseconds(training.learn_from),
            training.measured,
            None if state is None else str(state),
        )

    def _listen(self, process: TrainingProcess, course: _Course, kept: Keeping) -> Result | None:
        """What a training comes to; None where it was ended on the way: a stop was asked for, or the lease is lost."""
        renewed_s, name = time.monotonic(), course.training.name
        try:
            while (result := process.result()) is None:
                for news in process.listen(_LISTEN_S):
                    self._take(news, course, kept, process.pid)
                self.beat()
                if self.stopping():
                    self.log.info("training_stopped", run=name, detail=kept.told_of_restart)
                    return None
                if time.monotonic() - renewed_s > LEASE_S / 3:
                    renewed_s = time.monotonic()
                    if not self._renew():
                        self.log.warning("lease_lost", run=name, detail="somebody else trains; this one is ended")
                        return None
            return result
        finally:
            process.end()

    def _take(self, news: News, course: _Course, kept: Keeping, pid: int) -> None:
        """What a training has told."""
        name = course.training.name
        if isinstance(news, Told):
            self.metrics.set_stage(news.stage, news.step, news.loss, done=news.done, left_s=news.left_s)
            if news.stage != course.stage:
                course.stage = news.stage
                self.log.info("training_stage", run=name, stage=news.stage, pid=pid)
            self._tell_progress(news, course)
        elif isinstance(news, Surveyed):
            course.training = msgspec.structs.replace(course.training, measured=news.measured)
            kept.keep(course.training)
        elif isinstance(news, Resumed):
            course.resumed_step = news.step
            self.log.info("training_goes_on", run=name, step=news.step)
        elif isinstance(news, Trouble):
            self.log.warning(news.event, run=name, error=news.error, detail=news.detail)

    def _tell_progress(self, news: Told, course: _Course) -> None:
        """How far it is, where that is known and was not told just before."""
        course.loss = course.loss if news.loss is None else news.loss
        if news.done is None or time.monotonic() - course.told_s < _PROGRESS_S:
            return
        course.told_s = time.monotonic()
        steps = {"step": news.step, "loss": course.loss} if news.step else {}
        self.log.info(
            "training_progress", run=course.training.name, stage=news.stage, done=round(news.done, 3),
            left_s=None if news.left_s is None else round(news.left_s, 1), **steps,
        )  # fmt: skip

    def _renew(self) -> bool:
        try:
            return self.lease.renew()
        except DriftlineError as exc:
            self.log.warning("trainer_trouble", error=str(exc), detail="the lease could not be renewed; tries again")
            return True  # promotion compares champions, so that nothing is lost should somebody else have begun

    def _conclude(self, course: _Course, result: Result) -> None:
        training = course.training
        run = Run(
            name=training.name, at=training.at, by=self.by, trigger=training.trigger, answers=training.answers,
            outcome=result.outcome, told=result.reason, since=training.since, until=training.until,
            judged_from=None if result.judged_from_us is None else moment(result.judged_from_us),
            champion=training.champion, bundle=result.bundle, champion_loss=result.champion_loss,
            challenger_loss=result.challenger_loss, validation_loss=result.validation_loss, points=result.points,
            seconds=result.seconds, device=result.device, peak_bytes=result.peak_bytes, reports=result.reports,
            resumed=training.resumed, resumed_step=course.resumed_step,
        )  # fmt: skip
        self._keep(run)
        self.metrics.count(run, time.time())
        tell = self.log.error if run.outcome == "failed" else self.log.info
        tell(
            "training_ended", run=run.name, outcome=run.outcome, told=run.told, bundle=short(run.bundle),
            champion_loss=run.champion_loss, challenger_loss=run.challenger_loss, device=run.device,
            seconds=round(sum(run.seconds.values()), 1),
        )  # fmt: skip

    def _keep(self, run: Run) -> None:
        """Keep what became of a training, however long the registry takes to come back."""
        while True:
            try:
                self.records.keep(run)
            except DriftlineError as exc:
                self.log.warning("trainer_trouble", error=str(exc), detail="the run could not be recorded yet")
                for _ in range(int(self.config.retrain.check_interval.total_seconds() / _LISTEN_S) + 1):
                    self.beat()
                    if self.stopping():
                        return
                    time.sleep(_LISTEN_S)
            else:
                return
