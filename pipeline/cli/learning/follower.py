"""Looks whether a training is due, and has it done: the trainer's loop, one look after another."""

import os
import platform
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.adapters.bundles import Manifest
from pipeline.adapters.bundles.history import short
from pipeline.adapters.bundles.lease import Lease
from pipeline.adapters.bundles.reading import RegistryView
from pipeline.adapters.bundles.training_log import TrainingLog, new_name
from pipeline.adapters.training_metrics import TrainingMetrics
from pipeline.cli.learning.history import input_sources, newest_us
from pipeline.cli.learning.job import ACTOR, Job, Result, microseconds, moment
from pipeline.cli.learning.worker import TrainingProcess
from pipeline.config import Config, Given
from pipeline.errors import DriftlineError
from pipeline.learning.records import Run
from pipeline.learning.schedule import Due, Rules, Situation, Wait, decide, is_answered
from pipeline.service.plan import Log

LEASE = timedelta(seconds=60)
_LISTEN_S = 0.2
_NAMESPACE = Path("/proc/self/ns/pid")
_HERE = f"{ACTOR} on {platform.node()}{f' ({_NAMESPACE.readlink()})' if _NAMESPACE.exists() else ''}, process "
"""How a follower of this host, or of this container, is called, without its number."""


class Follower:
    """Looks and trains, one training at a time.

    Args:
        file: of the configuration; None for none.
        options: what the command line sets.
        beat: called while all goes on.
        stopping: whether to stop.
    """

    def __init__(
        self,
        config: Config,
        file: Path | None,
        options: Mapping[str, Given],
        metrics: TrainingMetrics,
        log: Log,
        *,
        beat: Callable[[], None],
        stopping: Callable[[], bool],
    ) -> None:
        url, retrain = config.models.registry, config.retrain
        self._config = config
        self._file = file
        self._options = options
        self._metrics = metrics
        self._log = log
        self._beat = beat
        self._stopping = stopping
        self._by = f"{_HERE}{os.getpid()}"
        self._registry = RegistryView(url)
        self._records = TrainingLog(url)
        self._lease = Lease(url, self._by, LEASE, _now, _is_gone)
        self._rules = Rules(
            retrain.interval, retrain.least_interval, on_drift=retrain.on_drift, first_pause=retrain.check_interval
        )
        self._told_waiting = ""
        self._trouble = ""
        self._damaged: set[str] = set()
        self._learned_until: tuple[str, datetime | None] = ("", None)

    def look(self) -> None:
        """Have a training done if one is due; what goes wrong is told, and passes or not."""
        try:
            situation = self._situation()
            if situation is None:
                self._wait("the registry has no champion to train on from")
                return
            due = decide(self._rules, situation)
            if isinstance(due, Wait):
                self._wait(due.reason)
            else:
                self._take_turn()
            self._trouble = ""
        except DriftlineError as exc:
            if str(exc) != self._trouble:
                self._log.warning("trainer_trouble", error=str(exc), detail="looks again later")
            self._trouble = str(exc)

    def _situation(self) -> Situation | None:
        champion = self._registry.champion()
        if champion is None:
            return None
        signals, runs = self._records.signals(), self._records.runs()
        for path, why in self._records.damaged.items():
            if path not in self._damaged:
                self._log.warning("record_damaged", file=path, error=why, detail="it is passed over")
        self._damaged.update(self._records.damaged)
        self._metrics.set_pending(sum(not is_answered(one, runs, champion) for one in signals))
        newest = newest_us(self._config, input_sources(self._config))
        return Situation(
            _now(), None if newest is None else moment(newest), champion, self._trained_until(champion), signals, runs
        )

    def _trained_until(self, champion: str) -> datetime | None:
        if self._learned_until[0] != champion:
            [manifest] = self._registry.manifests([champion])
            window = manifest.training_window if isinstance(manifest, Manifest) else None
            self._learned_until = champion, window.end if window else None
        return self._learned_until[1]

    def _take_turn(self) -> None:
        """Train, if nobody else does, and it is still due now that nobody else does."""
        if not self._lease.take():
            self._wait(f"{self._lease.holder() or 'somebody else'} trains")
            return
        try:
            situation = self._situation()
            due = None if situation is None else decide(self._rules, situation)
            if situation is not None and isinstance(due, Due):
                self._told_waiting = ""
                self._run(due, situation)
        finally:
            self._lease.give_back()

    def _run(self, due: Due, situation: Situation) -> None:
        began, newest = _now(), situation.newest
        if newest is None:
            raise TypeError("found a training due without records, expected some")
        since, until = newest - self._config.retrain.history, newest + timedelta(microseconds=1)
        drifts = [one.since or one.event_time for one in situation.signals if one.name in due.answers]
        told = [at for at in drifts if at is not None]
        reasons = [f"{one.kind}: {one.reason}" for one in situation.signals if one.name in due.answers]
        job = Job(
            new_name(began),
            None if self._file is None else str(self._file),
            {key: (given.where, given.value) for key, given in self._options.items()},
            situation.champion,
            max(microseconds(since), 0),
            microseconds(until),
            f"retrained ({'; '.join(reasons[:3]) or due.trigger})",
            microseconds(min(told)) if told and due.trigger == "drift" else None,
        )
        self._log.info(
            "training_began", run=job.name, trigger=due.trigger, answers=list(due.answers), since=since.isoformat(),
            until=until.isoformat(), champion=short(situation.champion),
        )  # fmt: skip
        result = self._listen(TrainingProcess(job), job)
        self._metrics.set_stage("")
        if result is None:
            return
        run = Run(
            name=job.name, at=began, by=self._by, trigger=due.trigger, answers=due.answers, outcome=result.outcome,
            told=result.reason, since=moment(job.since_us), until=until,
            judged_from=None if result.judged_from_us is None else moment(result.judged_from_us),
            champion=situation.champion, bundle=result.bundle, champion_loss=result.champion_loss,
            challenger_loss=result.challenger_loss, validation_loss=result.validation_loss, points=result.points,
            seconds=result.seconds, device=result.device, reports=result.reports,
        )  # fmt: skip
        self._keep(run)
        self._metrics.count(run, time.time())
        tell = self._log.error if run.outcome == "failed" else self._log.info
        tell(
            "training_ended", run=run.name, outcome=run.outcome, told=run.told, bundle=short(run.bundle),
            champion_loss=run.champion_loss, challenger_loss=run.challenger_loss, device=run.device,
            seconds=round(sum(run.seconds.values()), 1),
        )  # fmt: skip

    def _listen(self, process: TrainingProcess, job: Job) -> Result | None:
        """What a training comes to; None where it was ended on the way: a stop was asked for, or the lease is lost."""
        renewed_s, stage = time.monotonic(), ""
        try:
            while (result := process.result()) is None:
                for told in process.listen(_LISTEN_S):
                    self._metrics.set_stage(told.stage, told.step, told.loss)
                    if told.stage != stage:
                        stage = told.stage
                        self._log.info("training_stage", run=job.name, stage=stage, pid=process.pid)
                self._beat()
                if self._stopping():
                    self._log.info("training_stopped", run=job.name, detail="it is begun anew at the next start")
                    return None
                if time.monotonic() - renewed_s > LEASE.total_seconds() / 3:
                    renewed_s = time.monotonic()
                    if not self._renew():
                        self._log.warning("lease_lost", run=job.name, detail="somebody else trains; this one is ended")
                        return None
            return result
        finally:
            process.end()

    def _renew(self) -> bool:
        try:
            return self._lease.renew()
        except DriftlineError as exc:
            self._log.warning("trainer_trouble", error=str(exc), detail="the lease could not be renewed; tries again")
            return True  # promotion compares champions, so that nothing is lost should somebody else have begun

    def _keep(self, run: Run) -> None:
        """Keep what became of a training, however long the registry takes to come back."""
        while True:
            try:
                self._records.keep(run)
            except DriftlineError as exc:
                self._log.warning("trainer_trouble", error=str(exc), detail="the run could not be recorded yet")
                for _ in range(int(self._config.retrain.check_interval.total_seconds() / _LISTEN_S) + 1):
                    self._beat()
                    if self._stopping():
                        return
                    time.sleep(_LISTEN_S)
            else:
                return

    def _wait(self, reason: str) -> None:
        kind = reason.rstrip("0123456789:. days,")
        if kind != self._told_waiting:
            self._told_waiting = kind
            self._log.info("trainer_waits", reason=reason)


def _now() -> datetime:
    return datetime.now(UTC)


def _is_gone(holder: str) -> bool:
    """Whether a holder was a process of this host that is no more: a number can be told from another host's."""
    number = holder.removeprefix(_HERE)
    return holder.startswith(_HERE) and number.isdecimal() and not Path(f"/proc/{number}").exists()
