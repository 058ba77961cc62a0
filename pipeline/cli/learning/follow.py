"""`driftline train --follow`: a trainer, from its configuration to its end."""

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from pipeline.adapters.bundles.reading import RegistryView
from pipeline.adapters.http import Health, serve_http
from pipeline.adapters.logs import configure_logs
from pipeline.adapters.training_metrics import TrainingMetrics
from pipeline.cli.learning.attending import LEASE_S
from pipeline.cli.learning.beside import has_torch
from pipeline.cli.learning.follower import Follower
from pipeline.cli.learning.job import load_following
from pipeline.cli.service_topics import require_input
from pipeline.cli.serving import log_settings
from pipeline.cli.signals import ServeSignals
from pipeline.cli.version import driftline_version
from pipeline.config import Given
from pipeline.errors import MissingExtraError
from pipeline.service.plan import Log

_NAP_S = 0.2
_NICE = 10
_STOP_S = 3.0
"""For a stop in good order; more is not worth waiting for, as nothing is lost."""


def follow(
    file: Path | None, options: Mapping[str, Given], *, metrics_port: int | None, beside: int | None = None
) -> int:
    """Exit status of a follower that looks and trains until it is told to stop.

    Args:
        file: of the configuration; None for none.
        options: what the command line sets, by dotted key.
        metrics_port: that metrics are shown at; None for the configured one.
        beside: descriptor that closes when the service is gone that has started it; None for none.

    Raises:
        DriftlineError: a configuration that cannot be used, or torch is missing.
    """
    config = load_following(file, dict(options))
    require_input(config)
    if not has_torch():
        raise MissingExtraError("found no torch; expected it for training: pip install 'driftline[train]'")
    log: Any = configure_logs(log_settings(config), sys.stderr)
    log = log.bind(process="trainer")
    with ExitStack() as held:
        signals = held.enter_context(ServeSignals(0.0))
        threading.Thread(target=_end_soon, args=(signals.stopping, log), name="end", daemon=True).start()
        if beside is not None:
            os.nice(_NICE)
            threading.Thread(target=_end_with, args=(beside,), name="life", daemon=True).start()
        registry = CollectorRegistry()
        metrics = TrainingMetrics(registry)
        health = Health(limit_s=10 * LEASE_S)
        health.set_unready("")
        port = config.retrain.metrics_port if metrics_port is None else metrics_port
        bound = None
        if port is not None:
            bound, stop_http = serve_http(config.http.host, port, registry, health)
            held.callback(stop_http)
        log.info(
            "following", version=driftline_version(), registry=RegistryView(config.models.registry).shown,
            metrics=None if bound is None else f"{config.http.host}:{bound}",
        )  # fmt: skip
        follower = Follower(
            config, file, options, metrics, log, beat=health.beat, stopping=signals.stopping
        )  # fmt: skip
        while not signals.stopping():
            health.beat()
            follower.look()
            until_s = time.monotonic() + config.retrain.check_interval.total_seconds()
            while time.monotonic() < until_s and not signals.stopping():
                time.sleep(min(_NAP_S, max(until_s - time.monotonic(), 0.0)))
                health.beat()
        log.info("stopped")
    return 0


def _end_soon(stopping: Callable[[], bool], log: Log) -> None:
    """Once a stop was asked for, end before long whatever is waited for, such as an answer of a broker that is gone."""
    while not stopping():
        time.sleep(_NAP_S)
    time.sleep(_STOP_S)
    log.info("stopped")
    os._exit(0)


def _end_with(life: int) -> None:
    """End at once when the service is gone that has started this: the registry is whole at any moment."""
    os.read(life, 1)
    os._exit(1)
