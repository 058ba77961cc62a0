"""Sends what `driftline produce` is asked to."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import click
import numpy as np

from detectors.fleet import make_fleet
from pipeline.adapters.files import ColumnMapping, open_source
from pipeline.adapters.kafka.producing import TopicProducer
from pipeline.adapters.kafka.source import TopicAddress
from pipeline.cli.kafka_settings import settings_from
from pipeline.cli.screen import Screen
from pipeline.cli.signals import StopRequest
from pipeline.codec.encoding import Encoding, encode_points
from pipeline.codec.formats import FormatName, UnitName
from pipeline.config import Config
from pipeline.records import Batch

_BATCH = 2_000
_NAP_S = 0.1
_GARBAGE = (
    b"\xff\xfe\x00\x01",
    b'{"time": 17000000',
    b"[" * 3000,
    b'{"time": 1700000000000, "value": NaN}',
    b'{"time": "yesterday", "value": 1}',
    b'{"time": 1700000000000, "value": "high"}',
    b'{"time": 1700000000000, "value": 1e999}',
    b"null",
)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be sent, and how; see the options of the command.

    Attributes:
        rate: points a second; None for as fast as it goes.
        partitions: of a topic to be made; 0 for none.
    """

    source: str
    url: str
    streams: int
    points: int
    seed: int
    garbage: float
    kind: FormatName
    points_per_message: int
    key_field: str | None
    time_unit: UnitName
    rate: float | None
    partitions: int


def produce(order: Order, config: Config, screen: Screen) -> int:
    """Exit status, having sent everything, or what was sent before the stop that was asked for."""
    address = TopicAddress.parse(order.url)
    fields, batches, total = _points(order, config)
    encoding = Encoding(order.kind, fields, "time", order.key_field, order.time_unit, order.points_per_message)
    producer = TopicProducer(settings_from(config.kafka, address.bootstrap), address.topic, partitions=order.partitions)
    dice = np.random.default_rng(order.seed)
    stop = StopRequest()
    sent = messages = garbage = 0
    began = time.monotonic()
    try:
        with screen.bar(f"to {address.topic}", "points", total) as move, stop:
            for batch in batches:
                for part in _paced(batch, order.rate, began, sent, stop):
                    made = []
                    names = [part.key_names[code] for code in part.key_codes.tolist()]
                    for key, content, points in encode_points(encoding, names, part.time_us, part.values):
                        while dice.random() < order.garbage:
                            made.append((key.encode(), _GARBAGE[int(dice.integers(len(_GARBAGE)))]))
                            garbage += 1
                        made.append((key.encode(), content))
                        sent += points
                    producer.send(made)
                    messages += len(made)
                    move(address.topic, sent, sent)
                if stop():
                    break
    finally:
        with suppress(KeyboardInterrupt):
            producer.close()
    took = max(time.monotonic() - began, 1e-9)
    unusable = f", {garbage:,} of them unusable" if garbage else ""
    click.echo(
        f"{'Stopped. ' if stop() else ''}{sent:,} points in {messages:,} messages{unusable} sent to {address.topic} "
        f"in {took:.1f} s, {sent / took:,.0f} points/s"
    )
    return stop.status


def _points(order: Order, config: Config) -> tuple[tuple[str, ...], Iterator[Batch], int]:
    """(names of the values, batches, about how many points)."""
    if order.source == "fleet":
        fleet = make_fleet(order.seed, order.streams, order.points)
        count = len(fleet.time_us)
        whole = Batch(
            list(fleet.key_names),
            np.asarray(fleet.key_codes, np.int32),
            fleet.time_us,
            fleet.values.reshape(-1, 1),
            np.arange(1, count + 1),
        )
        return ("value",), (whole.slice(at, min(at + _BATCH, count)) for at in range(0, count, _BATCH)), count
    chosen = config.source
    mapping = ColumnMapping(chosen.time_field, chosen.value_fields, chosen.key_field, chosen.time_unit)
    source = open_source(order.source, mapping)
    return source.fields, (batch for one in source.partitions for batch in one.batches(_BATCH)), source.total_rows


def _paced(batch: Batch, rate: float | None, began: float, sent: int, stop: StopRequest) -> Iterator[Batch]:
    """The batch, in parts that are due."""
    if rate is None:
        yield batch
        return
    step = max(1, int(rate * _NAP_S))
    for at in range(0, len(batch), step):
        due = began + (sent + at) / rate
        while (left := due - time.monotonic()) > 0 and not stop():
            time.sleep(min(left, _NAP_S))
        if stop():
            return
        yield batch.slice(at, min(at + step, len(batch)))
