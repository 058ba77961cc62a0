"""Messages per second of `driftline serve`, end to end, beside a loop that only polls and decodes.

Each side is a process of its own, started afresh in every round, one after the other, over the same topic of a real
broker. The service joins a new group, decodes, scores, and commits outputs and offsets in transactions once a second.
It is measured from when its partitions are restored to its last commit, by its own log and metrics.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from tests.chaos.service import Names, Serving, write_config
from tests.kafka_broker import Broker, create_topic, read_committed, send
from tests.processes import scratch

ROUNDS = 3
MESSAGES, KEYS, PARTITIONS = 3_000_000, 500, 4
MICRO_BATCH = 5_000
AT_LEAST = 0.6
_START_MS, _INTERVAL_MS = 1_700_000_000_000, 60_000
_COMMITTED, _LAST_COMMIT = "driftline_committed_offset", "driftline_last_commit_timestamp_seconds"
_FLAGGED = "driftline_anomalies_total"


def run() -> dict[str, Any]:
    """Figures by name: messages per second of each side in each round, and the ratio of their medians."""
    with scratch() as directory, Broker(directory / "broker") as broker:
        return _rounds(broker.bootstrap, directory)


def _rounds(bootstrap: str, directory: Path) -> dict[str, Any]:
    create_topic(bootstrap, "metrics", PARTITIONS)
    send(bootstrap, "metrics", records(MESSAGES), compression_type="lz4")
    bare: list[float] = []
    service: list[float] = []
    flagged = 0.0
    names = Names.of("warm-up", "metrics")
    for number in range(-1, ROUNDS):  # the first one compiles kernels and fills the page cache
        names = Names.of(f"round-{number}", "metrics")
        theirs = _bare_rate(bootstrap)
        mine, flagged = _service_rate(bootstrap, names, directory / f"round-{number}")
        if number >= 0:
            bare.append(theirs)
            service.append(mine)
    (found,) = read_committed(bootstrap, names.anomalies)
    anomalies = sum(map(len, found.values()))
    return {
        "messages_per_s": {"bare loop": round(median(bare)), "driftline serve": round(median(service))},
        "ratio": round(median(service) / median(bare), 2),
        "ratios": [round(mine / theirs, 2) for mine, theirs in zip(service, bare, strict=True)],
        "at_least": AT_LEAST,
        "flagged_per_message": round(flagged / MESSAGES, 4),
        "anomalies_per_message": round(anomalies / MESSAGES, 4),
        "rounds": ROUNDS,
        "messages": MESSAGES,
        "keys": KEYS,
        "partitions": PARTITIONS,
    }


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """What the figures fall short of."""
    if figures["ratio"] >= figures["at_least"]:
        return []
    return [f"driftline serve at {figures['ratio']} of a bare loop, expected {figures['at_least']}"]


def records(count: int) -> Iterator[tuple[int, bytes, bytes]]:
    """So many points of noisy waves, with a fault in one of fifty."""
    dice = np.random.default_rng(11)
    phase = dice.uniform(0, 2 * np.pi, KEYS)
    noise = dice.normal(0, 0.1, count)
    faults = np.where(dice.random(count) < 1 / 50, dice.uniform(3, 12, count), 0.0)
    for at in range(count):
        n, key = divmod(at, KEYS)
        value = 20 + np.sin(phase[key] + n / 8) + noise[at] + (faults[at] if n > 150 else 0.0)
        content = json.dumps({"time": _START_MS + n * _INTERVAL_MS, "value": round(float(value), 4)})
        yield key % PARTITIONS, b"key-%d" % key, content.encode()


def _bare_rate(bootstrap: str) -> float:
    command = [sys.executable, "-m", "tests.benchmarks.bare_loop", bootstrap, "metrics", str(MICRO_BATCH)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    if int(told[0]) != MESSAGES:
        raise RuntimeError(f"found {told[0]} messages, expected {MESSAGES}")
    return MESSAGES / float(told[1])


def _service_rate(bootstrap: str, names: Names, directory: Path) -> tuple[float, float]:
    """(messages per second, points flagged)."""
    directory.mkdir()
    config = write_config(
        directory / "driftline.toml",
        bootstrap,
        names,
        # so that more than one point in a hundred is flagged, and more than one event comes of a hundred messages
        detector={"profile": "balanced", "risk": 3.0},
        episodes={"rest": 0, "quiet": 1},
        # as they are by default, where the configuration for tests has shorter ones
        kafka={"session_timeout": "45s", "transaction_timeout": "15s"},
        state={"snapshot_interval": "1min"},
        service={"commit_interval": "1s", "micro_batch": MICRO_BATCH},
    )
    config.write_text("".join(line for line in config.open() if not line.startswith("verdicts")))
    service = Serving(config, directory / "log")

    def committed() -> bool:
        shown = service.metrics()
        time.sleep(2.0)  # asking takes some of the time of the process that is measured
        return sum(value for (name, _), value in shown.items() if name == _COMMITTED) == MESSAGES

    service.wait_for(committed, 300)
    shown = service.metrics()
    flagged = sum(value for (name, _), value in shown.items() if name == _FLAGGED)
    began = min(
        datetime.fromisoformat(event["timestamp"]).timestamp()
        for event in map(json.loads, service.told.splitlines())
        if event["event"] == "restored"
    )
    if service.stop() != 0:
        raise RuntimeError(f"found the service failing: {service.told[-2000:]}")
    return MESSAGES / (shown[_LAST_COMMIT, ()] - began), flagged
