"""The API over real HTTP: what it gives, what it refuses, and that its description is true and current."""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from pipeline.adapters.live.web import host_of, names_of
from pipeline.codec.formats import LONGEST_KEY
from tests.fakes import one_stream
from tests.openapi import PATH, description
from tests.pipeline.adapters.live.samples import PLACE, Told, fleet_batches, get, looping, served


@pytest.fixture(scope="module")
def told() -> Told:
    """A view that has been told of a fleet with faults."""
    made = Told()
    for batch in fleet_batches(16):
        made.process(batch)
        made.commit()
        made.round()
    made.health.set_unready("")
    return made


@pytest.fixture(scope="module")
def port(told: Told) -> Iterator[int]:
    """Where it is served; rows are looked at by nobody."""
    with served(told.view, told, "page.example.com") as bound:
        yield bound


def test_the_description_is_current() -> None:
    """docs/openapi.json is what the endpoints are; `python -m tests.openapi` writes it anew."""
    assert PATH.read_text() == description()


def test_the_description_is_served(port: int) -> None:
    """The service itself gives it."""
    assert get(port, "/api/v1/openapi.json")[2] == json.loads(PATH.read_text())


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_answers_are_as_described(told: Told, port: int, mode: GenerationMode) -> None:
    """Whatever is asked, sensible or not, the answer is one that the description names, and of its schema."""
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/api/v1/openapi.json")
    for result in schema.get_all_operations():
        operation = result.ok()  # type: ignore[union-attr]  # a description that is none fails here
        if mode is GenerationMode.NEGATIVE and not operation.query:
            continue  # nothing to be wrong about

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=15, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck)
        )  # fmt: skip
        def ask(case: Any) -> None:
            case.call_and_validate()

        with looping(told):
            ask()


def test_overview_tells_what_metrics_tell(told: Told, port: int) -> None:
    """Counts are those of Prometheus, and a partition stands where it was last committed."""
    now = get(port, "/api/v1/overview")[2]
    assert (
        sum(now["records"].values())
        == told.offset
        == told.registry.get_sample_value("driftline_records_consumed_total")
    )
    assert sum(now["anomalies"].values()) == sum(
        told.registry.get_sample_value("driftline_anomalies_total", {"severity": name}) or 0
        for name in ("low", "medium", "high", "critical")
    )
    assert sum(now["lanes"].values()) == now["keys"] == 16
    assert (now["ready"], now["version"], now["bundle"]) == (True, "1.2", "5" * 16)
    (partition,) = now["partitions"]
    assert (partition["topic"], partition["offset"], partition["lag_records"]) == (PLACE.topic, told.offset, 5)
    assert now["lag_records"] == 5
    assert max(one["records_per_s"] for one in now["history"]) > 0


def test_anomalies_can_be_chosen_and_read_in_full(port: int) -> None:
    """They come newest first, by severity, kind, key and number, and each can be read with its streams in words."""
    every = get(port, "/api/v1/anomalies?limit=1000")[2]["anomalies"]
    assert [one["committed_ms"] for one in every] == sorted((one["committed_ms"] for one in every), reverse=True)
    grave = get(port, "/api/v1/anomalies?limit=1000&severity=high")[2]["anomalies"]
    assert [one for one in every if one["severity"] in {"high", "critical"}] == grave != []
    opened = get(port, "/api/v1/anomalies?event=opened&limit=3")[2]["anomalies"]
    assert opened == [one for one in every if one["event"] == "opened"][:3]
    key = quote(grave[0]["key"])
    assert get(port, f"/api/v1/anomalies?key={key}&limit=1000")[2]["anomalies"] == [
        one for one in every if one["key"] == grave[0]["key"]
    ]
    detail = get(port, f"/api/v1/anomaly?{urlencode({'id': opened[0]['id']})}")[2]
    assert detail["anomaly"]["reason"] == opened[0]["reason"]
    assert [one["name"] for one in detail["spoke"]] == [one["name"] for one in detail["anomaly"]["streams"]] != []
    assert detail["spoke"][0]["label"]
    assert detail["spoke"][0]["rank"]
    assert get(port, "/api/v1/anomaly?id=none")[0] == 404


def test_events_of_the_longest_keys_can_be_read() -> None:
    """An id holds a key, which may have a thousand letters of any script, and the names of a topic and a field."""
    told, key = Told(), "鍵" * LONGEST_KEY
    told.process(one_stream(np.r_[np.random.default_rng(7).normal(size=600), np.full(3, 90.0)], key=key))
    told.commit()
    with served(told.view, told) as port, looping(told):
        (event,) = get(port, "/api/v1/anomalies?event=opened&severity=high")[2]["anomalies"]
        assert get(port, f"/api/v1/anomaly?{urlencode({'id': event['id']})}")[2]["anomaly"]["key"] == key
        assert get(port, f"/api/v1/history?{urlencode({'key': key})}")[2]["found"]


