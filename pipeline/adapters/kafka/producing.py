"""Messages to a topic, at a pace."""

from collections.abc import Iterable
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer

from pipeline.adapters.kafka.connection import KafkaSettings, client_options, told_as_feed_error
from pipeline.errors import InputError, nearest

_LARGEST = 2**25


class TopicProducer:
    """Sends messages to a topic; the same key always goes to the same partition.

    Args:
        partitions: of the topic, if it is to be made where it is missing; 0 for not.

    Raises:
        FeedError: no broker answers.
        InputError: there is no such topic.
    """

    def __init__(self, connection: KafkaSettings, topic: str, *, partitions: int = 0) -> None:
        self._topic = topic
        self._connection = connection
        self._failed: BaseException | None = None
        options = client_options(connection)
        with told_as_feed_error(f"topic {topic}", connection):
            admin: Any = KafkaAdminClient(**options)
            try:
                known = admin.list_topics()
                if topic not in known and partitions:
                    admin.create_topics({topic: {"num_partitions": partitions}}, wait_for_metadata=True)
                elif topic not in known:
                    near = nearest(topic, known)
                    raise InputError(topic, found="no such topic", expected=f"one that exists, or --partitions N{near}")
            finally:
                admin.close()
            self._producer: Any = KafkaProducer(
                **options,
                linger_ms=20,
                batch_size=2**18,
                compression_type="lz4",
                max_request_size=_LARGEST,
                metrics_enabled=False,
            )

    def send(self, messages: Iterable[tuple[bytes, bytes]]) -> None:
        """Send (key, content) of each.

        Raises:
            FeedError: one sent earlier has not arrived.
        """
        with told_as_feed_error(f"topic {self._topic}, writing", self._connection):
            for key, content in messages:
                self._producer.send(self._topic, content, key).add_errback(self._fail)
            self._require()

    def close(self) -> None:
        """Wait until all have arrived."""
        with told_as_feed_error(f"topic {self._topic}, writing", self._connection):
            self._producer.flush(60)
            self._producer.close(timeout=10)
            self._require()

    def _fail(self, error: BaseException) -> None:
        self._failed = self._failed or error

    def _require(self) -> None:
        if self._failed is not None:
            raise self._failed
