"""What `driftline check` asks of the brokers: limits, reading, writing. It joins no group and commits nothing."""

import socket
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError

from pipeline.adapters.kafka.connection import KafkaSettings, client_options, told_as_feed_error
from pipeline.adapters.kafka.waiting import end_producer, within
from pipeline.cli.timeouts import BROKER_LIMITS
from pipeline.cli.workshop import message_format
from pipeline.codec.decoding import make_decoder
from pipeline.config import Config
from pipeline.records import Place, Position

Told = tuple[str, str]
"""('ok', 'info', 'warning' or 'error', text)."""
_REQUEST_MS = 15_000
_FETCH_S = 3.0
_NEWEST = 50
_NAMED = 5


@dataclass(slots=True)
class Inputs:
    """What is found of the input.

    Attributes:
        partitions: by topic.
        committed: by the group.
    """

    partitions: dict[str, int] = field(default_factory=dict)
    committed: dict[Place, Position] = field(default_factory=dict)


def broker_limits(connection: KafkaSettings) -> dict[str, int]:
    """Milliseconds by name of setting, as far as a broker tells them.

    Raises:
        FeedError: no broker answers.
        ConfigError: it refuses the credentials.
    """
    with told_as_feed_error("Kafka, connecting", connection):
        admin: Any = KafkaAdminClient(**client_options(connection))
    try:
        node = str(admin.describe_cluster()["brokers"][0]["broker_id"])
        asked = [ConfigResource(ConfigResourceType.BROKER, node, configs=list(BROKER_LIMITS))]
        found = admin.describe_configs(asked, config_filter="all")["broker"][node]
    except (KafkaError, KeyError, IndexError):
        return {}  # not every client may ask for them
    finally:
        admin.close()
    return {name: int(found[name]["value"]) for name in BROKER_LIMITS if name in found}


def reading(config: Config, connection: KafkaSettings, inputs: Inputs) -> Iterator[Told]:
    """Whether every partition can be read, what is in it, and where the group is; fetches take three seconds at most.

    Raises:
        FeedError: the brokers do not answer.
        ConfigError: they do not permit it.
    """
    places = [TopicPartition(topic, n) for topic, count in sorted(inputs.partitions.items()) for n in range(count)]
    if not places:
        return
    with told_as_feed_error("reading", connection):
        consumer: Any = KafkaConsumer(
            **client_options(connection), group_id=config.kafka.group, enable_auto_commit=False,
            auto_offset_reset="none", isolation_level="read_committed", metrics_enabled=False,
        )  # fmt: skip
        try:
            consumer.assign(places)
            first = consumer.beginning_offsets(places, timeout_ms=_REQUEST_MS)
            end = consumer.end_offsets(places, timeout_ms=_REQUEST_MS)
            newest, unread = _newest(consumer, first, end)
            for place in places:
                at = consumer.committed(place, metadata=True, timeout_ms=_REQUEST_MS)
                if at is not None and at.offset >= 0:
                    inputs.committed[Place(*place)] = Position(at.offset, at.metadata or "")
        finally:
            consumer.close(autocommit=False)
    for topic, count in sorted(inputs.partitions.items()):
        filled = sum(end[place] > first[place] for place in places if place.topic == topic)
        read = filled - sum(place.topic == topic for place in unread)
        told = f"a record read from {read} of {filled} that have some, {count - filled} empty"
        yield "ok", f"{topic}: {count} partitions, {told}; {_told_lag(topic, inputs, end)}"
    if unread:
        yield "warning", f"{_names(unread)}: found no record in {_FETCH_S:g} s; expected some: are their leaders up?"
    yield from _expired(config, inputs, first, end)
    yield from _understood(config, newest)


def _newest(
    consumer: Any, first: Mapping[Any, int], end: Mapping[Any, int]
) -> tuple[Mapping[Any, Sequence[Any]], list[Any]]:
    """(messages near the end, partitions that should have given some and did not)."""
    for place in first:
        consumer.seek(place, max(first[place], end[place] - _NEWEST))
    waiting = {place for place in first if end[place] > first[place]}
    newest: dict[Any, list[Any]] = defaultdict(list)
    deadline = time.monotonic() + _FETCH_S
    while waiting and (left := deadline - time.monotonic()) > 0:
        for place, messages in consumer.poll(timeout_ms=int(left * 1000), max_records=500).items():
            newest[place] += messages
            waiting.discard(place)
        # what is left there may be marks of transactions alone
        waiting = {place for place in waiting if consumer.position(place, timeout_ms=_REQUEST_MS) < end[place]}
    return newest, sorted(waiting)


