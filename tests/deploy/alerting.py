"""A real Alertmanager and the webhook that it tells, for tests, and less patience than in production."""

import json
import re
import threading
import urllib.request
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.deploy.live import Server
from tests.deploy.reading import DEPLOY, read_yaml

HASTE = 40
"""How many times shorter than in production the waits of rules and configurations are, half a second at least."""
_WAITS = {"for", "group_interval", "group_wait", "scrape_interval", "evaluation_interval"}
_LEAST_MS = 500
_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000}
RECEIVER = "on-call"


def hurried(config: Any) -> Any:
    """The same with shorter waits. What queries look back on is as long as ever."""
    if isinstance(config, Mapping):
        return {key: _shorter(value) if key in _WAITS else hurried(value) for key, value in config.items()}
    return [hurried(one) for one in config] if isinstance(config, list) else config


def _shorter(wait: str) -> str:
    found = re.fullmatch(r"(\d+)([smh])", wait)
    assert found is not None, wait
    return f"{max(int(found[1]) * _UNITS_MS[found[2]] // HASTE, _LEAST_MS)}ms"


def told_to(url: str) -> dict[str, Any]:
    """The configuration of deploy/alertmanager, with a receiver put in as it says there."""
    config: dict[str, Any] = read_yaml(DEPLOY / "alertmanager" / "alertmanager.yml")
    config["route"]["receiver"] = RECEIVER
    return config | {"receivers": [{"name": RECEIVER, "webhook_configs": [{"url": url}]}]}


class Webhook:
    """What an operator's telephone would be."""

    def __init__(self) -> None:
        self.notifications: list[dict[str, Any]] = []
        """In the order in which they came."""
        told = self.notifications

        class Handler(BaseHTTPRequestHandler):
            """Takes notifications."""

            def do_POST(self) -> None:
                """Keep what is sent."""
                told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name there
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is told."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def about(self, alert: str) -> list[dict[str, Any]]:
        """The notifications about an alert."""
        return [one for one in self.notifications if one["commonLabels"]["alertname"] == alert]

    def stop(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Alertmanager(Server):
    """One that runs; see `Server`, and `told_to` for a configuration."""

    def __init__(self, program: str, directory: Path, config: Mapping[str, Any]) -> None:
        arguments = [f"--storage.path={directory / 'data'}", "--cluster.listen-address="]
        super().__init__(program, arguments, directory, config)

    def alerts(self) -> list[dict[str, Any]]:
        """All that it knows of, with status, those held back too."""
        with urllib.request.urlopen(f"{self._url}/api/v2/alerts", timeout=30) as answer:  # noqa: S310
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def raise_alerts(self, labels: Sequence[Mapping[str, str]]) -> None:
        """Tell it of alerts, as Prometheus does."""
        request = urllib.request.Request(  # noqa: S310
            f"{self._url}/api/v2/alerts",
            json.dumps([{"labels": one} for one in labels]).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30):  # noqa: S310
            pass
