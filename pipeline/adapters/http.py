"""What the service shows over HTTP: /metrics, /healthz and /readyz, and the pages that it is given."""

import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any, Protocol
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec
from prometheus_client import CollectorRegistry, make_wsgi_app

from pipeline.errors import ConfigError

_INDEX = b"driftline: /metrics for Prometheus, /healthz, /readyz\n"
_ELSEWHERE = b"this host is not known by that name: [http] hosts lists further ones\n"
_REQUEST_S = 10.0
_QUIET_S = 20.0
"""Ends are asked for every five seconds, if nothing is committed; a round that takes long is no reason for alarm."""


class HealthView(Protocol):
    """How something is that is asked for its health."""

    def why_unhealthy(self) -> str:
        """The reason, or ''."""

    def why_unready(self) -> str:
        """The reason, or ''."""


class Pages(Protocol):
    """A WSGI application for all other paths."""

    def allows(self, environ: dict[str, Any]) -> bool:
        """Whether a request, of whatever path, is to be answered."""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """The answer."""


class Index:
    """Fulfils `Pages` where there are none."""

    def allows(self, environ: dict[str, Any]) -> bool:  # noqa: ARG002  the protocol's signature
        """See `Pages`."""
        return True

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Says what there is."""
        status = "200 OK" if environ.get("PATH_INFO", "/") == "/" else "404 Not Found"
        return _answer(start_response, status, _INDEX, "text/plain")


class Health:
    """How the service is; one thread tells, others ask.

    Args:
        limit_s: age of the newest heartbeat from which it counts as stuck.
        clock: monotonic seconds.
    """

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._beat_s = clock()
        self._failure = ""
        self._unready = "has not joined the group yet"
        self._heard_s: float | None = None

    def beat(self) -> None:
        """The loop went round."""
        self._beat_s = self._clock()

    def hear(self) -> None:
        """Kafka has answered; from the first time on it is expected to go on answering."""
        self._heard_s = self._clock()

    def fail(self, reason: str) -> None:
        """Something is wrong until this is called with ''."""
        self._failure = reason

    def set_unready(self, reason: str) -> None:
        """Not ready for a reason, or ready with ''."""
        self._unready = reason

    def why_unhealthy(self) -> str:
        """The reason, or ''."""
        age = self._clock() - self._beat_s
        return f"no round of the loop for {age:.0f} s" if age > self._limit_s else self._failure

    def why_unready(self) -> str:
        """The reason, or ''."""
        reasons = self._unready or self.why_unhealthy(), self._why_quiet()
        return "; ".join(reason for reason in reasons if reason)

    def _why_quiet(self) -> str:
        age = 0.0 if self._heard_s is None else self._clock() - self._heard_s
        return f"Kafka has not answered for {age:.0f} s" if age > _QUIET_S else ""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is not told."""


class _Handler(WSGIRequestHandler):
    timeout = _REQUEST_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Requests are not told."""


def serve_http(
    host: str, port: int, metrics: CollectorRegistry, health: HealthView, pages: Pages | None = None
) -> tuple[int, Callable[[], None]]:
    """The port that is listened on from now on, and a function that ends it.

    Args:
        port: 0 for any free one.
        metrics: what is shown.
        health: asked.
        pages: what there is besides; None for nothing.

    Raises:
        ConfigError: the port is taken, or the address cannot be listened on.
    """
    show: Any = make_wsgi_app(metrics)
    pages = pages or Index()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if environ.get("REQUEST_METHOD") not in {"GET", "HEAD"}:
            return _answer(
                start_response, "405 Method Not Allowed", b"GET only\n", "text/plain", ("Allow", "GET, HEAD")
            )
        if not pages.allows(environ):
            return _answer(start_response, "421 Misdirected Request", _ELSEWHERE, "text/plain")
        if path == "/metrics":
            shown: Iterable[bytes] = show(environ, start_response)
            return shown
        if path in {"/healthz", "/readyz"}:
            reason = health.why_unhealthy() if path == "/healthz" else health.why_unready()
            body = msgspec.json.encode({"ok": not reason, "reason": reason}) + b"\n"
            return _answer(start_response, "503 Service Unavailable" if reason else "200 OK", body, "application/json")
        return pages(environ, start_response)

    try:
        server = make_server(host, port, app, _Server, _Handler)
    except (OSError, OverflowError) as exc:
        raise ConfigError(
            f"[http] {host}:{port}: found that it cannot be listened on ({exc}); expected a free port: choose another, "
            "or 0 for any"
        ) from exc
    thread = threading.Thread(target=server.serve_forever, name="http", daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return server.server_port, stop


def _answer(
    start_response: Callable[..., Any], status: str, body: bytes, kind: str, *headers: tuple[str, str]
) -> list[bytes]:
    start_response(status, [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(body))), *headers])
    return [body]
