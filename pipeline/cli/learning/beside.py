"""The trainer that `driftline serve` runs beside it: a process of its own, kept running, and ended with it."""

import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from pipeline.adapters.bundles import load_bundle, shipped_bundle_path
from pipeline.adapters.bundles.history import Act
from pipeline.adapters.bundles.registry import Registry
from pipeline.cli.learning.job import require_following
from pipeline.cli.opening import followed_registry
from pipeline.config import Config
from pipeline.errors import ConflictError
from pipeline.service.plan import Log

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 300.0
_HEALTHY_S = 60.0
_NAP_S = 0.2
_GRACE_S = 5.0


def require_retrain(config: Config) -> None:
    """Refuse a trainer where nothing that it makes would ever score.

    Raises:
        ConfigError: `retrain.enabled`, and the bundle is not the champion of a registry.
    """
    if config.retrain.enabled:
        require_following(config)


def has_torch() -> bool:
    """Whether a trainer could run here."""
    return importlib.util.find_spec("torch") is not None


def begins_with_shipped(config: Config) -> bool:
    """Whether a service with this configuration puts the shipped bundle into its registry, as champion.

    It does so where it has a trainer, and nothing has happened in the registry yet.

    Raises:
        RegistryError: it cannot be reached, or is damaged.
    """
    url = followed_registry(config)
    return config.retrain.enabled and url is not None and Registry(url).standing().head is None


def begin_registry(config: Config, log: Log) -> None:
    """Put the shipped bundle into the registry if that is to be done; raises as `begins_with_shipped`."""
    if not begins_with_shipped(config):
        return
    registry = Registry(require_following(config).models.registry)
    act = Act("driftline serve", datetime.now(UTC).replace(microsecond=0), "to begin with: retrain.enabled")
    with suppress(ConflictError):  # another member was first
        name = registry.publish(load_bundle(shipped_bundle_path()), act)
        registry.promote(name, act, expected="")
        log.info("registry_begun", registry=registry.shown, champion=name[:16])


class Beside:
    """Keeps the trainer running.

    Args:
        file: of the configuration; None for none.
        pauses_s: before the first start again, and at most.
    """

    def __init__(
        self,
        file: Path | None,
        log: Log,
        *,
        pauses_s: tuple[float, float] = (FIRST_PAUSE_S, LONGEST_PAUSE_S),
    ) -> None:
        self._file = file
        self._log = log
        self._pauses_s = pauses_s
        self._end = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="trainer", daemon=True)

    def start(self) -> None:
        """Have it run from now on."""
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        pause_s = self._pauses_s[0]
        while not self._end.is_set():
            life, alive = os.pipe()
            began_s = time.monotonic()
            try:
                status = self._watch(life)
            finally:
                os.close(alive)
            if self._end.is_set():
                return
            pause_s = self._pauses_s[0] if time.monotonic() - began_s > _HEALTHY_S else pause_s
            self._log.error("trainer_ended", status=status, restart_in_s=pause_s, detail="the service goes on")
            self._end.wait(pause_s)
            pause_s = min(2 * pause_s, self._pauses_s[1])

    def _watch(self, life: int) -> int:
        """Exit status of one that was started, and has ended by itself or was told to."""
        given = [] if self._file is None else ["--config", str(self._file)]
        command = [sys.executable, "-m", "pipeline", "train", "--follow", *given, "--beside", str(life)]
        process = subprocess.Popen(command, pass_fds=(life,), start_new_session=True)  # noqa: S603  our own command
        os.close(life)
        self._log.info("trainer_started", trainer=process.pid)
        while (status := process.poll()) is None:
            if self._end.wait(_NAP_S):
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_GRACE_S)
                process.kill()
                return process.wait()
        return status


@contextmanager
def beside(config: Config, file: Path | None, log: Log) -> Iterator[None]:
    """Within the block, the trainer that the configuration asks for runs beside; none where torch is missing."""
    if not config.retrain.enabled:
        yield
        return
    if not has_torch():
        # no error: an image without torch tells drift to a trainer elsewhere
        log.warning(
            "trainer_missing",
            detail="found no torch; expected it here (pip install 'driftline[train]'), or where a trainer runs alone",
        )
        yield
        return
    trainer = Beside(file, log)
    trainer.start()
    try:
        yield
    finally:
        trainer.close()
