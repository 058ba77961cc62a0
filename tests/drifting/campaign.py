"""What a campaign does: a service with its trainer, fed through the change."""

import json
import re
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.adapters.bundles.training_log import TrainingLog
from pipeline.learning.records import Run
from tests.chaos.service import Names, Serving, write_config
from tests.drifting.fleet import DAY, Fleet
from tests.kafka_broker import create_topic, send

HOUR = DAY // 24
_COMMIT_S, _TRAINING_S = 120.0, 300.0
_LOOK_S = 0.1
_SHOWN = re.compile(r"driftline_(drift|swaps|rollbacks|alarms|accounting_imbalance|lag|training|bundle_info)[a-z_]*")


@dataclass(frozen=True, slots=True)
class Campaign:
    """How much is done.

    Attributes:
        day_s: seconds in which a day of the fleet comes while a training goes on, which is much faster than life; at
            other times it comes as fast as it is committed. None for nothing to come while a training goes on, so
            that a slow machine learns in time, too.
        retrain: keys of the section.
        held_out: of the gate; as short as the change is to be answered soon.
        names: of topics and group, which nobody else has.
    """

    fleet: Fleet
    day_s: float | None
    retrain: dict[str, Any]
    held_out: str
    names: Names


@dataclass(frozen=True, slots=True)
class Course:
    """What has happened.

    Attributes:
        bootstrap: where the broker is.
        names: of topics and group.
        config: of the service.
        drifts, swaps: as the log tells them.
        runs: trainings that came to an end.
        metrics: lines of Prometheus, of service and trainer.
    """

    bootstrap: str
    names: Names
    config: Path
    log: Path
    registry: Path
    drifts: list[dict[str, Any]]
    swaps: list[dict[str, Any]]
    runs: list[Run]
    metrics: list[str]


def serve(campaign: Campaign, bootstrap: str, directory: Path, *, tell: Callable[[str], None]) -> Course:
    """Feed the fleet to a service that learns, until all of it is committed.

    Raises:
        AssertionError: the service fell behind, failed, or never went over to another bundle.
    """
    fleet, registry, log = campaign.fleet, directory / "models", directory / "serve.log"
    create_topic(bootstrap, campaign.names.input, fleet.partitions)
    config = write_config(
        directory / "driftline.toml", bootstrap, campaign.names, detector={"bundle": "champion", "profile": "balanced"},
        models={"registry": str(registry), "check_interval": "500ms"}, log={"repeat_interval": "0s"},
        retrain={"enabled": True, "check_interval": "500ms", "metrics_port": 0, **campaign.retrain},
        gate={"held_out": campaign.held_out},
    )  # fmt: skip
    service = Serving(config, log)
    try:
        service.wait_until_ready()
        _feed(campaign, bootstrap, service, tell)
        metrics = _shown(service.get("/metrics")[1]) + _shown(_trainer(service))
        if (status := service.stop()) != 0:
            raise AssertionError(f"found exit status {status}: {service.told[-2000:]}")
    finally:
        if service.is_running:
            service.kill()
    swaps = _told(service.told, "swapped")
    if (gone_over := len({one["place"] for one in swaps})) < fleet.partitions:
        raise AssertionError(f"found swaps in {gone_over} of {fleet.partitions} partitions; expected all: give it "
                             "more days, or more seconds for each")  # fmt: skip
    return Course(
        bootstrap,
        campaign.names,
        config,
        log,
        registry,
        _told(service.told, "drift"),
        swaps,
        TrainingLog(str(registry)).runs(),
        metrics,
    )


def _feed(campaign: Campaign, bootstrap: str, service: Serving, tell: Callable[[str], None]) -> None:
    fleet = campaign.fleet
    values = fleet.values()
    at, heard, trains = 0, 0, False
    while at < fleet.points:
        step = HOUR if at >= fleet.change else DAY
        send(bootstrap, campaign.names.input, fleet.records(values, at, at + step))
        at += step
        service.wait_for(partial(_has_committed, service, at * fleet.keys), _COMMIT_S)
        lines = service.told.splitlines()
        for event, said in map(_saying, lines[heard:]):
            if event:
                tell(f"{in_days(at - fleet.change)} {said}")
            trains = event == "training_began" or (trains and event != "training_ended")
        heard = len(lines)
        if not trains:
            time.sleep(_LOOK_S)
        elif campaign.day_s is not None:
            time.sleep(campaign.day_s / 24)
        else:
            service.wait_for(lambda: not _trains(service), _TRAINING_S)


def _trains(service: Serving) -> bool:
    return len(_told(service.told, "training_began")) > len(_told(service.told, "training_ended"))


def in_days(points: float) -> str:
    """Points since the change, as days."""
    return f"day {points / DAY:+.2f}:"


def _saying(line: str) -> tuple[str, str]:
    """(event, what to tell of it) of a line of the log that somebody who watches wants to see, or ('', '')."""
    try:
        told = json.loads(line)
    except ValueError:
        return "", ""
    match told.get("event"):
        case "drift" | "training_began" | "trainer_trouble" as event:
            return event, event
        case "training_ended" as event:
            return event, f"training_ended, {told['outcome']}: {told['told']}"
        case "swapped" as event:
            return event, f"swapped, {told['place']} at {told['offset']}"
    return "", ""


def _told(log: str, event: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.splitlines() if f'"event": "{event}"' in line]


def _has_committed(service: Serving, records: int) -> bool:
    """Whether so many records are committed; a lag of 0 may be that of a moment before they were sent."""
    found = service.metrics().items()
    return sum(value for (name, _), value in found if name == "driftline_committed_offset") >= records


def _trainer(service: Serving) -> str:
    """Metrics of the trainer."""
    port = _told(service.told, "following")[-1]["metrics"].rpartition(":")[2]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def _shown(metrics: str) -> list[str]:
    return [line for line in metrics.splitlines() if _SHOWN.match(line) and "_created" not in line]
