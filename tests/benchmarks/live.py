"""What the live page costs: `driftline serve` without it, and with it while somebody looks.

Each side is a process of its own, started afresh in every round, over the same topic of a real broker. The one who
looks asks as the page does, every second, and follows one key; it draws nothing, as a browser is on another machine.
Beside messages per second it tells the processor's time per message, which other load on the machine hardly moves.
What the page takes is the time that it adds, as a share of a processor: so much of its throughput a process loses that
has one to itself.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.service import KEYS, MICRO_BATCH, PARTITIONS, records
from tests.chaos.service import Names, Serving, write_config
from tests.kafka_broker import Broker, create_topic, send
from tests.processes import scratch

ROUNDS = 4
MESSAGES = 1_500_000
AT_MOST = 0.02
_FROM = 0.2
"""Part of the messages behind which it is measured: until then a process begins."""
_COMMITTED = "driftline_committed_offset"


def run() -> dict[str, Any]:
    """Figures by name: what each side took in each round, and by how much the page made it more."""
    with scratch() as directory, Broker(directory / "broker") as broker:
        return _rounds(broker.bootstrap, directory)


def shortfalls(figures: dict[str, Any]) -> list[str]:
    """What the figures fall short of."""
    if figures["share"] <= figures["at_most"]:
        return []
    return [f"the live page takes {figures['share']:.1%} of a processor, expected {figures['at_most']:.0%} at most"]


def _rounds(bootstrap: str, directory: Path) -> dict[str, Any]:
    create_topic(bootstrap, "metrics", PARTITIONS)
    send(bootstrap, "metrics", records(MESSAGES), compression_type="lz4")
    took: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    for number in range(-1, ROUNDS):  # the first one compiles kernels and fills the page cache
        for live in (False, True) if number % 2 else (True, False):
            figures = _serve(bootstrap, directory / f"{number}-{live}", live=live)
            if number >= 0:
                took[live].append(figures)
    # what is added by a message, times messages in a second
    more = [
        (with_it[1] - without[1]) * with_it[0] / 1e6 for without, with_it in zip(took[False], took[True], strict=True)
    ]
    return {
        "messages_per_s": {
            "without": round(median(one[0] for one in took[False])),
            "with, looked at": round(median(one[0] for one in took[True])),
        },
        "us_per_message": {
            "without": [round(one[1], 2) for one in took[False]],
            "with, looked at": [round(one[1], 2) for one in took[True]],
        },
        "share": round(median(more), 4),
        "share_by_round": [round(one, 4) for one in more],
        "at_most": AT_MOST,
        "rounds": ROUNDS,
        "messages": MESSAGES,
        "keys": KEYS,
    }


def _serve(bootstrap: str, directory: Path, *, live: bool) -> tuple[float, float]:
    """(messages per second, microseconds of the processor per message)."""
    directory.mkdir()
    names = Names.of(directory.name, "metrics")
    config = write_config(
        directory / "driftline.toml", bootstrap, names,
        detector={"profile": "balanced"}, kafka={"session_timeout": "45s", "transaction_timeout": "15s"},
        state={"snapshot_interval": "1min"}, service={"commit_interval": "1s", "micro_batch": MICRO_BATCH},
        http={"live": live},
    )  # fmt: skip
    config.write_text("".join(line for line in config.open() if not line.startswith("verdicts")))
    service = Serving(config, directory / "log")
    marks: list[tuple[float, float, float]] = []

    def is_done() -> bool:
        shown = service.metrics()
        committed = sum(value for (name, _), value in shown.items() if name == _COMMITTED)
        if committed > _FROM * MESSAGES:
            marks.append((committed, time.monotonic(), _processor_s(service.process.pid)))
        time.sleep(0.5)
        return committed == MESSAGES

    with _looking(service) if live else _nobody():
        service.wait_for(is_done, 300)
    if service.stop() != 0:
        raise RuntimeError(f"found the service failing: {service.told[-2000:]}")
    (first, began_s, used_s), (last, ended_s, all_s) = marks[0], next(one for one in marks if one[0] == MESSAGES)
    return (last - first) / (ended_s - began_s), (all_s - used_s) / (last - first) * 1e6


def _processor_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _nobody() -> Iterator[None]:
    yield


@contextmanager
def _looking(service: Serving) -> Iterator[None]:
    """Somebody asks as the page does."""
    end = threading.Event()

    def ask(path: str) -> Any:
        return json.loads(service.get(f"/api/v1/{path}")[1])

    def look() -> None:
        for path in ("/", "/live.css", "/live.js"):
            service.get(path)
        mark, number = "", 0
        while not end.wait(1.0):
            now = ask("overview")
            if now["newest_anomaly"] != mark:
                ask("anomalies?limit=100&severity=none")
            mark = now["newest_anomaly"]
            if number % 5 == 0:
                ask("keys?query=&limit=60")
            if number % 10 == 0:
                ask("models")
            if number % 2 == 0:
                ask("history?key=key-7&field=value&limit=500")
            number += 1

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join(20)
