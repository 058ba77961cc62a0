"""The compose file: a valid one, confined, consistent with the rest, and its broker is the one that the tests run."""

import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.deploy.reading import (
    DEPLOY,
    JOBS,
    OWN_IMAGES,
    command_lines,
    read_yaml,
    refuse_unknown_keys,
    refuse_unknown_options,
)

COMPOSE: dict[str, Any] = read_yaml(DEPLOY / "compose.yaml")
SERVICES: dict[str, Any] = COMPOSE["services"]
OWN = [name for name, service in SERVICES.items() if service["image"].startswith("driftline")]


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_it_is_as_the_specification_says(name: str) -> None:
    """Every key and value is one that the Compose Specification knows; a misspelt one is not."""
    schema = json.loads((files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json").read_text())
    compose = read_yaml(DEPLOY / name)
    jsonschema.validate(compose, schema)
    compose["services"]["trainer"]["imagen"] = "driftline"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(compose, schema)


def test_what_is_referred_to_is_there() -> None:
    """Services that others wait for, volumes, and files that are mounted exist."""
    for name, service in SERVICES.items():
        for other, on in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            if on["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other] or other in OWN, name
            if on["condition"] == "service_completed_successfully":
                assert SERVICES[other].get("restart", "no") == "no", other
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], volume


def test_images_are_of_one_version_each() -> None:
    """No tag moves: those of others are pinned, and our own are those of this version."""
    for service in [*SERVICES.values(), *read_yaml(DEPLOY / "compose.gpu.yaml")["services"].values()]:
        image, _, tag = service["image"].rpartition(":")
        assert image, service["image"]
        assert any(letter.isdigit() for letter in tag), service["image"]
        if image in OWN_IMAGES:
            assert tag in OWN_IMAGES[image]
        if "build" in service:
            suffix = tag.rpartition("-")[2]
            assert service["build"]["target"] == (f"training-{suffix}" if image.endswith("training") else "serving")


def test_what_stays_comes_back_by_itself() -> None:
    """After a crash or a reboot everything runs again but what has done its work."""
    done = {
        other
        for service in SERVICES.values()
        for other, on in service.get("depends_on", {}).items()
        if on["condition"] == "service_completed_successfully"
    }
    assert done
    for name, service in SERVICES.items():
        assert service.get("restart", "no") == ("no" if name in done else "unless-stopped"), name


def _waited_for(name: str) -> set[str]:
    """The services that are there before this one, with those that are there before them."""
    others = SERVICES[name].get("depends_on", {}).keys()
    return set(others).union(*map(_waited_for, others))


def test_an_image_is_built_once_and_before_it_is_used() -> None:
    """Two builds at once that export one name end with `already exists`; so one service builds what others wait for."""
    builders = {service["image"]: name for name, service in SERVICES.items() if "build" in service}
    assert len(builders) == sum("build" in service for service in SERVICES.values())
    for name in OWN:
        builder = builders[SERVICES[name]["image"]]
        assert name == builder or builder in _waited_for(name), name


def _docker_compose() -> list[str]:
    """How Compose is called, as a plugin of docker or by itself; skips where there is none of version 2 or later."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            done = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
            if done.returncode == 0 and int(done.stdout.lstrip("v").partition(".")[0]) >= 2:
                return command
    pytest.skip("found no docker compose; expected version 2 or later, as a plugin of docker or by itself")


def _config(compose: list[str], *paths: Path) -> subprocess.CompletedProcess[str]:
    named = [word for path in paths for word in ("--file", str(path))]
    return subprocess.run(
        [*compose, *named, "config", "--format", "json"], capture_output=True, text=True, check=False, timeout=60
    )


def test_docker_compose_takes_it(tmp_path: Path) -> None:
    """`docker compose config` warns of nothing and merges what it should; a dependency that is missing it refuses."""
    compose = _docker_compose()
    done = _config(compose, DEPLOY / "compose.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    with_gpu = _config(compose, DEPLOY / "compose.yaml", DEPLOY / "compose.gpu.yaml")
    assert (with_gpu.returncode, with_gpu.stderr) == (0, "")
    plain, merged = json.loads(done.stdout)["services"], json.loads(with_gpu.stdout)["services"]
    assert plain.keys() == SERVICES.keys()
    for name in OWN:
        assert (plain[name]["read_only"], plain[name]["cap_drop"]) == (True, ["ALL"]), name
    trainer = merged.pop("trainer")
    was = plain.pop("trainer")
    assert merged == plain
    assert (was["build"]["target"], trainer["build"]["target"]) == ("training-cpu", "training-cuda")
    assert (trainer["command"], trainer["depends_on"]) == (was["command"], was["depends_on"])
    (device,) = trainer["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    broken = tmp_path / "compose.yaml"
    broken.write_text((DEPLOY / "compose.yaml").read_text().replace("      topics: {", "      topic: {"))
    refused = _config(compose, broken)
    assert refused.returncode != 0
    assert "topic" in refused.stderr


def test_everything_but_the_broker_is_confined() -> None:
    """No capabilities, no new rights, nothing written outside of volumes; and only this host reaches it."""
    for name, service in SERVICES.items():
        if ("command" in service and name != "topics") or name in OWN:
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ())), name


def test_commands_and_configuration_are_real() -> None:
    """Every command, option, key and variable that our own containers are started with is one that there is."""
    for name in OWN:
        command = SERVICES[name]["command"]
        called = [list(map(str, command))] if "entrypoint" not in SERVICES[name] else [*command_lines(command[0])]
        assert called, name
        for arguments in called:
            refuse_unknown_options(arguments)
    for name in OWN:
        refuse_unknown_keys(DEPLOY / "driftline.toml", SERVICES[name].get("environment", {}).items())


def test_what_is_sent_is_what_is_read() -> None:
    """The topic that is made, filled and scored is one, as is the broker that all of them talk to."""
    config = (DEPLOY / "driftline.toml").read_text()
    assert 'topics = ["metrics"]' in config
    assert 'bootstrap = ["kafka:19092"]' in config
    assert "--topic=metrics" in SERVICES["topics"]["command"]
    assert "--bootstrap-server=kafka:19092" in SERVICES["topics"]["command"]
    assert "kafka://kafka:19092/metrics" in SERVICES["traffic"]["command"]
    assert SERVICES["topics"]["image"] == SERVICES["kafka"]["image"]


def test_prometheus_scrapes_what_runs() -> None:
    """Its jobs are services of the file, at the ports that they are reached at."""
    scraped = {}
    jobs = {job["job_name"]: job for job in read_yaml(DEPLOY / "prometheus" / "prometheus.yml")["scrape_configs"]}
    assert jobs.pop("prometheus")["static_configs"] == [{"targets": ["localhost:9090"]}]
    for title, job in jobs.items():
        found = [(name, one["port"]) for one in job.get("dns_sd_configs", ()) for name in one["names"]]
        static = [target for one in job.get("static_configs", ()) for target in one["targets"]]
        ((name, port),) = found + [(name, int(port)) for name, _, port in (one.partition(":") for one in static)]
        assert f"127.0.0.1:{port}:{port}" in SERVICES[name]["ports"]
        scraped[title] = port
    assert scraped == JOBS
    # gone from DNS it would be no target, and no alert could tell that it is down
    assert "static_configs" in jobs["driftline-trainer"]
    assert str(JOBS["driftline-trainer"]) in SERVICES["trainer"]["command"]


def test_prometheus_keeps_the_exemplars_that_dashboards_ask_for() -> None:
    """Without the feature the ids of anomalies are dropped, and panels that ask for them stay without points."""
    asked = [
        path for path in (DEPLOY / "grafana" / "dashboards").glob("*.json") if '"exemplar": true' in path.read_text()
    ]
    assert asked
    assert "--enable-feature=exemplar-storage" in SERVICES["prometheus"]["command"]


def test_it_runs_the_broker_of_the_tests() -> None:
    """Its version is that of the jars, answers where Driftline looks by default, keeps its data and is waited for."""
    kafka = SERVICES["kafka"]
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    pom = ET.parse(DEPLOY / "kafka" / "pom.xml")  # noqa: S314  a file of ours
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
    assert all(environment[name] == 1 for name in environment if name.endswith(("REPLICATION_FACTOR", "MIN_ISR")))
    (volume,) = kafka["volumes"]
    name, _, folder = volume.partition(":")
    assert name in COMPOSE["volumes"]
    assert folder == environment["KAFKA_LOG_DIRS"]
    assert "localhost:9092" in kafka["healthcheck"]["test"]


def test_listeners_of_the_broker_go_together() -> None:
    """Every listener has a protocol; what is advertised is listened on."""
    environment = SERVICES["kafka"]["environment"]
    listeners = {one.partition("://")[0]: one for one in environment["KAFKA_LISTENERS"].split(",")}
    protocols = dict(one.split(":") for one in environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert listeners.keys() == protocols.keys()
    for advertised in environment["KAFKA_ADVERTISED_LISTENERS"].split(","):
        name, port = advertised.partition("://")[0], advertised.rpartition(":")[2]
        assert listeners[name].endswith(f":{port}")
    assert environment["KAFKA_INTER_BROKER_LISTENER_NAME"] in listeners
    controller = environment["KAFKA_CONTROLLER_LISTENER_NAMES"]
    assert listeners[controller].rpartition(":")[2] == environment["KAFKA_CONTROLLER_QUORUM_VOTERS"].rpartition(":")[2]
