"""Prometheus, Alertmanager and Grafana as they are set up, and whatever rules and dashboards lie in their folders."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.capabilities import find_prometheus
from tests.deploy.reading import DEPLOY, JOBS, read_yaml

PROMETHEUS, GRAFANA = DEPLOY / "prometheus", DEPLOY / "grafana"
RULES = sorted(PROMETHEUS.glob("*.rules.yml"))
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
COMPOSE = read_yaml(DEPLOY / "compose.yaml")["services"]


def _run(tool: str, *arguments: str | Path) -> None:
    program = find_prometheus(tool)
    assert program is not None
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.prometheus
def test_prometheus_understands_its_configuration(tmp_path: Path) -> None:
    """`promtool` does, with the rules of the folder."""
    shutil.copytree(PROMETHEUS, tmp_path / "prometheus")
    file = tmp_path / "prometheus" / "prometheus.yml"
    file.write_text(file.read_text().replace("/etc/prometheus", str(file.parent)))
    _run("promtool", "check", "config", file)


@pytest.mark.alertmanager
def test_alertmanager_understands_its_configuration() -> None:
    """`amtool` does."""
    _run("amtool", "check-config", DEPLOY / "alertmanager" / "alertmanager.yml")


def test_rules_are_found_by_prometheus() -> None:
    """The folder is mounted where the pattern looks, and rules name jobs that are scraped."""
    config = read_yaml(PROMETHEUS / "prometheus.yml")
    assert "./prometheus:/etc/prometheus:ro" in COMPOSE["prometheus"]["volumes"]
    assert config["rule_files"] == ["/etc/prometheus/*.rules.yml"]
    (alertmanager,) = config["alerting"]["alertmanagers"]
    name, port = alertmanager["static_configs"][0]["targets"][0].split(":")
    assert f"127.0.0.1:{port}:{port}" in COMPOSE[name]["ports"]
    for path in RULES:
        for job in re.findall(r'job="([^"$]+)"', path.read_text()):
            assert job in JOBS, path.name


def test_grafana_shows_whatever_is_in_the_folder() -> None:
    """Dashboards are looked for where their folder is mounted, and the datasource is the Prometheus beside it."""
    (provider,) = read_yaml(GRAFANA / "provisioning" / "dashboards" / "driftline.yaml")["providers"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in COMPOSE["grafana"]["volumes"]
    (source,) = read_yaml(GRAFANA / "provisioning" / "datasources" / "prometheus.yaml")["datasources"]
    name, port = source["url"].removeprefix("http://").split(":")
    assert source["type"] == "prometheus"
    assert f"127.0.0.1:{port}:{port}" in COMPOSE[name]["ports"]


def test_dashboards_can_be_provisioned() -> None:
    """Each is JSON with a title and an id of its own, and has its datasource from a variable or as provisioned."""
    (source,) = read_yaml(GRAFANA / "provisioning" / "datasources" / "prometheus.yaml")["datasources"]
    uids = []
    for path in DASHBOARDS:
        dashboard = json.loads(path.read_text())
        assert dashboard["title"], path.name
        uids.append(dashboard["uid"])
        told = re.findall(r'"datasource": ?\{[^}]*"uid": ?"([^"]+)"', path.read_text())
        assert set(told) <= {"${datasource}", "$datasource", "-- Grafana --", "-- Dashboard --", source["uid"]}, (
            path.name
        )
    assert len(set(uids)) == len(DASHBOARDS)
