"""A topic followed as it grows, without any group: what lies at its end, and what comes."""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from kafka import KafkaConsumer, TopicPartition

from pipeline.adapters.kafka.connection import KafkaSettings, client_options, told_as_feed_error
from pipeline.errors import InputError, nearest
from pipeline.interfaces import Message

_POLL_MS = 500
_REQUEST_MS = 30_000


class TopicFollower:
    """Reads committed messages of all partitions of a topic; to be closed.

    Raises:
        InputError: no such topic.
        FeedError: no broker answers.
    """

    def __init__(self, connection: KafkaSettings, topic: str) -> None:
        self._topic = topic
        self._connection = connection
        with told_as_feed_error(f"topic {topic}", connection):
            self._consumer: Any = KafkaConsumer(
                **client_options(connection),
                isolation_level="read_committed",
                enable_auto_commit=False,
                auto_offset_reset="earliest",  # of what was deleted meanwhile
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
            known = self._consumer.topics()
            if topic not in known:
                self._consumer.close(autocommit=False)
                raise InputError(
                    f"topic {topic}",
                    found="that there is none of this name",
                    expected=f"the topic of anomalies that `driftline serve` writes{nearest(topic, known)}",
                )
            self._places = [TopicPartition(topic, number) for number in self._consumer.partitions_for_topic(topic)]
            self._consumer.assign(self._places)
            self._first = self._consumer.beginning_offsets(self._places, timeout_ms=_REQUEST_MS)
            self._end = self._consumer.end_offsets(self._places, timeout_ms=_REQUEST_MS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close(autocommit=False)

    def newest(self, offsets: int) -> tuple[list[Message], bool]:
        """Messages among so many of the newest offsets of each partition, and whether these are all that there are.

        Marks of transactions take offsets too, so there may be fewer messages. `come` goes on behind them.
        """
        found: list[Message] = []
        with told_as_feed_error(f"topic {self._topic}", self._connection):
            start = {place: max(self._first[place], self._end[place] - offsets) for place in self._places}
            for place in self._places:
                self._consumer.seek(place, start[place])
            while any(
                self._consumer.position(place, timeout_ms=_REQUEST_MS) < self._end[place] for place in self._places
            ):
                found += self._poll()
        return found, all(start[place] == self._first[place] for place in self._places)

    def skip_to(self, from_us: int) -> None:
        """Have `come` begin with what Kafka has from a time on, in microseconds since 1970-01-01 UTC."""
        with told_as_feed_error(f"topic {self._topic}", self._connection):
            at = self._consumer.offsets_for_times(
                dict.fromkeys(self._places, -(-from_us // 1000)), timeout_ms=_REQUEST_MS
            )
            for place in self._places:
                known = at[place] is not None and at[place].offset >= 0
                self._consumer.seek(place, at[place].offset if known else self._end[place])

    def come(self) -> Iterator[Sequence[Message]]:
        """What comes, without end; nothing every so often, so that whoever asks can stop."""
        while True:
            with told_as_feed_error(f"topic {self._topic}", self._connection):
                messages = self._poll()
            yield messages

    @property
    def is_caught_up(self) -> bool:
        """Whether all has come that was there at first."""
        with told_as_feed_error(f"topic {self._topic}", self._connection):
            return all(
                self._consumer.position(place, timeout_ms=_REQUEST_MS) >= self._end[place] for place in self._places
            )

    def _poll(self) -> list[Message]:
        polled = self._consumer.poll(timeout_ms=_POLL_MS)
        return sorted((message for part in polled.values() for message in part), key=lambda one: one.timestamp)
