"""What a member of the service reads, writes and keeps its state with, as configured."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer

from pipeline.adapters.kafka.connection import KafkaSettings, client_options
from pipeline.adapters.kafka.feed import FeedSettings, KafkaFeed
from pipeline.adapters.kafka.instance import claim_instance
from pipeline.adapters.kafka.outbox import KafkaOutbox, OutboxSettings
from pipeline.adapters.state.files import FileStateStore
from pipeline.adapters.state.topic import TopicStateStore
from pipeline.config import Config
from pipeline.errors import CheckpointError, DriftlineError
from pipeline.interfaces import Outbox, StateStore


def instance_of(config: Config, worker: int | None) -> str | None:
    """Name of the static member; each worker of a supervisor has its own."""
    instance = config.kafka.instance
    return instance if instance is None or worker is None else f"{instance}-{worker}"


def make_feed(config: Config, connection: KafkaSettings, instance: str | None) -> KafkaFeed:
    """What reads the topics, as a member of the group.

    Args:
        config: names topics and group.
        connection: to the brokers.
        instance: name of the static member; None for none.
    """
    kafka = config.kafka
    settings = FeedSettings(
        group=kafka.group,
        topics=config.input.topics,
        pattern=config.input.pattern,
        instance=instance,
        session_timeout_ms=int(kafka.session_timeout.total_seconds() * 1000),
        max_poll_interval_ms=int(kafka.max_poll_interval.total_seconds() * 1000),
        fetch_bytes=kafka.fetch_bytes,
        partition_fetch_bytes=kafka.partition_fetch_bytes,
    )
    return KafkaFeed(connection, settings)


@contextmanager
def open_outbox(
    config: Config, connection: KafkaSettings, feed: KafkaFeed, instance: str | None, limits: Mapping[str, int]
) -> Iterator[KafkaOutbox]:
    """What writes, in transactions that the feed's position goes with.

    Args:
        config: names the group, and how it is written.
        connection: to the brokers.
        feed: the member that the transactions are of.
        instance: name of the static member; None for none.
        limits: most bytes of a message by topic.
    """
    kafka = config.kafka
    with ExitStack() as held:
        if instance is not None:
            name = f"{kafka.group}-{instance}"
        else:
            name = held.enter_context(claim_instance(kafka.group, Path(tempfile.gettempdir()) / "driftline-instances"))
        settings = OutboxSettings(
            transactional_id=name,
            timeout_ms=int(kafka.transaction_timeout.total_seconds() * 1000),
            compression=None if kafka.compression == "none" else kafka.compression,
            limits=limits,
        )
        outbox = KafkaOutbox(connection, settings, lambda: feed.group_metadata)
        held.callback(outbox.close)
        yield outbox


def make_store(config: Config, connection: KafkaSettings, outbox: Outbox) -> StateStore:
    """Where the configuration says that snapshots are kept.

    Raises:
        ConfigError: no such kind of store.
        DriftlineError: a folder that cannot be written and read.
    """
    if config.state.store != "kafka":
        store = FileStateStore(config.state.store, config.kafka.group)
        try:
            store.probe()
        except CheckpointError as exc:
            raise DriftlineError(str(exc)) from exc  # it may pass, and is worth another start
        return store

    def consumer() -> Any:
        return KafkaConsumer(
            **client_options(connection),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_bytes=2**25,
            max_partition_fetch_bytes=2**23,
            metrics_enabled=False,
        )

    return TopicStateStore(outbox, config.state.topic, config.kafka.group, consumer)


def quietly(close: Callable[[], None]) -> Callable[[], None]:
    """Closing twice, or without a broker, is no trouble at the end."""

    def closing() -> None:
        with suppress(Exception):
            close()

    return closing
