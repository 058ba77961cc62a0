"""The manifests: valid ones, confined, and consistent with what Driftline understands and answers."""

import importlib
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from prometheus_client import CollectorRegistry

from pipeline.adapters.http import Health, serve_http
from pipeline.config import Config, load_config
from tests.deploy.reading import (
    JOBS,
    KUBERNETES,
    OWN_IMAGES,
    command_lines,
    find,
    manifests,
    read_yaml,
    refuse_unknown_keys,
    refuse_unknown_options,
)
from tests.deploy.rendering import MANIFEST, render

VERSIONS = ("1.29", "1.34")
"""Of Kubernetes, the oldest and the newest that the manifests are checked against."""
_OPERATORS = {
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
    "keda.sh/v1alpha1": "cloudcoil.models.keda.v1alpha1",
}
"""Modules with the models of what the schemas of Kubernetes do not know, made from the operators' own."""


def _config() -> Config:
    return load_config(KUBERNETES / "driftline.toml", environ={}).config


def _workloads() -> list[dict[str, Any]]:
    return [one for one in manifests() if one["kind"] in {"StatefulSet", "Deployment"}]


def _containers() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(Workload, container), initial ones included."""
    for workload in _workloads():
        pod = workload["spec"]["template"]["spec"]
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            yield workload, container


def _validate(manifest: dict[str, Any], version: str) -> None:
    """Raises an error for what neither Kubernetes nor the operators know; misspelt names count."""
    if manifest["apiVersion"] not in _OPERATORS:
        kubernetes_validate.validate(manifest, version, strict=True)
        return
    kind = getattr(importlib.import_module(_OPERATORS[manifest["apiVersion"]]), manifest["kind"])
    understood = kind.model_validate(manifest).model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert understood == manifest  # what the model does not know is missing here


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid(version: str) -> None:
    """Kubernetes, Prometheus' operator and KEDA know every kind, field and value."""
    for manifest in manifests():
        _validate(manifest, version)


@pytest.mark.parametrize("kind", ["StatefulSet", "ServiceMonitor", "ScaledObject"])
def test_a_misspelt_field_is_noticed(kind: str) -> None:
    """The check of the schemas would catch it, those of the operators included."""
    manifest = find(kind)
    manifest["spec"]["replica"] = 2
    with pytest.raises((AssertionError, kubernetes_validate.ValidationError)):
        _validate(manifest, VERSIONS[-1])


def test_the_kustomization_renders(tmp_path: Path) -> None:
    """By kubectl it is put together, with pinned images and the configuration under a name of its content."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("found no kubectl; expected it on PATH")
    done = subprocess.run(
        [kubectl, "kustomize", str(KUBERNETES)],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    rendered = list(yaml.safe_load_all(done.stdout))
    assert {one["kind"] for one in rendered} == {one["kind"] for one in manifests()} | {"ConfigMap"}
    for one in rendered:
        _validate(one, VERSIONS[-1])
        assert one["metadata"]["labels"]["app.kubernetes.io/part-of"] == "driftline"
        if one["kind"] == "ConfigMap":
            configured = one["metadata"]["name"]
    for one in rendered:
        if one["kind"] not in {"StatefulSet", "Deployment"}:
            continue
        pod = one["spec"]["template"]["spec"]
        assert configured in [volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume]
        for container in [*pod.get("initContainers", ()), *pod["containers"]]:
            image, _, tag = container["image"].rpartition(":")
            assert tag in OWN_IMAGES[image]


def test_images_are_named_and_of_this_version() -> None:
    """Every image has a tag in the kustomization, and it is one that the Dockerfile's head tells how to build."""
    tags = {one["name"]: one["newTag"] for one in read_yaml(KUBERNETES / "kustomization.yaml")["images"]}
    assert {container["image"] for _, container in _containers()} == tags.keys()
    assert all(tag in OWN_IMAGES[image] for image, tag in tags.items())


def test_commands_and_configuration_are_real() -> None:
    """Every command, option, key and variable that the pods are started with is one that there is."""
    for _, container in _containers():
        arguments = container["args"]
        called = [*command_lines(arguments[0])] if "command" in container else [arguments]
        assert called, container["name"]
        for one in called:
            refuse_unknown_options(one)
        environ = {one["name"]: one.get("value", "driftline-0") for one in container.get("env", ())}
        refuse_unknown_keys(KUBERNETES / "driftline.toml", environ.items())


