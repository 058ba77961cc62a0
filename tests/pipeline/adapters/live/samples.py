"""A live view that is told what an engine made of a fleet, and the page and API over it."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from detectors.fleet import make_fleet
from pipeline.adapters.http import Health, serve_http
from pipeline.adapters.live.api import endpoints
from pipeline.adapters.live.networks import ModelEvent, ModelHistory, Training, WaitingSignal
from pipeline.adapters.live.page import page_files
from pipeline.adapters.live.source import LiveSource
from pipeline.adapters.live.view import LiveView
from pipeline.adapters.live.web import Web, names_of
from pipeline.adapters.report.shared import shared_files
from pipeline.adapters.whole_registry import WholeRegistry
from pipeline.cli.live_observer import LiveObserver
from pipeline.cli.observing import ServiceObserver
from pipeline.engine import PartitionEngine
from pipeline.records import Batch, Place, Suppression
from pipeline.service.observers import Observers
from pipeline.service.plan import Chunk, Standing
from tests.fakes import make_detector, make_engine

PLACE = Place("metrics", 0)


class Models:
    """Fulfils `ModelSource`."""

    def history(self, bundle: str) -> ModelHistory:
        """Two events, a training each that was promoted and that failed, and a drift."""
        events = [
            ModelEvent(2, "promoted", 1.79e12, "driftline gate", "better by 0.02 nats per point", "5" * 16, "5" * 16),
            ModelEvent(1, "published", 1.78e12, "somebody", "", "5" * 16, None),
        ]
        trainings = [
            Training(
                name="20261126T080000Z-1f",
                time_ms=1.7905e12,
                trigger="schedule",
                outcome="failed",
                told="",
                since_ms=1.788e12,
                until_ms=1.7905e12,
                champion="5" * 16,
                bundle=None,
                champion_loss=None,
                challenger_loss=None,
                points=0,
                duration_s=3.2,
                device="",
            ),
            Training(
                name="20261125T080000Z-2e",
                time_ms=1.79e12,
                trigger="drift",
                outcome="promoted",
                told="all criteria are met",
                since_ms=1.787e12,
                until_ms=1.79e12,
                champion="4" * 16,
                bundle="5" * 16,
                champion_loss=0.9214,
                challenger_loss=0.8126,
                points=250_000,
                duration_s=312.0,
                device="cpu",
            ),
        ]
        drift = WaitingSignal(
            name="20261126T090000Z-drift-3d",
            kind="drift",
            time_ms=1.791e12,
            by="driftline serve",
            topic="metrics",
            reason="median of residuals from 0.61 to 0.94",
            partition=0,
            before=0.61,
            behind=0.94,
        )
        return ModelHistory(
            bundle, followed=True, champion="5" * 16, held=False, trouble=False, events=events, trainings=trainings,
            waiting=[drift],
        )  # fmt: skip


class Told:
    """A view, and who tells it what happens, as the loop does.

    Args:
        max_bytes: see `LiveView`.
        fields: of a record.
    """

    def __init__(self, *, max_bytes: int = 2**26, fields: tuple[str, ...] = ("value",)) -> None:
        self.now_s = 1_790_000_000.0
        self.registry = WholeRegistry()
        self.health = Health(limit_s=60.0)
        detector = make_detector()
        self.engine = make_engine(detector, fields=fields)
        self.view = LiveView(self.registry, self.health, detector.warm_up, max_bytes, clock=lambda: self.now_s)
        metrics = ServiceObserver(self.registry, self.health, detector, lambda: True, version="1.2", bundle="5" * 16)
        self.observer = Observers(metrics, LiveObserver(self.view))
        self.offset = 0
        self.round()

    def round(self, seconds: float = 1.0) -> None:
        """A round of the loop, in which nothing is scored."""
        self.now_s += seconds
        self.observer.beat()
        self.observer.at_rest()
        self.observer.set_status({PLACE: "live"})

    def process(
        self, batch: Batch, engine: PartitionEngine | None = None, suppressed: Suppression | None = None
    ) -> Any:
        """A batch, not committed yet; every second event of it is suppressed, if by something."""
        engine = engine or self.engine
        outcome = engine.process(batch)
        if suppressed is not None:
            marked = [
                msgspec.structs.replace(one, suppressed=suppressed) if at % 2 else one
                for at, one in enumerate(outcome.anomalies)
            ]
            outcome = replace(outcome, anomalies=tuple(marked))
        self.observer.processed(PLACE, engine, outcome, Chunk([], 0.0), decode_s=0.001, scoring_s=0.001)
        self.offset += len(batch)
        return outcome

    def commit(self) -> None:
        """What was processed."""
        self.observer.committed(0.01)
        self.observer.stands({PLACE: Standing(self.offset, self.offset + 5, self.engine.counts.to_dict())})


def fleet_batches(lanes: int, size: int = 2000, points: int = 800) -> Iterator[Batch]:
    """A fleet with faults, in micro-batches."""
    fleet = make_fleet(7, lanes, points)
    count = len(fleet.time_us)
    whole = Batch(
        list(fleet.key_names), np.asarray(fleet.key_codes, np.int32), fleet.time_us, fleet.values.reshape(-1, 1),
        np.arange(1, count + 1),
    )  # fmt: skip
    for at in range(0, count, size):
        yield whole.slice(at, min(at + size, count))


@contextmanager
def looping(told: Told) -> Iterator[None]:
    """Rounds of an idle loop, so that rows are looked at when they are asked for."""
    end = threading.Event()

    def loop() -> None:
        while not end.wait(0.01):
            told.round(0.01)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


@contextmanager
def served(source: LiveSource, told: Told, *hosts: str) -> Iterator[int]:
    """The port of the page and the API over a source."""
    web = Web(endpoints(source, Models()), page_files(shared_files()), names_of("127.0.0.1", hosts))
    port, stop = serve_http("127.0.0.1", 0, told.registry, told.health, web)
    try:
        yield port
    finally:
        stop()


def get(port: int, path: str, **headers: str) -> tuple[int, dict[str, str], Any]:
    """(status, headers, JSON or text) of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    status, told, body = answer.status, answer.headers, answer.read()
    connection.close()
    is_json = told["Content-Type"].startswith("application/json")
    return status, dict(told), json.loads(body) if is_json else body.decode()
