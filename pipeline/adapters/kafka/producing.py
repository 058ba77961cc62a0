"""Messages to a topic, at a pace."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer, errors

from pipeline.adapters.kafka.connection import KafkaSettings, client_options, told_as_feed_error
from pipeline.adapters.kafka.ending import end_at_once
from pipeline.adapters.kafka.refusals import cause
from pipeline.errors import FeedError, InputError, nearest

_LARGEST = 2**25
_ARRIVAL_S = 60.0
"""Most time that is waited for messages to arrive at the end."""


class TopicProducer:
    """Sends messages to a topic; the same key always goes to the same partition.

    Args:
        partitions: of the topic, if it is to be made where it is missing; 0 for not.

    Raises:
        FeedError: no broker answers.
        ConfigError: it refuses.
        InputError: there is no such topic, or it cannot be made.
    """

    def __init__(self, connection: KafkaSettings, topic: str, *, partitions: int = 0) -> None:
        self._topic = topic
        self._connection = connection
        self._moving = threading.Condition()
        self._left = 0
        self._failed: BaseException | None = None
        options = client_options(connection)
        with told_as_feed_error(f"topic {topic}", connection):
            admin: Any = KafkaAdminClient(**options)
            try:
                _require_topic(admin, topic, partitions)
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
            InputError: one is longer than the topic takes.
        """
        with self._telling():
            for key, content in messages:
                self._producer.send(self._topic, content, key).add_callback(self._arrive).add_errback(self._fail)
                with self._moving:
                    self._left += 1
            self._require()

    def close(self) -> None:
        """Wait until all have arrived; raises as `send` does."""
        arrived = False
        try:
            with self._telling(), self._moving:
                # not by kafka-python's flush (3.0.12), which fails when a batch was cut in two to fit
                if not self._moving.wait_for(lambda: self._left == 0 or self._failed, _ARRIVAL_S):
                    raise errors.KafkaTimeoutError(f"{self._left} messages have not arrived in {_ARRIVAL_S:.0f} s")
                self._require()
            arrived = True
        finally:
            if arrived:
                with suppress(errors.KafkaError):
                    self._producer.close(timeout=10)
            else:
                end_at_once(self._producer)

    def _arrive(self, _metadata: Any) -> None:
        with self._moving:
            self._left -= 1
            self._moving.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._moving:
            self._left -= 1
            self._failed = self._failed or error
            self._moving.notify_all()

    def _require(self) -> None:
        if self._failed is not None:
            raise self._failed

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            with told_as_feed_error(f"topic {self._topic}, writing", self._connection):
                yield
        except FeedError as exc:
            if not isinstance(exc.__cause__, errors.MessageSizeTooLargeError | errors.RecordListTooLargeError):
                raise
            raise InputError(
                self._topic,
                found=f"that it does not take a message as long as there is one ({cause(exc.__cause__)})",
                expected="fewer --points-per-message, or a larger max.message.bytes of the topic",
            ) from exc


def _require_topic(admin: Any, topic: str, partitions: int) -> None:
    """Make the topic, if it is missing and to be made.

    Raises:
        InputError: it is missing, and stays so.
    """
    known = admin.list_topics()
    if topic in known:
        return
    if not partitions:
        near = nearest(topic, known)
        raise InputError(topic, found="no such topic", expected=f"one that exists, or --partitions N{near}")
    made = admin.create_topics({topic: {"num_partitions": partitions}}, raise_errors=False)["topics"][0]
    kind = errors.for_code(made["error_code"])
    if kind not in {errors.NoError, errors.TopicAlreadyExistsError}:
        text = made["error_message"] or kind.__name__
        raise InputError(topic, found=f"no such topic, and none can be made ({text})", expected="one that exists")
    admin.wait_for_topics([topic])
