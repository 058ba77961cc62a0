"""A service that was told every kind of secret, over TLS and SASL: nothing that it shows or logs holds one."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

from tests.chaos.service import Names, Serving, write_config
from tests.kafka_broker import create_topic, send
from tests.kafka_security import PASSWORD, USER, Certificates, secure_broker
from tests.openapi import PATH

pytestmark = pytest.mark.kafka

REGISTRY_USER, REGISTRY_PASSWORD = "robot-seven", "correct-horse-42"
KEY, POINTS = "pump-1", 220


@dataclass(frozen=True, slots=True)
class Run:
    """A service of two workers, and where it keeps things."""

    service: Serving
    directory: Path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """It has scored a stream with a fault at its end."""
    directory = tmp_path_factory.mktemp("secrets") / uuid.uuid4().hex
    directory.mkdir()
    certificates = Certificates.make(directory / "certificates")
    broker = secure_broker(directory / "broker", certificates)
    broker.start()
    names = Names.of("secretive", "input")
    password = directory / "password"
    password.write_text(f"{PASSWORD}\n")
    create_topic(broker.bootstrap, names.input, 2)
    values = np.append(np.sin(np.arange(POINTS) / 8), 50.0)
    send(broker.bootstrap, names.input, [
        (0, KEY.encode(), json.dumps({"time": 1_768_000_000_000 + 60_000 * at, "value": value}).encode())
        for at, value in enumerate(values.tolist())
    ])  # fmt: skip
    config = write_config(
        directory / "driftline.toml", broker.address("SASL_SSL"), names,
        kafka={
            "security": "sasl_ssl", "sasl_mechanism": "SCRAM-SHA-256", "username": USER, "password": PASSWORD,
            "ca_file": certificates.path("ca.pem"), "cert_file": certificates.path("client.pem"),
            "key_file": certificates.path("client-locked.key"), "key_password_file": str(password),
        },
        state={"store": (directory / "state").as_uri()},
        models={"registry": f"ftp://{REGISTRY_USER}:{REGISTRY_PASSWORD}@127.0.0.1:9/models"},
        feedback={"topic": "said"},
        output={"create": True},
    )  # fmt: skip
    create_topic(broker.bootstrap, "said", 1, {"cleanup.policy": "compact"})
    service = Serving(config, directory / "log", "--workers", "2")
    try:
        service.wait_until_ready(400)
        service.wait_for(lambda: json.loads(service.get("/api/v1/anomalies")[1])["anomalies"])
        yield Run(service, directory)
    finally:
        service.kill()
        broker.stop()


def _paths(run: Run) -> Iterator[str]:
    (first, *_) = json.loads(run.service.get("/api/v1/anomalies")[1])["anomalies"]
    yield from ("/", "/live.css", "/live.js", "/metrics", "/healthz", "/readyz", "/nothing", "/api/v1/openapi.json")
    yield from ("/%2e%2e/%2e%2e/etc/passwd", "/api/v1/history?key=none", "/api/v1/anomalies?limit=x")
    asked = {"/anomaly": f"?id={quote(first['id'])}", "/history": f"?key={KEY}"}
    for path in json.loads(PATH.read_text())["paths"]:
        yield path
        yield path + asked.get(path.removeprefix("/api/v1"), "")


def test_no_answer_holds_a_secret_or_a_path(run: Run) -> None:
    """Passwords, the names that go with them, and folders stay here, whatever is asked, errors included."""
    hidden = [PASSWORD, quote(PASSWORD), json.dumps(PASSWORD)[1:-1], USER, REGISTRY_USER, REGISTRY_PASSWORD,
              str(run.directory), run.directory.name, str(Path.home()), str(Path.cwd()), "client-locked"]  # fmt: skip
    run.service.wait_for(lambda: json.loads(run.service.get("/api/v1/models")[1])["trouble"])
    for path in _paths(run):
        status, body = run.service.get(path)
        assert status in {200, 400, 404}, path
        assert [one for one in hidden if one in body] == [], path


def test_no_line_of_the_log_and_no_command_holds_a_secret(run: Run) -> None:
    """Not those of the workers either, which are started with all that the service knows."""
    hidden = [PASSWORD, quote(PASSWORD), REGISTRY_PASSWORD]
    assert [one for one in hidden if one in run.service.told] == []
    commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in _family(run.service.process.pid)]
    assert len(commands) >= 3
    assert [one for one in hidden for command in commands if one in command] == []


def _family(pid: int) -> Iterator[int]:
    """A process and those that it has started."""
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from _family(int(child))
