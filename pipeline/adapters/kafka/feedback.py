"""The topic of feedback: read whole from its beginning and then followed, without any group; and written to."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition, errors

from pipeline.adapters.kafka.connection import KafkaSettings, client_options, told_as_feed_error
from pipeline.codec.feedback import FeedbackLog
from pipeline.errors import InputError, nearest
from pipeline.feedback import Ranges

_REQUEST_MS = 30_000
_MOST_MESSAGES = 5_000
_WRITE_S = 30.0


class TopicReader:
    """Reads all that is committed in a topic, in the order of each partition. One thread uses it.

    Raises:
        FeedError: no broker answers.
        ConfigError: it refuses.
        InputError: there is no such topic.
    """

    def __init__(self, connection: KafkaSettings, topic: str) -> None:
        self._topic = topic
        self._connection = connection
        with self._telling():
            self._consumer: Any = KafkaConsumer(
                **client_options(connection),
                isolation_level="read_committed",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
            known = self._consumer.topics()
            if topic not in known:
                self.close()
                raise InputError(topic, found="no such topic", expected=f"one that exists{nearest(topic, known)}")
            self._places = [TopicPartition(topic, n) for n in sorted(self._consumer.partitions_for_topic(topic))]
            self._consumer.assign(self._places)
            self._consumer.seek_to_beginning(*self._places)
            self._ends = self._consumer.end_offsets(self._places, timeout_ms=_REQUEST_MS)

    @property
    def partitions(self) -> int:
        """That it has had when it was opened, all of which are read."""
        return len(self._places)

    def to_end(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Sequence[Any]]:
        """What was there when it was opened."""
        while not stop() and not self._is_behind():
            yield self.poll(0.5)

    def poll(self, timeout_s: float) -> list[Any]:
        """What has come since."""
        with self._telling():
            polled = self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=_MOST_MESSAGES)
        return [message for messages in polled.values() for message in messages]

    def close(self) -> None:
        """Let go of the connection."""
        with suppress(errors.KafkaError):
            self._consumer.close(autocommit=False)

    def _is_behind(self) -> bool:
        with self._telling():
            return all(
                self._consumer.position(place, timeout_ms=_REQUEST_MS) >= self._ends[place] for place in self._places
            )

    def _telling(self) -> Any:
        return told_as_feed_error(f"topic {self._topic}, reading", self._connection)


def read_feedback_topic(
    connection: KafkaSettings, topic: str, unusable: Callable[[str], None] = lambda _told: None
) -> Ranges:
    """What a topic says in the end.

    Args:
        unusable: told of each message of which nothing can be made, which is left out.

    Raises:
        FeedError: the brokers do not answer.
        ConfigError: they refuse.
        InputError: there is no such topic.
    """
    reader, log = TopicReader(connection, topic), FeedbackLog()
    try:
        for messages in reader.to_end():
            take_all(log, messages, unusable)
    finally:
        reader.close()
    return log.ranges()


def take_all(log: FeedbackLog, messages: Sequence[Any], unusable: Callable[[str], None]) -> None:
    """Take messages, telling of each of which nothing can be made where it is and why."""
    for message in messages:
        try:
            log.take(message.key, message.value)
        except ValueError as exc:
            unusable(f"{message.topic}/{message.partition}, offset {message.offset}: {exc}")


def write_feedback(connection: KafkaSettings, topic: str, feedback_id: str, content: bytes | None) -> None:
    """Write what is said under an id, or None to withdraw it, and wait until it is there.

    Raises:
        FeedError: the brokers do not answer.
        ConfigError: they refuse.
    """
    with told_as_feed_error(f"topic {topic}, writing", connection):
        producer: Any = KafkaProducer(
            **client_options(connection), acks="all", metrics_enabled=False, allow_auto_create_topics=False
        )
        try:
            producer.send(topic, content, feedback_id.encode()).get(_WRITE_S)
        finally:
            producer.close(timeout=5)