def _told_lag(topic: str, inputs: Inputs, end: Mapping[Any, int]) -> str:
    known = {place: at for place, at in inputs.committed.items() if place.topic == topic}
    if not known:
        return "the group has no offset yet"
    lag = sum(max(end[TopicPartition(*place)] - at.offset, 0) for place, at in known.items())
    none = inputs.partitions[topic] - len(known)
    return f"the group is {lag:,} records behind" + (f", without an offset in {none}" if none else "")


def _expired(config: Config, inputs: Inputs, first: Mapping[Any, int], end: Mapping[Any, int]) -> Iterator[Told]:
    level = "error" if config.input.on_expired == "stop" else "warning"
    for place, at in sorted(inputs.committed.items()):
        begin, behind = first[TopicPartition(*place)], end[TopicPartition(*place)]
        if not begin <= at.offset <= behind:
            yield (
                level,
                (
                    f"{place.topic}/{place.partition}: found the group at offset {at.offset} of a log from {begin} to "
                    f'{behind}; expected it to be there: with on_expired = "continue" in [input] the service goes on '
                    "without what is gone"
                ),
            )


def _understood(config: Config, newest: Mapping[Any, Sequence[Any]]) -> Iterator[Told]:
    """Whether points can be made of some records, by the decoder that the service uses."""
    layout = message_format(config)
    points, unusable, example = 0, 0, ""
    for place, messages in sorted(newest.items()):
        batch = make_decoder(layout).decode(messages)
        empty = np.flatnonzero(~np.isfinite(batch.values).any(axis=1))
        points += len(batch)
        unusable += len(empty)
        if len(empty) and not example:
            told = {problem.index: f"{problem.reason}: {problem.found}" for problem in batch.problems}
            missing = f"missing: no {', '.join(layout.value_fields)}"
            example = f"{told.get(int(empty[0]), missing)}, in {place.topic}/{place.partition}"
    if unusable:
        yield (
            "warning",
            (
                f"{unusable:,} of the newest {points:,} points are for the dead letters: found {example}; expected "
                "what [source] and [input] say"
            ),
        )
    elif points:
        yield "ok", f"the newest {points:,} points are understood as {layout.kind}"


def writing(config: Config, connection: KafkaSettings, topics: Collection[str]) -> Iterator[Told]:
    """Whether transactions over topics and the group's offsets can be made: one is begun and taken back.

    A broker that goes away in the middle ends the transaction by itself when it is back.

    Raises:
        FeedError: the brokers do not answer, in 15 seconds for each step.
        ConfigError: they do not permit it.
    """
    group = config.kafka.group
    name = f"{group}-check-{socket.gethostname()}"  # the same each time, so that brokers keep one such name
    with told_as_feed_error(f"transactional id {name}", connection):
        producer: Any = KafkaProducer(
            **client_options(connection),
            transactional_id=name,
            transaction_timeout_ms=_REQUEST_MS,
            delivery_timeout_ms=_REQUEST_MS,
            request_timeout_ms=_REQUEST_MS - 1000,
            max_block_ms=_REQUEST_MS,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
    answer_s = _REQUEST_MS / 1000 - 2  # before the client gives up a request of a transaction and tells less of it
    try:
        with told_as_feed_error(f"transactional id {name}", connection):
            producer.init_transactions()
            producer.begin_transaction()
        for topic in sorted(topics):
            with told_as_feed_error(f"topic {topic}, writing", connection):
                sent = producer.send(topic, b"{}", b"driftline-check", partition=0)
                producer.flush(answer_s)
                sent.get(1)
        with told_as_feed_error(f"group {group}, committing offsets in a transaction", connection):
            # of no partition, so that none can be left behind
            within(answer_s, lambda: producer.send_offsets_to_transaction({}, group))
        with told_as_feed_error(f"transactional id {name}, taking a transaction back", connection):
            within(answer_s, producer.abort_transaction)
    except BaseException:
        end_producer(producer, abort=True)
        raise
    end_producer(producer)
    yield "ok", f"a transaction over {len(topics)} topics and the offsets of group {group} was begun and taken back"


def _names(places: Sequence[Any]) -> str:
    named = ", ".join(f"{place.topic}/{place.partition}" for place in places[:_NAMED])
    return named + (f" and {len(places) - _NAMED} more" if len(places) > _NAMED else "")
