"""The page and the API over HTTP, as a WSGI application.

It reads and never changes anything, so it knows GET and HEAD alone. Where the service listens on this host alone, a
request has to name this host: else a page from elsewhere could, by a name that leads here, read what is told.
"""

import ipaddress
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from pipeline.adapters.live.api import BASE, Endpoint, NotFoundError, openapi
from pipeline.adapters.live.model import Refusal

StartResponse = Callable[..., Any]
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = [
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
]
_LONGEST_QUERY = 32_768
_KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


class Web:
    """The application.

    Args:
        table: of endpoints.
        assets: contents by name: 'live.html' is shown at '/', the others at their names.
        hosts: names by which it may be asked; None for any.
    """

    def __init__(self, table: Sequence[Endpoint], assets: Mapping[str, bytes], hosts: Collection[str] | None) -> None:
        self._endpoints = {f"{BASE}{endpoint.path}": endpoint for endpoint in table}
        self._files = {"/" if name == "live.html" else f"/{name}": (name, content) for name, content in assets.items()}
        self._description = msgspec.json.encode(openapi(table))
        self._hosts = hosts

    def allows(self, environ: Mapping[str, Any]) -> bool:
        """Whether a request names a host by which the service may be asked.

        An address is none that could be made to lead here, and what sends no name is no browser.
        """
        name = host_of(environ.get("HTTP_HOST", ""))
        return self._hosts is None or not name or _is_address(name) or name in self._hosts

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """The answer to a request."""
        path = environ.get("PATH_INFO", "/")
        if path in self._files:
            name, content = self._files[path]
            return _send(environ, start_response, "200 OK", content, _KINDS[name.rpartition(".")[2]])
        if path == f"{BASE}/openapi.json":
            return _send(environ, start_response, "200 OK", self._description, "application/json")
        if path not in self._endpoints:
            return _refuse(environ, start_response, "404 Not Found", "found nothing at this path")
        endpoint = self._endpoints[path]
        try:
            query = _query(environ.get("QUERY_STRING", ""), endpoint.takes)
        except ValueError as exc:  # msgspec's ValidationError is one
            return _refuse(environ, start_response, "400 Bad Request", str(exc))
        try:
            body = msgspec.json.encode(endpoint.give(query))
        except NotFoundError as exc:
            return _refuse(environ, start_response, "404 Not Found", str(exc))
        return _send(environ, start_response, "200 OK", body, "application/json")


def host_of(header: str) -> str:
    """The name in a Host header, without its port, in small letters."""
    name, colon, port = header.strip().rpartition(":")
    return (name if colon and port.isdigit() else header.strip()).strip("[]").lower()


def names_of(host: str, further: Collection[str]) -> Collection[str] | None:
    """Names by which a service that listens at `host` may be asked, besides by addresses; None for any.

    Args:
        further: that are allowed as well; where there are some, no others are, wherever it listens.
    """
    is_loopback = ipaddress.ip_address(host).is_loopback if _is_address(host) else host == "localhost"
    if not is_loopback and not further:
        return None
    return {"localhost", host.lower(), *(one.lower() for one in further)}


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _query(text: str, takes: type[msgspec.Struct]) -> msgspec.Struct:
    """The parameters.

    Raises:
        ValueError: they are not as described.
    """
    if len(text) > _LONGEST_QUERY:
        raise ValueError(f"found a query of {len(text):,} characters; expected at most {_LONGEST_QUERY:,}")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=50)
    except UnicodeDecodeError as exc:
        raise ValueError("found a query that is not UTF-8") from exc
    given = dict(pairs)
    if len(given) < len(pairs):
        raise ValueError("found a parameter twice; expected it once")
    return msgspec.convert(given, takes, strict=False)


def _refuse(environ: Mapping[str, Any], start_response: StartResponse, status: str, why: str) -> list[bytes]:
    return _send(environ, start_response, status, msgspec.json.encode(Refusal(why)), "application/json")


def _send(
    environ: Mapping[str, Any], start_response: StartResponse, status: str, body: bytes, kind: str
) -> list[bytes]:
    text = kind if kind == "application/json" else f"{kind}; charset=utf-8"
    start_response(status, [("Content-Type", text), ("Content-Length", str(len(body))), *_HEADERS])
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]
