"""The broker for people with Docker is the one that the tests run."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

DEPLOY = Path(__file__).parents[1] / "deploy"
_LINE = re.compile(r"( *)(?:- )?(?:([A-Za-z_]\w*):(?: |$))?(.*)")


def _parse(text: str) -> dict[str, Any]:
    """The mappings and lists of scalars that a compose file is made of; anything else fails.

    There is no YAML library among the locked packages, and one is not worth this file alone.
    """
    lines = [line for line in (re.sub(r"(^| )#.*$", "", raw).rstrip() for raw in text.splitlines()) if line]
    found: dict[str, Any] = {}
    parents: list[tuple[int, Any]] = [(-1, found)]
    for number, line in enumerate(lines):
        match = _LINE.fullmatch(line)
        assert match is not None, line
        indent, key, value = len(match[1]), match[2], match[3].strip().strip('"')
        while indent <= parents[-1][0]:
            parents.pop()
        into = parents[-1][1]
        if line.lstrip().startswith("- "):
            assert isinstance(into, list), line
            into.append(f"{key}:{value}" if key else value)
            continue
        assert isinstance(into, dict), line
        assert key, line
        assert key not in into, f"{key} twice"
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if value:
            into[key] = value
        elif len(following) - len(following.lstrip()) > indent:
            into[key] = [] if following.lstrip().startswith("- ") else {}
            parents.append((indent, into[key]))
        else:
            into[key] = None
    return found


def test_compose_runs_the_broker_of_the_tests() -> None:
    """Its version is that of the jars, answers where Driftline looks by default, keeps its data and is waited for."""
    compose = _parse((DEPLOY / "compose.yaml").read_text())
    kafka = compose["services"]["kafka"]
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    pom = ET.parse(DEPLOY / "kafka" / "pom.xml")  # noqa: S314  as above
    version = next(
        one.findtext("m:version", namespaces=space)
        for one in pom.iterfind(".//m:dependency", space)
        if one.findtext("m:artifactId", namespaces=space) == "kafka_2.13"
    )
    assert kafka["image"] == f"apache/kafka:{version}"
    assert kafka["ports"] == ["127.0.0.1:9092:9092"]
    environment = kafka["environment"]
    assert environment["KAFKA_PROCESS_ROLES"] == "broker,controller"
    assert "HOST://localhost:9092" in environment["KAFKA_ADVERTISED_LISTENERS"].split(",")
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert all(environment[name] == "1" for name in environment if name.endswith(("REPLICATION_FACTOR", "MIN_ISR")))
    (volume,) = kafka["volumes"]
    name, _, folder = volume.partition(":")
    assert name in compose["volumes"]
    assert folder == environment["KAFKA_LOG_DIRS"]
    assert "localhost:9092" in kafka["healthcheck"]["test"]


def test_listeners_of_compose_go_together() -> None:
    """Every listener has a protocol; what is advertised is listened on."""
    environment = _parse((DEPLOY / "compose.yaml").read_text())["services"]["kafka"]["environment"]
    listeners = {one.partition("://")[0]: one for one in environment["KAFKA_LISTENERS"].split(",")}
    protocols = dict(one.split(":") for one in environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert listeners.keys() == protocols.keys()
    for advertised in environment["KAFKA_ADVERTISED_LISTENERS"].split(","):
        name, port = advertised.partition("://")[0], advertised.rpartition(":")[2]
        assert listeners[name].endswith(f":{port}")
    assert environment["KAFKA_INTER_BROKER_LISTENER_NAME"] in listeners
    controller = environment["KAFKA_CONTROLLER_LISTENER_NAMES"]
    assert listeners[controller].rpartition(":")[2] == environment["KAFKA_CONTROLLER_QUORUM_VOTERS"].rpartition(":")[2]
