"""A topic as the source of a replay: a range of its records, read without any group."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kafka import KafkaConsumer, TopicPartition

from pipeline.adapters.kafka.connection import KafkaSettings, client_options, told_as_feed_error
from pipeline.errors import InputError, nearest
from pipeline.interfaces import Message
from pipeline.merging import has_time, select
from pipeline.records import Batch

_POLL_MS = 500
_REQUEST_MS = 30_000
_MOST_MESSAGES = 5_000
SCHEME = "kafka://"


class RangeDecoder(Protocol):
    """Makes batches of messages; see `pipeline.codec.formats.Decoder`."""

    def decode(self, messages: Sequence[Message]) -> Batch:
        """The points in them."""

    @property
    def unit(self) -> str | None:
        """How event times are written."""


@dataclass(frozen=True, slots=True)
class TopicAddress:
    """What a user means by kafka://host:port,host:port/topic."""

    bootstrap: tuple[str, ...]
    topic: str

    @classmethod
    def parse(cls, url: str) -> "TopicAddress":
        """The address in a URL.

        Raises:
            InputError: it is not of that form.
        """
        hosts, _, topic = url.removeprefix(SCHEME).partition("/")
        bootstrap = tuple(host.strip() for host in hosts.split(",") if host.strip())
        if not url.startswith(SCHEME) or not bootstrap or not topic or "/" in topic:
            raise InputError(url, found="no address of a topic", expected="kafka://host:port/topic")
        return cls(bootstrap, topic)


