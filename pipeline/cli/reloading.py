"""Reading the configuration again while the service runs: what can change live does, a bad file changes nothing."""

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.config import Config
from pipeline.errors import ConfigError
from pipeline.service.plan import Log, ServicePlan

LIVE = {
    "service.micro_batch",
    "service.commit_interval",
    "service.stall_timeout",
    "state.snapshot_interval",
    "state.on_missing",
    "input.on_expired",
    "input.start",
    "log.format",
    "log.level",
    "log.repeat_interval",
}
"""Keys that take effect without a restart; the time for a shutdown does not, as a supervisor goes by it as well."""
_LOOK_S = 1.0
_LONGEST_REVOKE_S = 10.0


def plan_of(config: Config) -> ServicePlan:
    """What of the configuration the service may change while it runs."""
    service = config.service
    return ServicePlan(
        micro_batch=service.micro_batch,
        commit_interval_s=service.commit_interval.total_seconds(),
        snapshot_interval_s=config.state.snapshot_interval.total_seconds(),
        shutdown_timeout_s=service.shutdown_timeout.total_seconds(),
        stall_timeout_s=service.stall_timeout.total_seconds(),
        start=config.input.start,
        on_expired=config.input.on_expired,
        on_missing=config.state.on_missing,
        # a member that snapshots for longer keeps the others waiting, who may take it for dead
        revoke_timeout_s=min(_LONGEST_REVOKE_S, config.kafka.session_timeout.total_seconds() / 3),
    )


class ConfigWatch:
    """Asked once a round; gives a new plan when the file has changed, or SIGHUP has come.

    A file that changes is read once it has stood still for two looks, so that no half of one is taken. One that is gone
    changes nothing.

    Args:
        file: None for none to watch.
        load: gives the configuration as it is now, checked, or raises `ConfigError`.
        hung_up: takes the request that SIGHUP makes, and says whether there was one.
        reloads: counter with a label 'result'.
        apply: told a new configuration.
    """

    def __init__(
        self,
        config: Config,
        file: Path | None,
        load: Callable[[], Config],
        hung_up: Callable[[], bool],
        log: Log,
        reloads: Any,
        apply: Callable[[Config], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._file = file
        self._load = load
        self._hung_up = hung_up
        self._log = log
        self._reloads = reloads
        self._apply = apply
        self._clock = clock
        self._taken = self._seen = self._fingerprint()
        self._looked_s = clock()

    def __call__(self) -> ServicePlan | None:
        """The plan that holds from now on; None for no change."""
        asked = self._hung_up()
        if not asked and self._clock() - self._looked_s < _LOOK_S:
            return None
        self._looked_s = self._clock()
        before, self._seen = self._seen, self._fingerprint()
        if not asked and (self._seen == self._taken or self._seen != before):
            return None
        self._taken = self._seen
        if self._file is not None and not self._seen and not asked:
            self._log.warning("config_gone", file=str(self._file), detail="the configuration before stays in force")
            return None
        try:
            new = self._load()
        except ConfigError as exc:
            self._log.error("config_rejected", error=str(exc), detail="the configuration before stays in force")
            self._reloads.labels("rejected").inc()
            return None
        return self._take(new)

    def _take(self, new: Config) -> ServicePlan:
        before, after = _flat(self._config), _flat(new)
        changed = sorted(key for key in after if after[key] != before.get(key))
        waiting = [key for key in changed if key not in LIVE]
        taken = [key for key in changed if key in LIVE]
        if waiting:
            self._log.warning("config_needs_restart", keys=waiting, detail="these take effect after a restart")
        self._log.info("config_reloaded", keys=taken)
        self._reloads.labels("accepted").inc()
        sections: dict[str, dict[str, Any]] = {}
        for key in taken:
            section, name = key.split(".")
            sections.setdefault(section, {})[name] = getattr(getattr(new, section), name)
        self._config = self._config.model_copy(
            update={name: getattr(self._config, name).model_copy(update=keys) for name, keys in sections.items()}
        )
        self._apply(self._config)
        return plan_of(self._config)

    def _fingerprint(self) -> str:
        if self._file is None:
            return ""
        try:
            return hashlib.sha256(self._file.read_bytes()).hexdigest()
        except OSError:
            return ""


def _flat(config: Config) -> dict[str, Any]:
    return {
        f"{section}.{key}": value
        for section in type(config).model_fields
        for key, value in getattr(config, section).__dict__.items()
    }
