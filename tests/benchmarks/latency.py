"""How long a message takes to its verdict for readers of committed messages: while a training goes on, and none does.

A real broker, `driftline serve` as it is configured by default, and the trainer that it starts beside it. Messages come
at a steady rate; each tells when it was sent, and its verdict when it was read, by the same clock. Phases alternate: in
every other one `driftline models retrain` is asked for a training, which reads the topic's history, trains and judges
as ever; a margin that nothing meets keeps the champion. What counts is the ratio of the 99th percentile within a pair
of neighbours, which other load on the machine moves less than the times themselves.
"""

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from kafka import KafkaConsumer, KafkaProducer

from tests.chaos.service import Names, Serving, driftline, write_config
from tests.kafka_broker import Broker, create_topic, send
from tests.processes import scratch

PAIRS = 5
PHASE_S = 20.0
RATE, KEYS, PARTITIONS = 500, 50, 2
HISTORY = 2_000
"""Points of each key that are there before."""
AT_MOST = 1.10
_TICK_S = 0.02
_SETTLE_S = 3.0
_ROOT = Path(__file__).parents[2]


def run() -> dict[str, Any]:
    """Figures by name: percentiles of each phase, and the ratios within pairs."""
    with scratch() as directory, Broker(directory / "broker") as broker:
        return _measure(broker.bootstrap, directory)


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """What the figures fall short of."""
    if figures["ratio"] <= figures["at_most"]:
        return []
    ratio, most = figures["ratio"], figures["at_most"]
    return [f"the 99th percentile while training is {ratio:.2f} times that without, expected {most} at most"]


