"""Health and metrics over real HTTP."""

import http.client
import json
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from pipeline.adapters.http import Health, serve_http
from pipeline.errors import ConfigError


class Served:
    """What is served, its clock moved by hand."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.health = Health(limit_s=30.0, clock=lambda: self.now_s)
        registry = CollectorRegistry()
        Counter("things", "Things.", registry=registry).inc(3)
        self.port, self.stop = serve_http("127.0.0.1", 0, registry, self.health)

    def ask(self, path: str, method: str = "GET") -> tuple[int, str, str]:
        """(status, type, body) of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path)
        answer = connection.getresponse()
        told = answer.status, answer.headers["Content-Type"], answer.read().decode()
        connection.close()
        return told


@pytest.fixture
def served() -> Iterator[Served]:
    """Ended in the end."""
    made = Served()
    yield made
    made.stop()


def _reason(answer: tuple[int, str, str]) -> str:
    status, kind, body = answer
    told = json.loads(body)
    assert kind == "application/json; charset=utf-8"
    assert (status, told["ok"]) == ((200, True) if not told["reason"] else (503, False))
    return str(told["reason"])


def test_ready_only_when_told(served: Served) -> None:
    """It is healthy from the start, and ready when it is said to be, for as long as it is healthy too."""
    assert _reason(served.ask("/healthz")) == ""
    assert _reason(served.ask("/readyz")) == "has not joined the group yet"
    served.health.set_unready("")
    assert _reason(served.ask("/readyz")) == ""
    served.health.set_unready("restoring in/0")
    assert _reason(served.ask("/readyz")) == "restoring in/0"
    assert _reason(served.ask("/healthz")) == ""


def test_kafka_that_answers_no_more_is_noticed(served: Served) -> None:
    """Once it has answered, 20 s without an answer make it unready, until there is one; it is healthy all the time."""
    served.health.set_unready("")
    served.now_s += 25
    served.health.beat()
    assert _reason(served.ask("/readyz")) == ""
    served.health.hear()
    served.now_s += 21
    assert _reason(served.ask("/readyz")) == "Kafka has not answered for 21 s"
    assert _reason(served.ask("/healthz")) == ""
    served.health.hear()
    assert _reason(served.ask("/readyz")) == ""


def test_a_loop_that_is_stuck_is_noticed(served: Served) -> None:
    """Without a round for longer than the limit it is unhealthy and not ready, until there is one again."""
    served.health.set_unready("")
    served.now_s += 31
    assert _reason(served.ask("/healthz")) == "no round of the loop for 31 s"
    assert _reason(served.ask("/readyz")) == "no round of the loop for 31 s"
    served.health.beat()
    assert _reason(served.ask("/healthz")) == _reason(served.ask("/readyz")) == ""


def test_a_failure_lasts_until_it_is_taken_back(served: Served) -> None:
    """What is wrong is told by health until it is told to be well."""
    served.health.fail("no progress on in/0 while its lag grows")
    served.health.beat()
    assert _reason(served.ask("/healthz")) == "no progress on in/0 while its lag grows"
    served.health.fail("")
    assert _reason(served.ask("/healthz")) == ""


def test_metrics_and_what_else_there_is(served: Served) -> None:
    """Metrics come in Prometheus' format, the root says what there is, and anything else is told not to be."""
    status, kind, body = served.ask("/metrics")
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    assert "things_total 3.0\n" in body
    assert served.ask("/")[0] == 200
    assert served.ask("/metric")[0] == 404
    assert "/readyz" in served.ask("/metric")[2]
    assert served.ask("/metrics", "POST")[0] == 405


def test_a_client_that_says_nothing_keeps_nobody_waiting(served: Served) -> None:
    """An open connection without a request does not stand in the way of others."""
    with socket.create_connection(("127.0.0.1", served.port)):
        assert served.ask("/healthz")[0] == 200


def test_a_client_that_goes_away_is_not_told(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    """A connection that is reset in the middle of a request leaves no traceback on standard error."""
    for _ in range(5):
        client = socket.create_connection(("127.0.0.1", served.port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.send(b"GET /metrics HTTP/1.0\r\n")
        client.close()
    assert served.ask("/healthz")[0] == 200
    time.sleep(0.2)
    assert capfd.readouterr().err == ""


def test_a_port_that_is_taken_is_told(served: Served) -> None:
    """What cannot be listened on is an error of the configuration; once it is given back it can be."""
    with pytest.raises(ConfigError, match=rf"\[http\] 127.0.0.1:{served.port}: found that .*; expected a free port"):
        serve_http("127.0.0.1", served.port, CollectorRegistry(), served.health)
    with pytest.raises(ConfigError, match="cannot be listened on"):
        serve_http("no.such.host.invalid", 0, CollectorRegistry(), served.health)
    served.stop()
    port, stop = serve_http("127.0.0.1", served.port, CollectorRegistry(), served.health)
    assert port == served.port
    stop()
    served.stop = lambda: None
