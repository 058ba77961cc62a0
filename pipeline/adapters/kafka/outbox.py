"""Transactions: messages and the group's offsets, visible together or not at all."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from kafka import KafkaProducer, TopicPartition, errors
from kafka.structs import OffsetAndMetadata

from pipeline.adapters.kafka.connection import KafkaSettings, client_options
from pipeline.errors import ConfigError, FencedError, TransactionError
from pipeline.interfaces import Headers
from pipeline.records import Place, Position

LARGEST_MESSAGE = 2**25
_FLUSH_S = 60.0


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """How transactions are made.

    Attributes:
        transactional_id: of this process; another that takes it puts an end to what this one has begun.
        timeout_ms: age at which the broker ends a transaction.
        compression: of messages; None for none.
    """

    transactional_id: str
    timeout_ms: int = 15_000
    compression: str | None = "lz4"


class KafkaReceipt:
    """Tells where a message has come to lie."""

    def __init__(self, future: Any) -> None:
        self._future = future

    def offset(self) -> int:
        """Its offset."""
        return int(self._future.get(timeout=_FLUSH_S).offset)


class KafkaOutbox:
    """Fulfils `pipeline.interfaces.Outbox` by a transactional producer.

    Args:
        group_metadata: gives who the member of the group is just now, as kafka-python tells it.

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
        self._fenced_once = False
        self._connect()

    def send(
        self, topic: str, partition: int, *, key: bytes | None, value: bytes | None, headers: Headers = ()
    ) -> KafkaReceipt:
        """See `pipeline.interfaces.Outbox.send`."""
        with self._telling():
            self._begin()
            count = len(self._producer.partitions_for(topic))
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
                self._producer.send_offsets_to_transaction(offsets, self._group_metadata())
            self._producer.commit_transaction()
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
        if self._is_open and self._producer is not None:
            try:
                self._producer.abort_transaction()
            except Exception:  # noqa: BLE001  whatever it is: the broker ends the transaction when a new producer comes
                self._discard()
        self._is_open = False
        self._futures.clear()

    def close(self) -> None:
        """Abort, and let go of the connection."""
        self.abort()
        self._discard()

    def _flush(self) -> None:
        self._producer.flush(_FLUSH_S)
        for future in self._futures:
            if not future.succeeded():
                raise future.exception or errors.KafkaTimeoutError("a message was not sent in time")

    def _begin(self) -> None:
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
            "batch_size": 2**18,
            "max_request_size": LARGEST_MESSAGE,
            "delivery_timeout_ms": 60_000,
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
        }
        with self._telling():
            self._producer = KafkaProducer(**options)
            self._producer.init_transactions()

    def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(Exception):
                producer.close(timeout=1)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Tells failures as `TransactionError`, and leaves an outbox that can be used again.

        The broker's word for a second holder of the id is also that for a transaction that took too long, so only when
        it comes twice with no commit in between is it taken for the former.
        """
        try:
            yield
        except (errors.ProducerFencedError, errors.InvalidProducerEpochError) as exc:
            self._fail()
            again, self._fenced_once = self._fenced_once, True
            if again:
                raise FencedError(
                    f"transactional id {self._settings.transactional_id}: found another process using it; expected "
                    "each to have its own: give them different names by instance in [kafka]"
                ) from exc
            raise TransactionError(f"found the transaction ended by the broker ({exc})") from exc
        except errors.AuthorizationError as exc:
            self._fail()
            raise ConfigError(f"Kafka, writing: found no permission ({exc}); expected an ACL that allows it") from exc
        except (errors.KafkaError, OSError, TypeError, AssertionError) as exc:
            self._fail()
            raise TransactionError(f"found the transaction failing ({type(exc).__name__}: {exc})") from exc

    def _fail(self) -> None:
        """Abort if that can be done, and otherwise begin with a new producer the next time."""
        if self._producer is None:
            return
        try:
            if self._is_open:
                self._producer.abort_transaction()
        except Exception:  # noqa: BLE001  as in `abort`
            self._discard()
        self._is_open = False
        self._futures.clear()