def test_what_is_not_as_described_is_refused(port: int) -> None:
    """Unknown parameters, one given twice, a number out of range, bytes that are no text and paths that are none."""
    for query in (
        "limit=0", "limit=x", "limit=1001", "limit=", "severity=grave", "unknown=1", "limit=1&limit=2", "key=%ff",
        f"key={'x' * 1001}", f"key={'x' * 10_000}",
    ):  # fmt: skip
        status, _, body = get(port, f"/api/v1/anomalies?{query}")
        assert (status, list(body)) == (400, ["error"]), query
    assert get(port, "/api/v1/nothing")[0] == get(port, "/api/v2/overview")[0] == get(port, "/../etc/passwd")[0] == 404


def test_nothing_but_reading(told: Told, port: int) -> None:
    """Other methods than GET and HEAD are refused at every path, and change nothing."""
    paths = [*json.loads(PATH.read_text())["paths"], "/api/v1/openapi.json", "/api/v1/nothing", "/api/v1/history?key=a"]
    paths += ["/", "/live.js", "/live.css", "/metrics", "/healthz", "/readyz", "/nothing"]
    before = told.registry.get_sample_value("driftline_records_consumed_total"), _state(told)
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"):
        for path in paths:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request(method, path)
            answer = connection.getresponse()
            assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
            connection.close()
    key = told.engine.lanes.names[0]
    with looping(told):
        for path in (*paths, f"/api/v1/history?key={key}"):
            get(port, path)
    assert (told.registry.get_sample_value("driftline_records_consumed_total"), _state(told)) == before


def _state(told: Told) -> bytes:
    """Every bit of all lanes."""
    return b"".join(array.tobytes() for array in told.engine.lanes.used().values())


def test_head_has_the_headers_and_no_body(port: int) -> None:
    """As for GET, with the length that the body would have."""
    for path in ("/", "/live.js", "/api/v1/anomalies"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("HEAD", path)
        answer = connection.getresponse()
        assert answer.read() == b""
        assert answer.status == 200
        assert int(answer.headers["Content-Length"]) > 100
        connection.close()


def test_a_name_that_is_not_of_this_host_is_refused(port: int) -> None:
    """On loopback a request by a foreign name, as a page from elsewhere could make, reads nothing."""
    for path in ("/", "/api/v1/overview", "/metrics", "/healthz"):
        assert get(port, path, Host="evil.example.org")[0] == get(port, path, Host="127.0.0.1.evil.org:80")[0] == 421
        assert get(port, path, Host=f"localhost:{port}")[0] == get(port, path, Host="[::1]:80")[0] == 200
        assert get(port, path, Host="page.example.com")[0] == get(port, path, Host="10.1.2.3:80")[0] == 200


def test_which_names_are_allowed() -> None:
    """On loopback that of this host and the ones listed; elsewhere any, until some are listed."""
    assert names_of("127.0.0.1", ()) == {"localhost", "127.0.0.1"}
    assert names_of("localhost", ("A.example",)) == {"localhost", "a.example"}
    assert names_of("10.1.2.3", ()) is names_of("::", ()) is names_of("host.example", ()) is None
    assert names_of("10.1.2.3", ("a.example",)) == {"localhost", "10.1.2.3", "a.example"}
    assert [host_of(one) for one in ("A.b:80", "[::1]:9", "[::1]", " x ", "")] == ["a.b", "::1", "::1", "x", ""]


def test_pages_may_load_nothing_from_elsewhere(port: int) -> None:
    """The policy allows scripts, styles and questions of this origin alone, none inline, and no frames."""
    _, headers, page = get(port, "/")
    policy = dict(one.strip().split(" ", 1) for one in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "<style" not in page
    assert "style=" not in page
    assert "onclick" not in page
    assert "http://" not in page
    assert "https://" not in page


def test_a_key_that_holds_anything_is_found() -> None:
    """Keys are text of any kind, and come back as they are."""
    odd = 'a b/ü&?#%"<script>'
    told = Told()
    told.process(one_stream(np.sin(np.arange(300.0)), key=odd))
    told.commit()
    with served(told.view, told) as port:
        assert get(port, f"/api/v1/keys?{urlencode({'query': '<SCRIPT'})}")[2] == {"keys": [odd], "total": 1}
        (lane,) = get(port, f"/api/v1/history?{urlencode({'key': odd, 'limit': 2})}")[2]["lanes"]
        assert len(lane["points"]["value"]) == 2
