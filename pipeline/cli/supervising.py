"""`driftline serve --workers N`: a supervisor and its workers, which are this very command with a hidden option."""

import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.adapters.http import serve_http
from pipeline.adapters.live.merged import MergedView
from pipeline.adapters.logs import configure_logs
from pipeline.cli.detecting import require_lstm
from pipeline.cli.learning.beside import begin_registry, beside, require_retrain
from pipeline.cli.live_web import make_web
from pipeline.cli.service_topics import require_input
from pipeline.cli.serving import log_settings
from pipeline.cli.signals import ServeSignals
from pipeline.cli.timeouts import require_sound
from pipeline.config import Config
from pipeline.supervisor import Supervisor

_GRACE_S = 15.0


def supervise(config: Config, file: Path | None, count: int, options: Sequence[str]) -> int:
    """Exit status of so many workers.

    Args:
        file: of the configuration; None for none.
        options: that each worker is given too.
    """
    require_lstm(config)
    require_input(config)
    require_sound(config)
    require_retrain(config)
    log = configure_logs(log_settings(config), sys.stderr)

    def command(number: int, tells: int, life: int) -> Sequence[str]:
        given = [] if file is None else ["--config", str(file)]
        hidden = ["--worker", str(number), "--tell-port", str(tells), "--life", str(life)]
        return [sys.executable, "-m", "pipeline", "serve", *given, *options, *hidden]

    timeout_s = config.service.shutdown_timeout.total_seconds() + _GRACE_S
    with ServeSignals(timeout_s) as signals:
        supervisor = Supervisor(command, log.warning)
        web = make_web(config, MergedView(supervisor.ask))
        port, stop_http = serve_http(config.http.host, config.http.port, supervisor.registry(), supervisor, web)
        log.info("supervising", workers=count, http=f"{config.http.host}:{port}")
        try:
            begin_registry(config, log)
            with beside(config, file, log):
                supervisor.start(count)
                return supervisor.run(signals.stopping, signals, timeout_s)
        finally:
            stop_http()