def rows(figures: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Of the table: each pair, and the median of all."""
    for number, pair in enumerate(figures["pairs"], 1):
        yield (str(number), *(f"{pair[side][p]:.0f}" for side in ("without", "training") for p in ("p50", "p99")),
               f"{pair['ratio']:.2f}")  # fmt: skip
    yield "median", "", "", "", "", f"{figures['ratio']:.2f}"


def _measure(bootstrap: str, directory: Path) -> dict[str, Any]:
    names = Names.of("latency", "metrics")
    create_topic(bootstrap, names.input, PARTITIONS)
    step_us = 1_000_000 * KEYS // RATE
    since_us = time.time_ns() // 1000 - HISTORY * step_us
    send(
        bootstrap,
        names.input,
        (_message(since_us + n * step_us, n, key) for n in range(HISTORY) for key in range(KEYS)),
    )
    config = write_config(
        directory / "driftline.toml", bootstrap, names, detector={"bundle": "champion", "profile": "balanced"},
        source={"time_field": "time", "value_fields": ["value"], "time_unit": "us"},
        kafka={"session_timeout": "45s", "transaction_timeout": "15s"}, state={"snapshot_interval": "1min"},
        service={"commit_interval": "1s", "micro_batch": 5_000}, models={"registry": str(directory / "models")},
        retrain={"enabled": True, "on_drift": False, "check_interval": "200ms", "time_limit": f"{PHASE_S:.0f}s",
                 "steps": 100_000, "device": "cpu"},
        gate={"margin": 10.0}, log={"repeat_interval": "0s"},
    )  # fmt: skip
    service = Serving(config, directory / "log")
    end = threading.Event()
    found: list[tuple[float, float]] = []
    threads = [
        threading.Thread(target=_produce, args=(bootstrap, names.input, end), daemon=True),
        threading.Thread(target=_consume, args=(bootstrap, names.verdicts, end, found), daemon=True),
    ]
    try:
        service.wait_until_ready()
        service.wait_for(lambda: '"following"' in service.told)
        for thread in threads:
            thread.start()
        time.sleep(2 * _SETTLE_S)
        phases = [_phase(service, config, training=number % 2 == 1) for number in range(2 * PAIRS)]
        time.sleep(_SETTLE_S)
        if service.stop() != 0:
            raise RuntimeError(f"found the service failing: {service.told[-2000:]}")
    finally:
        end.set()
        if service.is_running:
            service.kill()
    sent, took = np.array(found).T
    told = [_percentiles(took[(sent >= begin) & (sent < until)]) for begin, until in phases]
    pairs = [
        {"without": calm, "training": busy, "ratio": round(busy["p99"] / calm["p99"], 3)}
        for calm, busy in zip(told[::2], told[1::2], strict=True)
    ]
    ratios = [float(busy["p99"] / calm["p99"]) for calm, busy in zip(told[::2], told[1::2], strict=True)]
    # of neighbours without a training: what the machine does by itself
    alone = [later["p99"] / calm["p99"] for calm, later in pairwise(told[::2])]
    return {
        "pairs": pairs, "ratio": round(median(ratios), 3), "spread": [min(ratios), max(ratios)],
        "spread_without": [min(alone, default=1.0), max(alone, default=1.0)],
        "at_most": AT_MOST, "rate": RATE, "keys": KEYS, "phase_s": PHASE_S,
        "trainings": service.told.count('"training_began"'),
    }  # fmt: skip


def _percentiles(took: Any) -> dict[str, float]:
    """In milliseconds."""
    p50, p99 = np.percentile(1000 * took, [50, 99])
    return {"p50": round(float(p50), 1), "p99": round(float(p99), 1), "messages": len(took)}


def _phase(service: Serving, config: Path, *, training: bool) -> tuple[float, float]:
    """Times of its beginning and end, by the clock of the messages."""
    if not training:
        service.wait_for(lambda: not _trains(service), 3 * PHASE_S + 120)
        time.sleep(_SETTLE_S)
        began = time.time()
        time.sleep(PHASE_S)
        return began, time.time()
    _ask(config)
    service.wait_for(lambda: _trains(service), 120)
    began = time.time()
    while time.time() < began + PHASE_S and _trains(service):
        time.sleep(0.1)
    if time.time() < began + 0.5 * PHASE_S:
        raise RuntimeError(f"found a training that ended after {time.time() - began:.0f} s; expected {PHASE_S:.0f} s")
    return began, time.time()


def _trains(service: Serving) -> bool:
    return service.told.count('"training_began"') > service.told.count('"training_ended"')


def _ask(config: Path) -> None:
    command = driftline("models", "retrain", "--config", str(config), "--reason", "a benchmark")
    subprocess.run(command, cwd=_ROOT, check=True, capture_output=True)


def _message(time_us: int, point: int, key: int) -> tuple[int, bytes, bytes]:
    value = 10 + np.sin(2 * np.pi * point / 48 + key) + 0.1 * np.sin(12.9898 * point + 78.233 * key)
    return key % PARTITIONS, b"key-%d" % key, json.dumps({"time": time_us, "value": round(float(value), 6)}).encode()


def _produce(bootstrap: str, topic: str, end: threading.Event) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=0)
    began, sent = time.monotonic(), 0
    while not end.wait(_TICK_S):
        while sent < RATE * (time.monotonic() - began):
            point, key = divmod(sent, KEYS)
            partition, name, value = _message(time.time_ns() // 1000, HISTORY + point, key)
            producer.send(topic, value, name, partition=partition)
            sent += 1
    producer.close()


def _consume(bootstrap: str, topic: str, end: threading.Event, found: list[tuple[float, float]]) -> None:
    """Keep (when it was sent, how long it took), in seconds, of every verdict."""
    consumer: Any = KafkaConsumer(
        topic, bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="latest",
        enable_auto_commit=False,
    )  # fmt: skip
    while not end.is_set():
        messages = consumer.poll(timeout_ms=100)
        now = time.time()
        for mine in messages.values():
            for message in mine:
                sent = json.loads(message.value)["time"] / 1e6
                found.append((sent, now - sent))
    consumer.close()