@dataclass(frozen=True, slots=True)
class RangePartition:
    """A range of a partition; fulfils `pipeline.interfaces.Partition`.

    Attributes:
        name: number of the partition, as the live service names it.
        first, end: offsets; `end` is the first that is left out.
        within: range of event time of the points, the latter exclusive, whatever Kafka has for the times of the
            messages; points without a usable time are left out. None for all.
    """

    name: str
    path: Path
    first: int
    end: int
    topic: str
    points_per_message: int
    consumer: Callable[[], Any]
    make_decoder: Callable[[str | None], RangeDecoder]
    within: tuple[int, int] | None = None

    def batches(self, batch_size: int, *, after_row: int = 0) -> Iterator[Batch]:
        """Its points behind a position, in micro-batches of at most a size; see `pipeline.interfaces.Partition`.

        Raises:
            InputError: records were deleted before they were read.
            FeedError: the broker does not answer.
        """
        where = TopicPartition(self.topic, int(self.name))
        consumer = self.consumer()
        try:
            consumer.assign([where])
            decoder, start = self.make_decoder(None), self.first
            if after_row:
                decoder = self.make_decoder(self._unit(consumer, where))
                start = max(self.first, after_row // self.points_per_message)
            for messages in self._messages(consumer, where, start):
                batch = decoder.decode(messages)
                if after_row:
                    behind = int((batch.position <= after_row).sum())
                    batch = batch.slice(behind, len(batch))
                if self.within is not None:
                    from_us, until_us = self.within
                    timely = (batch.time_us >= from_us) & (batch.time_us < until_us)
                    batch = select(batch, has_time(batch) & timely)
                for at in range(0, len(batch), batch_size):
                    yield batch.slice(at, min(at + batch_size, len(batch)))
        finally:
            consumer.close(autocommit=False)

    def _unit(self, consumer: Any, where: Any) -> str | None:
        """How times are written, told as the first time: from the beginning of the range."""
        decoder = self.make_decoder(None)
        for messages in self._messages(consumer, where, self.first):
            decoder.decode(messages)
            if decoder.unit is not None:
                break
        return decoder.unit

    def _messages(self, consumer: Any, where: Any, start: int) -> Iterator[Sequence[Message]]:
        with told_as_feed_error(f"topic {self.topic}, reading partition {self.name}"):
            consumer.seek(where, start)
            while consumer.position(where, timeout_ms=_REQUEST_MS) < self.end:
                for polled in consumer.poll(timeout_ms=_POLL_MS, max_records=_MOST_MESSAGES).values():
                    messages = [message for message in polled if message.offset < self.end]
                    self._require(consumer, where, start)
                    if messages:
                        yield messages
                    start = polled[-1].offset + 1

    def _require(self, consumer: Any, where: Any, start: int) -> None:
        """Refuse a range whose beginning was deleted meanwhile."""
        first = consumer.beginning_offsets([where], timeout_ms=_REQUEST_MS)[where]
        if first > start:
            raise InputError(
                str(self.path),
                found=f"offsets {start} to {first - 1} deleted while they were to be read",
                expected="a topic that keeps its records for as long as the replay takes, or a later --from",
            )


@dataclass(frozen=True, slots=True)
class TopicSource:
    """The range of a topic that is replayed.

    Attributes:
        partitions: in the order of their numbers.
        fields: names of the values of each record.
        told: what is read, in words.
    """

    topic: str
    partitions: tuple[RangePartition, ...]
    fields: tuple[str, ...]
    points_per_message: int
    told: str

    @property
    def total_rows(self) -> int:
        """About how many messages there are, for a progress bar."""
        return sum(partition.end - partition.first for partition in self.partitions)


def open_topic(
    address: TopicAddress,
    connection: KafkaSettings,
    fields: tuple[str, ...],
    make_decoder: Callable[[str | None], RangeDecoder],
    *,
    points_per_message: int,
    told: str,
    from_us: int | None,
    to_us: int | None,
) -> TopicSource:
    """The records of a topic whose own times lie in a range; what comes later than now is left out.

    Args:
        make_decoder: a decoder for a partition, given the unit of its times where that is known.
        told: what is read, in words.
        from_us, to_us: microseconds since 1970-01-01 UTC, the latter exclusive; None for no bound.

    Raises:
        InputError: no such topic, or nothing in it in that range.
        FeedError: no broker answers.
    """

    def consumer() -> Any:
        return KafkaConsumer(
            **client_options(connection),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            allow_auto_create_topics=False,
            max_partition_fetch_bytes=2**22,
            metrics_enabled=False,
        )

    url = f"{SCHEME}{','.join(address.bootstrap)}/{address.topic}"
    with told_as_feed_error(url, connection):
        probe = consumer()
        try:
            known = probe.topics()
            if address.topic not in known:
                near = nearest(address.topic, known)
                raise InputError(url, found="no such topic", expected=f"one that exists{near}")
            ranges = _ranges(probe, address.topic, from_us, to_us)
        finally:
            probe.close(autocommit=False)
    if not any(end > first for first, end in ranges.values()):
        raise InputError(
            url,
            found="no records in that range of time",
            expected="some: --from and --to are the times that Kafka has of the records",
        )
    partitions = tuple(
        RangePartition(
            str(number), Path(f"{address.topic}/{number}"), first, end, address.topic, points_per_message, consumer,
            make_decoder,
        )
        for number, (first, end) in sorted(ranges.items())
        if end > first
    )  # fmt: skip
    return TopicSource(address.topic, partitions, fields, points_per_message, told)


def _ranges(consumer: Any, topic: str, from_us: int | None, to_us: int | None) -> dict[int, tuple[int, int]]:
    places = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
    first = consumer.beginning_offsets(places, timeout_ms=_REQUEST_MS)
    end = consumer.end_offsets(places, timeout_ms=_REQUEST_MS)

    def at(time_us: int, place: Any) -> int:
        """Offset of the first record at or behind a time."""
        found = consumer.offsets_for_times({place: -(-time_us // 1000)}, timeout_ms=_REQUEST_MS)[place]
        return int(end[place]) if found is None or found.offset < 0 else min(int(found.offset), int(end[place]))

    return {
        place.partition: (
            int(first[place]) if from_us is None else at(from_us, place),
            int(end[place]) if to_us is None else at(to_us, place),
        )
        for place in places
    }
