"""Transactions: messages and the group's offsets, visible together or not at all."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kafka import KafkaProducer, TopicPartition, codec, errors
from kafka.structs import OffsetAndMetadata

from pipeline.adapters.kafka.connection import KafkaSettings, client_options
from pipeline.adapters.kafka.refusals import no_permission
from pipeline.adapters.kafka.waiting import end_producer, within
from pipeline.errors import ConfigError, FencedError, TooLongError, TransactionError
from pipeline.interfaces import Headers
from pipeline.records import Place, Position

LARGEST_MESSAGE = 2**25
_BATCH_BYTES = 2**18
_FRAME_BYTES = 2**8
"""More than a batch and a record take beside what is in them."""
_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": codec.gzip_encode, "snappy": codec.snappy_encode, "lz4": codec.lz4_encode, "zstd": codec.zstd_encode,
}  # fmt: skip
_RECEIPT_S = 60.0


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """How transactions are made.

    Attributes:
        transactional_id: of this process; another that takes it puts an end to what this one has begun.
        timeout_ms: age at which the broker ends a transaction.
        compression: of messages; None for none.
        answer_s: most time for a step of a transaction; behind it the transaction has failed.
        limits: max.message.bytes of topics, where known.
    """

    transactional_id: str
    timeout_ms: int = 15_000
    compression: str | None = "lz4"
    answer_s: float = 60.0
    limits: Mapping[str, int] = field(default_factory=dict)


class KafkaReceipt:
    """Tells where a message has come to lie."""

    def __init__(self, future: Any) -> None:
        self._future = future

    def offset(self) -> int:
        """Its offset."""
        return int(self._future.get(timeout=_RECEIPT_S).offset)


class KafkaOutbox:
    """Fulfils `pipeline.interfaces.Outbox` by a transactional producer.

    Whatever goes wrong, the producer is given up and the next transaction is another's: kafka-python (3.0.12) sends
    offsets that were refused along with those of the next transaction, which by then may be another member's. The one
    that follows ends, by the same transactional id, what the one before has left unfinished.

    Args:
        group_metadata: gives who the member of the group is just now, as kafka-python tells it, or raises
            `TransactionError` where it holds nothing.

    Raises:
        TransactionError: no broker answers.
    """

    def __init__(self, connection: KafkaSettings, settings: OutboxSettings, group_metadata: Callable[[], Any]) -> None:
        self._connection = connection
        self._settings = settings
        self._group_metadata = group_metadata
        self._producer: Any = None
        self._is_open = False
        self._futures: list[Any] = []
        self._partitions: dict[str, int] = {}
        self._fenced_once = False
        self._is_closed = False
        self._aborted = 0
        self._connect()

    def send(
        self, topic: str, partition: int, *, key: bytes | None, value: bytes | None, headers: Headers = ()
    ) -> KafkaReceipt:
        """See `pipeline.interfaces.Outbox.send`."""
        self._require_room(topic, key, value, headers)
        with self._telling(topic):
            self._begin()
            count = self._partitions.get(topic)
            if count is None:
                count = self._partitions[topic] = len(self._producer.partitions_for(topic))
            future = self._producer.send(topic, value, key, list(headers), partition % count)
        self._futures.append(future)
        return KafkaReceipt(future)

    def commit(self, positions: Mapping[Place, Position]) -> None:
        """See `pipeline.interfaces.Outbox.commit`."""
        if not positions and not self._is_open:
            return
        with self._telling():
            self._begin()
            self._flush()
            if positions:
                offsets = {
                    TopicPartition(*place): OffsetAndMetadata(at.offset, at.note, -1) for place, at in positions.items()
                }
                member, producer = self._group_metadata(), self._producer
                within(self._settings.answer_s, lambda: producer.send_offsets_to_transaction(offsets, member))
            within(self._settings.answer_s, self._producer.commit_transaction)
        self._is_open = False
        self._futures.clear()
        self._fenced_once = False

    def flush(self) -> None:
        """Have the broker take what was sent, which readers of committed messages do not see yet.

        Raises:
            TransactionError: as for `commit`.
        """
        with self._telling():
            self._flush()

    def abort(self) -> None:
        """See `pipeline.interfaces.Outbox.abort`."""
        if self._is_open:
            self._give_up()

    @property
    def aborted(self) -> int:
        """See `pipeline.interfaces.Outbox.aborted`."""
        return self._aborted

    def close(self) -> None:
        """Abort, and let go of the connection; nothing can be committed any more."""
        self._is_closed = True
        producer, self._producer = self._producer, None
        if producer is None:
            return
        if self._is_open:
            end_producer(producer, abort=True)
        else:
            end_producer(producer)
        self._is_open = False
        self._futures.clear()

    def _require_room(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        """Refuse a message that the broker would refuse along with the whole transaction."""
        limit = self._settings.limits.get(topic, LARGEST_MESSAGE)
        if not headers and len(key or b"") + len(value or b"") + _FRAME_BYTES <= min(limit, LARGEST_MESSAGE):
            return
        own = [part for name, content in headers for part in (name.encode(), content)]
        size = sum(map(len, (key or b"", value or b"", *own))) + _FRAME_BYTES
        if size <= min(limit, LARGEST_MESSAGE):
            return
        compress = _COMPRESS.get(self._settings.compression or "")
        if size <= LARGEST_MESSAGE and compress is not None:
            size = len(compress(b"".join((key or b"", value or b"", *own)))) + _FRAME_BYTES
            if size <= limit:
                return
        raise TooLongError(topic, size, min(limit, LARGEST_MESSAGE))

    def _flush(self) -> None:
        deadline = time.monotonic() + self._settings.answer_s
        while True:
            try:
                self._producer.flush(max(deadline - time.monotonic(), 0.0))
                break
            except errors.UnknownError:
                # kafka-python's (3.0.12) word for a batch that was cut in two to fit, which it goes on sending
                if time.monotonic() > deadline:
                    raise
        for future in self._futures:
            if not future.succeeded():
                raise future.exception or errors.KafkaTimeoutError("a message was not sent in time")

    def _begin(self) -> None:
        if self._is_closed:
            raise TransactionError("found the outbox closed; expected no commit behind that")
        if self._producer is None:
            self._connect()
        if not self._is_open:
            self._producer.begin_transaction()
            self._is_open = True

    def _connect(self) -> None:
        options = client_options(self._connection) | {
            "transactional_id": self._settings.transactional_id,
            "transaction_timeout_ms": self._settings.timeout_ms,
            "compression_type": self._settings.compression,
            "linger_ms": 20,
            "batch_size": min([_BATCH_BYTES, *self._settings.limits.values()]),
            "max_request_size": LARGEST_MESSAGE,
            "delivery_timeout_ms": 60_000,
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
        }
        with self._telling():
            self._producer = KafkaProducer(**options)
            self._producer.init_transactions()

    @contextmanager
    def _telling(self, topic: str = "") -> Iterator[None]:
        """Tells failures as `TransactionError`, and leaves an outbox that can be used again.

        The broker's word for a second holder of the id is also that for a transaction that took too long, so only when
        it comes twice with no commit in between is it taken for the former.
        """
        try:
            yield
        except (errors.ProducerFencedError, errors.InvalidProducerEpochError) as exc:
            self._give_up()
            again, self._fenced_once = self._fenced_once, True
            if again:
                raise FencedError(
                    f"transactional id {self._settings.transactional_id}: found another process using it; expected "
                    "each to have its own: give them different names by instance in [kafka]"
                ) from exc
            raise TransactionError(f"found the transaction ended by the broker ({exc})") from exc
        except errors.FencedInstanceIdError as exc:
            self._give_up()
            raise FencedError(
                "found another process that goes by this one's instance; expected each to have its own: give them "
                "different names by instance in [kafka]"
            ) from exc
        except errors.AuthorizationError as exc:
            self._give_up()
            raise ConfigError(f"Kafka, writing: {no_permission(exc, self._settings.transactional_id)}") from exc
        except (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError) as exc:
            self._give_up()
            where = f"topic {topic}" if topic else "a topic of [output] or [state]"
            raise ConfigError(
                f"{where}: found that it does not take a message as long as there is one ({exc}); expected a larger "
                "max.message.bytes: raise it"
            ) from exc
        except TransactionError:
            self._give_up()
            raise
        except (errors.KafkaError, OSError, TypeError, ValueError, RuntimeError, AssertionError) as exc:
            # the last four are how kafka-python tells of a connection or a producer that went away meanwhile
            self._give_up()
            raise TransactionError(f"found the transaction failing ({type(exc).__name__}: {exc})") from exc

    def _give_up(self) -> None:
        """Let go of the producer; the next one aborts its transaction."""
        producer, self._producer = self._producer, None
        self._aborted += self._is_open
        self._is_open = False
        self._futures.clear()
        self._partitions.clear()
        if producer is not None:
            end_producer(producer)
