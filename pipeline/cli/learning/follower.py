"""Looks whether a training is due, and has it done: the trainer's loop, one look after another."""

import os
import platform
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.adapters.bundles import Manifest
from pipeline.adapters.bundles.lease import Lease
from pipeline.adapters.bundles.reading import RegistryView
from pipeline.adapters.bundles.training_log import TrainingLog
from pipeline.adapters.training_metrics import TrainingMetrics
from pipeline.cli.learning.attending import LEASE_S, Attendant
from pipeline.cli.learning.history import input_sources, newest_us
from pipeline.cli.learning.job import ACTOR, moment
from pipeline.config import Config, Given
from pipeline.errors import DriftlineError
from pipeline.learning.schedule import Due, Rules, Situation, Wait, decide, is_answered
from pipeline.service.plan import Log

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
        self._metrics = metrics
        self._log = log
        by = f"{_HERE}{os.getpid()}"
        self._registry = RegistryView(url)
        self._records = TrainingLog(url)
        self._lease = Lease(url, by, timedelta(seconds=LEASE_S), _now, _is_gone)
        self._rules = Rules(
            retrain.interval, retrain.least_interval, on_drift=retrain.on_drift, first_pause=retrain.check_interval
        )
        self._attendant = Attendant(
            config, file, options, self._rules, by, self._lease, self._records, metrics, log, beat, stopping
        )  # fmt: skip
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
                self._attendant.train(due, situation)
        finally:
            self._lease.give_back()

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
