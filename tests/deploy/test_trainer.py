"""The trainer wherever it is deployed: beside a service that tells drift, started and asked as it answers."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.config import load_config
from tests.deploy.reading import DEPLOY, JOBS, KUBERNETES, find, read_yaml

CONFIGS = (DEPLOY / "driftline.toml", DEPLOY / "systemd" / "driftline.toml", KUBERNETES / "driftline.toml")
_PORT = str(JOBS["driftline-trainer"])


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.parent.name)
def test_the_service_tells_drift_and_takes_what_is_promoted(file: Path) -> None:
    """Without `retrain.enabled` the trainer would never hear of drift; without an interval, drift alone would count."""
    config = load_config(file, environ={}).config
    assert config.retrain.enabled
    assert config.retrain.on_drift
    assert config.retrain.interval is not None
    assert config.retrain.interval >= config.retrain.least_interval
    assert config.detector.bundle == "champion"


def test_it_follows_everywhere_with_the_configuration_of_the_service() -> None:
    """In compose, systemd and Kubernetes by one command, which serves metrics and health where both are looked for."""
    command = ["train", "--follow", "--config", "/etc/driftline/driftline.toml", "--metrics-port", _PORT]
    compose = read_yaml(DEPLOY / "compose.yaml")["services"]["trainer"]
    container = find("Deployment", "driftline-trainer")["spec"]["template"]["spec"]["containers"][0]
    unit = (DEPLOY / "systemd" / "driftline-trainer.service").read_text()
    assert compose["command"] == container["args"] == command
    assert f"/bin/driftline {' '.join(command)}\n" in unit
    assert f"http://127.0.0.1:{_PORT}/healthz" in compose["healthcheck"]["test"][-1]
    probes: list[Any] = [container["startupProbe"], container["livenessProbe"]]
    assert {probe["httpGet"]["path"] for probe in probes} == {"/healthz"}
    assert [str(port["containerPort"]) for port in container["ports"]] == [_PORT]


def test_drift_can_be_told() -> None:
    """Signals are written by the service, so the registry is no read-only mount of it anywhere."""
    compose = read_yaml(DEPLOY / "compose.yaml")["services"]["driftline"]
    assert "models:/var/lib/driftline/models" in compose["volumes"]
    (container,) = find("StatefulSet")["spec"]["template"]["spec"]["containers"]
    (mount,) = [one for one in container["volumeMounts"] if one["mountPath"] == "/var/lib/driftline/models"]
    assert not mount.get("readOnly", False)
