"""Messages to a topic of a real broker."""

import gc
import sys
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from pipeline.adapters.kafka import producing
from pipeline.adapters.kafka.connection import KafkaSettings
from pipeline.adapters.kafka.producing import TopicProducer
from pipeline.errors import FeedError, InputError
from tests.kafka_broker import Broker, create_topic

pytestmark = pytest.mark.kafka


def _partitions(bootstrap: str, topic: str) -> int:
    admin: Any = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        (found,) = admin.describe_topics([topic])
    finally:
        admin.close()
    return len(found["partitions"])


def _contents(bootstrap: str, topic: str, partitions: int) -> dict[int, list[tuple[bytes, bytes]]]:
    """(key, content) of each message by partition, in order."""
    consumer: Any = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    places = [TopicPartition(topic, number) for number in range(partitions)]
    got: dict[int, list[tuple[bytes, bytes]]] = {number: [] for number in range(partitions)}
    try:
        consumer.assign(places)
        consumer.seek_to_beginning()
        left = sum(consumer.end_offsets(places).values())
        while left:
            for place, messages in consumer.poll(500).items():
                got[place.partition] += [(one.key, one.value) for one in messages]
                left -= len(messages)
    finally:
        consumer.close(autocommit=False)
    return got


def test_messages_of_a_key_keep_their_order_and_their_partition(bootstrap: str) -> None:
    """A topic is made as asked for, all that is sent arrives, and a key stays in a partition, also for the next one."""
    topic = uuid.uuid4().hex
    sent: dict[bytes, list[bytes]] = {b"key-%d" % n: [] for n in range(20)}
    for part in range(2):
        producer = TopicProducer(KafkaSettings((bootstrap,)), topic, partitions=3)
        for n in range(500):
            messages = [(key, b"%d.%d" % (part, n)) for key in sent]
            for key, content in messages:
                sent[key].append(content)
            producer.send(messages)
        producer.close()
    assert _partitions(bootstrap, topic) == 3
    got: dict[bytes, list[bytes]] = {}
    for messages in _contents(bootstrap, topic, 3).values():
        assert messages
        here: dict[bytes, list[bytes]] = {}
        for key, content in messages:
            here.setdefault(key, []).append(content)
        assert not here.keys() & got.keys(), "a key in two partitions"
        got |= here
    assert got == sent


def test_a_topic_that_is_missing_is_told(bootstrap: str) -> None:
    """With the one that was probably meant; nothing is made unasked."""
    name = uuid.uuid4().hex
    create_topic(bootstrap, f"{name}-metrics", 2)
    with pytest.raises(InputError) as raised:
        TopicProducer(KafkaSettings((bootstrap,)), f"{name}-metrisc")
    assert str(raised.value) == (
        f"{name}-metrisc: found no such topic; expected one that exists, or --partitions N; did you mean "
        f"'{name}-metrics'?"
    )
    with pytest.raises(InputError, match="no such topic"):
        TopicProducer(KafkaSettings((bootstrap,)), f"{name}-metrisc")
    TopicProducer(KafkaSettings((bootstrap,)), f"{name}-metrics", partitions=5).close()
    assert _partitions(bootstrap, f"{name}-metrics") == 2


@pytest.mark.parametrize(
    ("topic", "partitions", "reason"), [("a b", 1, "ASCII alphanumerics"), ("x", -5, "partitions")]
)
def test_a_topic_that_cannot_be_made_is_told(bootstrap: str, topic: str, partitions: int, reason: str) -> None:
    """With what the broker has against it."""
    with pytest.raises(InputError, match=f"found no such topic, and none can be made .*{reason}.*; expected one"):
        TopicProducer(KafkaSettings((bootstrap,)), topic, partitions=partitions)


@pytest.mark.parametrize("size", [200_000, 2**25 + 1])
def test_a_message_that_is_too_long_is_told(bootstrap: str, size: int) -> None:
    """Whether the topic does not take it or the client; what could be done about it is told."""
    topic = uuid.uuid4().hex
    create_topic(bootstrap, topic, config={"max.message.bytes": "100000"})
    producer = TopicProducer(KafkaSettings((bootstrap,)), topic)
    content = np.random.default_rng(7).bytes(size)

    def send() -> None:
        try:
            producer.send([(b"k", b"fits"), (b"k", content)])
        finally:
            producer.close()

    told = f"{topic}: found that it does not take a message as long as there is one .*--points-per-message"
    with pytest.raises(InputError, match=told):
        send()
    assert _contents(bootstrap, topic, 1)[0] == [(b"k", b"fits")]


def test_messages_that_fit_one_by_one_arrive(bootstrap: str) -> None:
    """Those that are too long for the topic only together are sent apart."""
    topic = uuid.uuid4().hex
    create_topic(bootstrap, topic, config={"max.message.bytes": "10000"})
    content = np.random.default_rng(7).bytes(20_000)
    sent = [(b"k", content[at : at + 2000]) for at in range(0, len(content), 2000)]
    producer = TopicProducer(KafkaSettings((bootstrap,)), topic)
    producer.send(sent)
    producer.close()
    assert _contents(bootstrap, topic, 1)[0] == sent


def test_what_does_not_arrive_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that goes away is not taken for one that has everything; nothing else is said, then or later.

    Also where kafka-python's thread is slow to notice that it is to end.
    """
    monkeypatch.setattr(producing, "_ARRIVAL_S", 2.0)
    complaints: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)
    broker = Broker(tmp_path)
    broker.start()
    try:
        producer = TopicProducer(KafkaSettings((broker.bootstrap,)), "t", partitions=1)
        producer.send([(b"k", b"v")])
        broker.kill()
        producer.send([(b"k", b"never")])
        sender = producer._producer._sender
        monkeypatch.setattr(sender, "force_close", lambda: None)
        with pytest.raises(FeedError, match=r"topic t, writing: found no answer from .*: \d messages have not arrived"):
            producer.close()
        del producer
        gc.collect()
        assert complaints == []
        monkeypatch.undo()
        sender.force_close()
    finally:
        broker.stop()
