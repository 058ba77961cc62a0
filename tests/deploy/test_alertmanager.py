"""A real Alertmanager, set up as in `deploy`, with alerts of a real Prometheus over a real service that is killed."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.capabilities import find_prometheus
from tests.chaos.service import Names, Serving, write_config
from tests.deploy.alerting import RECEIVER, Alertmanager, Webhook, hurried, told_to
from tests.deploy.live import JOB, Prometheus
from tests.deploy.queries import RULES, alerts
from tests.deploy.reading import DEPLOY, read_yaml
from tests.kafka_broker import create_topic, free_port, send

pytestmark = pytest.mark.alertmanager

MEMBERS, PARTITIONS = 2, 2
TRAINER = "driftline-trainer"
CAUSES = {"DriftlineDown", "DriftlineKafkaAway", "DriftlinePositionStuck", "DriftlineTrainerDown"}
LESSER = {name for name, rule in alerts().items() if rule["labels"]["severity"] != "critical"} - {
    "DriftlineTrainerDown", "DriftlineTrainingFailing",
}  # fmt: skip
OF_STANDSTILL = {"DriftlineLagGrowing", "DriftlineNoRecords", "DriftlineCheckpointStale", "DriftlineRestoreSlow"}
_START_S = 400.0
"""On a machine that has not compiled the kernels yet."""


def _wait_for(condition: Callable[[], object], what: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"found no {what}"
        time.sleep(0.1)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """One that takes what Alertmanager sends."""
    one = Webhook()
    yield one
    one.stop()


@pytest.fixture
def alertmanager(webhook: Webhook, tmp_path: Path) -> Iterator[Alertmanager]:
    """One that tells the webhook."""
    program = find_prometheus("alertmanager")
    assert program is not None
    one = Alertmanager(program, tmp_path / "alertmanager", hurried(told_to(webhook.url)))
    yield one
    one.stop()


def _monitoring(members: list[str], alertmanager: str, rules: Path) -> dict[str, Any]:
    """The configuration of deploy/prometheus, with other addresses and shorter waits; no trainer is found."""
    rules.write_text(json.dumps(hurried(read_yaml(RULES))))
    config: dict[str, Any] = hurried(read_yaml(DEPLOY / "prometheus" / "prometheus.yml"))
    config["rule_files"] = [str(rules)]
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
    targets = {JOB: members, TRAINER: []}
    config["scrape_configs"] = [
        {"job_name": one["job_name"], "static_configs": [{"targets": targets[one["job_name"]]}]}
        for one in config["scrape_configs"]
        if one["job_name"] in targets
    ]
    return config


@dataclass(slots=True)
class Members:
    """Members of a service, each at an address of its own that it keeps.

    Attributes:
        topic: of the input.
        running: those last started.
    """

    topic: str
    configs: dict[str, Path]
    running: list[Serving]

    def start(self) -> None:
        """All."""
        self.running = [Serving(one, one.with_suffix(".log")) for one in self.configs.values()]

    def kill(self) -> None:
        """All."""
        for one in self.running:
            one.kill()


@pytest.fixture
def members(bootstrap: str, tmp_path: Path) -> Iterator[Members]:
    """Two, ready."""
    topic = f"in-{uuid.uuid4().hex[:8]}"
    create_topic(bootstrap, topic, PARTITIONS)
    names = Names.of(f"run-{topic}", topic)
    ports = [free_port() for _ in range(MEMBERS)]
    configs = {
        f"127.0.0.1:{port}": write_config(tmp_path / f"member-{port}.toml", bootstrap, names, http={"port": port})
        for port in ports
    }
    some = Members(topic, configs, [])
    try:
        some.start()
        for one in some.running:
            one.wait_until_ready(_START_S)
        yield some
    finally:
        some.kill()


@pytest.fixture
def prometheus(members: Members, alertmanager: Alertmanager, tmp_path: Path) -> Iterator[Prometheus]:
    """One that has seen all members, and tells the Alertmanager."""
    program = find_prometheus("prometheus")
    assert program is not None
    config = _monitoring(list(members.configs), alertmanager.address, tmp_path / "driftline.rules.yml")
    one = Prometheus(program, tmp_path / "prometheus", config)
    try:
        _wait_for(lambda: one.value("count(driftline_records_consumed_total)") == MEMBERS, "scrape of all members")
        yield one
    finally:
        one.stop()


@pytest.mark.kafka
@pytest.mark.prometheus
@pytest.mark.slow
def test_a_service_that_is_killed_is_one_notification_until_it_is_back(
    bootstrap: str, members: Members, prometheus: Prometheus, alertmanager: Alertmanager, webhook: Webhook
) -> None:
    """An operator is told once, with all that helps, of both members; what is less waits, and is told behind the end.

    A fifth of the messages cannot be used, for which there is an alert of its own. It comes to fire while the service
    is down, and is still so when it is back.
    """
    good = json.dumps({"time": int(time.time() * 1000), "value": 1.0}).encode()
    send(bootstrap, members.topic, ((n % 2, b"key-%d" % n, b"no JSON" if n % 5 == 0 else good) for n in range(100)))
    _wait_for(lambda: prometheus.value("sum(driftline_dead_letters_total)") == 20, "dead letters")
    members.kill()

    def told_of_both() -> bool:
        return any(len(one["alerts"]) == MEMBERS for one in webhook.notifications)

    _wait_for(told_of_both, "notification of both members")
    told = webhook.notifications[-1]
    rule = alerts()["DriftlineDown"]
    assert (told["status"], told["receiver"]) == ("firing", RECEIVER)
    assert told["groupLabels"] == {"alertname": "DriftlineDown", "job": JOB}
    assert {one["labels"]["instance"] for one in told["alerts"]} == members.configs.keys()
    for one in told["alerts"]:
        instance = one["labels"]["instance"]
        assert one["labels"] == {"alertname": "DriftlineDown", "job": JOB, "instance": instance, "severity": "critical"}
        assert one["annotations"] == rule["annotations"] | {
            "summary": f"{instance} does not answer Prometheus, or ends again and again."
        }

    def held_back() -> list[dict[str, Any]]:
        return [one for one in alertmanager.alerts() if one["status"]["state"] == "suppressed"]

    _wait_for(held_back, "alert that is held back")
    (lesser,) = held_back()
    assert lesser["labels"]["alertname"] == "DriftlineDeadLetterShare"
    down = {one["fingerprint"] for one in told["alerts"]}
    assert set(lesser["status"]["inhibitedBy"]) <= down
    time.sleep(4.0)  # several times as long as a group waits
    assert {one["groupLabels"]["alertname"] for one in webhook.notifications} == {"DriftlineDown"}

    members.start()
    _wait_for(lambda: webhook.about("DriftlineDown")[-1]["status"] == "resolved", "end", _START_S)
    ended = webhook.about("DriftlineDown")[-1]
    assert {one["status"] for one in ended["alerts"]} == {"resolved"}
    _wait_for(lambda: webhook.about("DriftlineDeadLetterShare"), "notification of what had waited")


@pytest.mark.parametrize(
    ("cause", "job", "held"),
    [
        ("DriftlineDown", JOB, LESSER),
        ("DriftlineDown", "", LESSER),
        ("DriftlineDown", "driftline-elsewhere", set()),
        ("DriftlinePositionStuck", JOB, OF_STANDSTILL),
        ("DriftlineKafkaAway", JOB, {*OF_STANDSTILL, "DriftlineCommitsFailing"}),
        ("DriftlineTrainerDown", TRAINER, {"DriftlineTrainingFailing"}),
    ],
    ids=["a service", "no service known", "another service", "a position", "Kafka", "a trainer"],
)
def test_what_follows_from_a_cause_is_held_back(
    alertmanager: Alertmanager, webhook: Webhook, cause: str, job: str, held: set[str]
) -> None:
    """Of a cause and everything that is no cause, the webhook is told all but what follows from the cause."""
    raised = alerts().keys() - (CAUSES - {cause})
    alertmanager.raise_alerts(
        [
            {
                "alertname": name,
                "severity": alerts()[name]["labels"]["severity"],
                "job": job if name == cause else TRAINER if name == "DriftlineTrainingFailing" else JOB,
            }
            for name in raised
        ]
    )
    _wait_for(lambda: len(webhook.notifications) >= len(raised - held), "notifications of all others")
    time.sleep(1.0)  # twice as long as a group waits
    assert {one["groupLabels"]["alertname"] for one in webhook.notifications} == raised - held
    found = {one["labels"]["alertname"] for one in alertmanager.alerts() if one["status"]["state"] == "suppressed"}
    assert found == held
