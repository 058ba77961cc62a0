"""Sends what `driftline produce` is asked to."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import click
import numpy as np
from numpy.typing import NDArray

from detectors.fleet import make_fleet
from pipeline.adapters.files import ColumnMapping, open_source
from pipeline.adapters.kafka.producing import TopicProducer
from pipeline.adapters.kafka.source import TopicAddress
from pipeline.cli.kafka_settings import settings_from
from pipeline.cli.screen import Screen
from pipeline.cli.signals import StopRequest
from pipeline.cli.sources import require_path
from pipeline.codec.encoding import Encoding, encode_points
from pipeline.codec.formats import FormatName, UnitName
from pipeline.config import Config
from pipeline.records import Batch

_Message: TypeAlias = tuple[str, bytes, int]
"""Key, content, and how many points are in it."""
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
        live: whether points have the times at which they are sent, instead of those of the fleet.
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
    live: bool = False


def produce(order: Order, config: Config, screen: Screen) -> int:
    """Exit status, having sent everything, or what was sent before the stop that was asked for."""
    address = TopicAddress.parse(order.url)
    fields, batches, total = _points(order, config)
    encoding = Encoding(order.kind, fields, "time", order.key_field, order.time_unit, order.points_per_message)
    producer = TopicProducer(settings_from(config.kafka, address.bootstrap), address.topic, partitions=order.partitions)
    garbage = _Garbage(order.seed, order.garbage)
    stop = StopRequest()
    sent = messages = 0
    began = time.monotonic()
    try:
        with screen.bar(f"to {address.topic}", "points", total) as move, stop:
            for portion in _portions(_encoded(batches, encoding), order.rate):
                _wait(0.0 if order.rate is None else began + sent / order.rate, stop)
                if stop():
                    break
                made = list(garbage.amid(portion))
                producer.send(made)
                messages += len(made)
                sent += sum(points for _, _, points in portion)
                move(address.topic, sent, sent)
    finally:
        with suppress(KeyboardInterrupt):
            producer.close()
    took = max(time.monotonic() - began, 1e-9)
    unusable = f", {garbage.made:,} of them unusable" if garbage.made else ""
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
        time_us = _from_now_on(fleet.time_us, order.rate) if order.live and order.rate else fleet.time_us
        whole = Batch(
            list(fleet.key_names),
            np.asarray(fleet.key_codes, np.int32),
            time_us,
            fleet.values.reshape(-1, 1),
            np.arange(1, count + 1),
        )
        size = _BATCH if order.kind == "json" else order.points_per_message * order.streams
        return ("value",), (whole.slice(at, min(at + size, count)) for at in range(0, count, size)), count
    chosen = config.source
    mapping = ColumnMapping(chosen.time_field, chosen.value_fields, chosen.key_field, chosen.time_unit)
    source = open_source(require_path(order.source), mapping)
    return source.fields, (batch for one in source.partitions for batch in one.batches(_BATCH)), source.total_rows


def _from_now_on(time_us: NDArray[np.int64], rate: float) -> NDArray[np.int64]:
    """Rising times (n,) in microseconds, stretched so that `rate` of them pass in a second from now on."""
    share = (time_us - time_us[0]) / max(int(time_us[-1] - time_us[0]), 1)
    stretched: NDArray[np.int64] = np.rint(share * (len(time_us) / rate * 1e6)).astype(np.int64)
    return stretched + time.time_ns() // 1000


def _encoded(batches: Iterator[Batch], encoding: Encoding) -> Iterator[_Message]:
    """Messages of the points; where many go into one, a stream's points of a batch stand together."""
    for batch in batches:
        codes, time_us, values = batch.key_codes, batch.time_us, batch.values
        if encoding.kind != "json":
            together = np.argsort(codes, kind="stable")
            codes, time_us, values = codes[together], time_us[together], values[together]
        yield from encode_points(encoding, [batch.key_names[code] for code in codes.tolist()], time_us, values)


def _portions(messages: Iterator[_Message], rate: float | None) -> Iterator[list[_Message]]:
    """The messages, as many at a time as are due in a moment."""
    most = _BATCH if rate is None else rate * _NAP_S
    portion: list[_Message] = []
    points = 0
    for message in messages:
        portion.append(message)
        points += message[2]
        if points >= most:
            yield portion
            portion, points = [], 0
    if portion:
        yield portion


def _wait(due_s: float, stop: StopRequest) -> None:
    """Wait for a monotonic time, or until told to stop."""
    while (left := due_s - time.monotonic()) > 0 and not stop():
        time.sleep(min(left, _NAP_S))


class _Garbage:
    """Messages that cannot be used, strewn among those that can."""

    def __init__(self, seed: int, share: float) -> None:
        self._dice = np.random.default_rng(seed)
        self._share = share
        self.made = 0

    def amid(self, messages: list[_Message]) -> Iterator[tuple[bytes, bytes]]:
        """(key, content) of these, and of garbage."""
        for key, content, _ in messages:
            while self._dice.random() < self._share:
                self.made += 1
                yield key.encode(), _GARBAGE[int(self._dice.integers(len(_GARBAGE)))]
            yield key.encode(), content
