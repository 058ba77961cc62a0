"""`driftline serve --workers N`: a supervisor and its workers, which are this very command with a hidden option."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.adapters.http import serve_http
from pipeline.adapters.logs import configure_logs
from pipeline.cli.detecting import require_lstm
from pipeline.cli.opening import pinned_name
from pipeline.cli.service_topics import require_input
from pipeline.cli.serving import log_settings
from pipeline.cli.signals import ServeSignals
from pipeline.cli.timeouts import require_sound
from pipeline.config import Config
from pipeline.supervisor import Supervisor

_GRACE_S = 15.0


def supervise(config: Config, file: Path | None, count: int, *, create_topics: bool) -> int:
    """Exit status of so many workers."""
    require_lstm(config)
    require_input(config)
    require_sound(config)
    log = configure_logs(log_settings(config), sys.stderr)
    # so that all workers score with the same, whatever is promoted while they start
    options = worker_options(file, pinned_name(config), create_topics=create_topics)

    def command(number: int, tells: int, life: int) -> Sequence[str]:
        hidden = ["--worker", str(number), "--tell-port", str(tells), "--life", str(life)]
        return [sys.executable, "-m", "pipeline", "serve", *options, *hidden]

    timeout_s = config.service.shutdown_timeout.total_seconds() + _GRACE_S
    with ServeSignals(timeout_s) as signals:
        supervisor = Supervisor(command, log.warning)
        port, stop_http = serve_http(config.http.host, config.http.port, supervisor.registry(), supervisor)
        log.info("supervising", workers=count, http=f"{config.http.host}:{port}")
        try:
            supervisor.start(count)
            return supervisor.run(signals.stopping, signals, timeout_s)
        finally:
            stop_http()


def worker_options(file: Path | None, bundle: str | None, *, create_topics: bool) -> Sequence[str]:
    """Options of `driftline serve` that all workers are given.

    Args:
        file: of the configuration; None for none.
        bundle: name to go by instead of the configured one; None for no other.
        create_topics: whether topics that are missing are made.
    """
    given = [] if file is None else ["--config", str(file)]
    given += ["--create-topics"] if create_topics else []
    return [*given, *([] if bundle is None else ["--bundle", bundle])]