def test_pods_have_the_names_of_members() -> None:
    """Membership is static: the name of a pod of the StatefulSet, which stays, is that of the member."""
    (container,) = find("StatefulSet")["spec"]["template"]["spec"]["containers"]
    (instance,) = [one for one in container["env"] if one["name"] == "DRIFTLINE_KAFKA__INSTANCE"]
    assert instance["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_what_is_referred_to_is_there() -> None:
    """Selectors match pods, ports have names that containers give, and what is mounted are volumes that there are."""
    for workload in _workloads():
        spec, pod = workload["spec"], workload["spec"]["template"]["spec"]
        assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        claims = {one["metadata"]["name"] for one in manifests() if one["kind"] == "PersistentVolumeClaim"}
        for volume in volumes.values():
            claim = volume.get("persistentVolumeClaim")
            assert claim is None or claim["claimName"] in claims
        name = workload["metadata"]["name"]
        (service,) = [one for one in manifests() if one["kind"] == "Service" and one["metadata"]["name"] == name]
        assert service["spec"]["selector"].items() <= spec["template"]["metadata"]["labels"].items()
        (container,) = pod["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert ports == {"http": JOBS[name]}
        assert [(one["port"], one["targetPort"]) for one in service["spec"]["ports"]] == [(JOBS[name], "http")]
        for _, each in _containers():
            assert {mount["name"] for mount in each["volumeMounts"]} <= volumes.keys()
    assert find("StatefulSet")["spec"]["serviceName"] == find("Service")["metadata"]["name"]
    target = find("ScaledObject")["spec"]["scaleTargetRef"]
    assert find(target["kind"], target["name"])["apiVersion"] == target["apiVersion"]
    budget = find("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]
    assert budget == find("StatefulSet")["spec"]["selector"]["matchLabels"]
    for kind, where in (("ServiceMonitor", "selector"), ("NetworkPolicy", "podSelector")):
        (one,) = find(kind)["spec"][where]["matchExpressions"]
        assert (one["key"], one["operator"], set(one["values"])) == ("app.kubernetes.io/name", "In", set(JOBS))
    assert find("ServiceMonitor")["spec"]["endpoints"][0]["port"] == "http"


def test_ports_and_probes_are_those_of_the_service() -> None:
    """It listens where it is asked, for everybody, and is asked for paths that it has."""
    config = _config()
    assert (config.http.host, config.http.port) == ("0.0.0.0", JOBS["driftline"])  # noqa: S104  in a container
    (container,) = find("StatefulSet")["spec"]["template"]["spec"]["containers"]
    paths = {probe: container[probe]["httpGet"]["path"] for probe in container if probe.endswith("Probe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    health = Health(limit_s=60)
    health.set_unready("")
    port, stop = serve_http("127.0.0.1", 0, CollectorRegistry(), health)
    try:
        for path in (*paths.values(), find("ServiceMonitor")["spec"]["endpoints"][0]["path"]):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                assert answer.status == 200, path
    finally:
        stop()


def test_pods_are_restricted() -> None:
    """They meet what the namespace enforces, the standard `restricted`; and their root is not written."""
    assert find("Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for workload, container in _containers():
        pod = workload["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }  # fmt: skip
        assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]


def test_a_pod_may_take_the_time_and_the_memory_that_it_needs() -> None:
    """To commit and to snapshot when it is stopped, and to hold all partitions by the estimate of docs/service.md."""
    config, pod = _config(), find("StatefulSet")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] >= config.service.shutdown_timeout.total_seconds() + 10
    partitions = find("ScaledObject")["spec"]["maxReplicaCount"]
    fetched = 3 * config.kafka.fetch_bytes + partitions * config.kafka.partition_fetch_bytes
    needed = 250e6 + 2 * partitions * config.state.budget + fetched
    (container,) = pod["containers"]
    assert int(container["resources"]["limits"]["memory"].removesuffix("Gi")) * 2**30 >= needed


def test_it_is_scaled_by_its_own_lag() -> None:
    """The group, topic and brokers whose lag counts are those of the configuration."""
    config = _config()
    (trigger,) = find("ScaledObject")["spec"]["triggers"]
    asked = trigger["metadata"]
    assert trigger["type"] == "kafka"
    assert asked["consumerGroup"] == config.kafka.group
    assert (asked["topic"],) == config.input.topics
    assert asked["bootstrapServers"] == ",".join(config.kafka.bootstrap)
    assert asked["offsetResetPolicy"] == config.input.start
    assert find("ScaledObject")["spec"]["minReplicaCount"] == find("StatefulSet")["spec"]["replicas"]


def test_the_rules_are_those_of_prometheus() -> None:
    """The manifest of rules is what `make manifests` writes of the files that Prometheus reads."""
    assert MANIFEST.read_text() == render(), "make manifests"
