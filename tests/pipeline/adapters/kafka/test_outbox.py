"""Transactions against a real broker, and against one that stops answering."""

import os
import signal
import time
import uuid
from pathlib import Path

import pytest

from pipeline.adapters.kafka.connection import KafkaSettings
from pipeline.adapters.kafka.outbox import LARGEST_MESSAGE, KafkaOutbox, OutboxSettings
from pipeline.errors import ConfigError, FencedError, TooLongError, TransactionError
from tests.kafka_broker import Broker, create_topic, read_to_end

pytestmark = pytest.mark.kafka


def _outbox(bootstrap: str, name: str, answer_s: float = 60.0) -> KafkaOutbox:
    return KafkaOutbox(KafkaSettings((bootstrap,)), OutboxSettings(name, answer_s=answer_s), lambda: None)


def _committed(bootstrap: str, topic: str) -> list[bytes | None]:
    return [message.value for message in read_to_end(bootstrap, topic)]


def test_what_is_sent_is_seen_with_the_commit_or_never(bootstrap: str) -> None:
    """Readers of committed messages see a transaction whole, in order, and nothing of one that was aborted."""
    topic = uuid.uuid4().hex
    create_topic(bootstrap, topic)
    outbox = _outbox(bootstrap, topic)
    for n in range(3):
        outbox.send(topic, 0, key=b"k", value=b"%d" % n)
    outbox.flush()
    assert _committed(bootstrap, topic) == []
    outbox.commit({})
    outbox.send(topic, 0, key=b"k", value=b"never")
    outbox.flush()
    outbox.abort()
    outbox.send(topic, 5, key=b"k", value=b"3")  # partition 5 of one is the one
    outbox.commit({})
    outbox.send(topic, 0, key=b"k", value=b"never either")
    outbox.close()
    assert _committed(bootstrap, topic) == [b"0", b"1", b"2", b"3"]


def test_two_that_go_by_one_name_do_not_go_on_for_ever(bootstrap: str) -> None:
    """A process that another has taken the name of tries once more, and when it is taken again it ends."""
    topic = uuid.uuid4().hex
    create_topic(bootstrap, topic)
    outbox = _outbox(bootstrap, topic)
    raised: list[TransactionError] = []
    for _ in range(2):
        outbox.send(topic, 0, key=b"k", value=b"mine")
        other = _outbox(bootstrap, topic)
        with pytest.raises(TransactionError) as caught:
            outbox.commit({})
        raised.append(caught.value)
        other.close()
    outbox.close()
    assert [isinstance(one, FencedError) for one in raised] == [False, True]
    assert "found another process using it" in str(raised[1])
    assert _committed(bootstrap, topic) == []


def test_a_message_that_no_topic_takes_is_told(bootstrap: str) -> None:
    """What can never be written ends the process with what to do, instead of being tried for ever."""
    topic = uuid.uuid4().hex
    create_topic(bootstrap, topic, config={"max.message.bytes": "10000"})
    outbox = _outbox(bootstrap, topic)
    outbox.send(topic, 0, key=b"k", value=os.urandom(20_000))
    with pytest.raises(ConfigError, match=r"does not take a message .* expected a larger max\.message\.bytes"):
        outbox.commit({})
    outbox.close()


def test_a_batch_that_is_too_long_is_sent_in_parts(bootstrap: str) -> None:
    """Where messages fit one by one and not together, they arrive in order all the same."""
    topic = uuid.uuid4().hex
    create_topic(bootstrap, topic, config={"max.message.bytes": "10000"})
    outbox = _outbox(bootstrap, topic)
    sent = [os.urandom(4_000) for _ in range(12)]
    for value in sent:
        outbox.send(topic, 0, key=b"k", value=value)
    outbox.commit({})
    outbox.close()
    assert _committed(bootstrap, topic) == sent


@pytest.mark.parametrize("compression", [None, "gzip", "snappy", "lz4", "zstd"])
def test_a_message_known_to_be_too_long_leaves_the_transaction_whole(bootstrap: str, compression: str | None) -> None:
    """Where the limit of a topic is known, what it does not take even compressed is refused before it is sent."""
    topic = uuid.uuid4().hex
    create_topic(bootstrap, topic, config={"max.message.bytes": "10000"})
    settings = OutboxSettings(topic, compression=compression, limits={topic: 10_000})
    outbox = KafkaOutbox(KafkaSettings((bootstrap,)), settings, lambda: None)
    outbox.send(topic, 0, key=b"k", value=b"before")
    for value in (os.urandom(10_000), bytes(LARGEST_MESSAGE)):
        with pytest.raises(TooLongError, match=r"topic \w+: found a message of \d+ bytes .* at most 10000"):
            outbox.send(topic, 0, key=b"k", value=value)
    expected = [b"before"]
    if compression is None:
        with pytest.raises(TooLongError):
            outbox.send(topic, 0, key=b"k", value=bytes(10_000))
    else:
        outbox.send(topic, 0, key=b"k", value=bytes(100_000))
        expected.append(bytes(100_000))
    for size in range(9_600, 9_745, 8):  # up to the very limit
        outbox.send(topic, 0, key=None, value=os.urandom(size))
    outbox.commit({})
    outbox.close()
    assert [value for value in _committed(bootstrap, topic) if value is not None][: len(expected)] == expected


def test_a_broker_that_stops_answering_does_not_hold_a_commit_for_ever(tmp_path: Path) -> None:
    """A commit without an answer fails in time, shows nothing, and the same outbox commits again later."""
    broker = Broker(tmp_path)
    broker.start()
    assert broker._process is not None
    try:
        create_topic(broker.bootstrap, "out")
        outbox = _outbox(broker.bootstrap, "out", answer_s=2.0)
        outbox.send("out", 0, key=b"k", value=b"lost")
        outbox.flush()
        broker._process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(TransactionError):
            outbox.commit({})
        assert time.monotonic() - began < 50  # unasked it would be a minute
        broker._process.send_signal(signal.SIGCONT)
        outbox.send("out", 0, key=b"k", value=b"kept")
        outbox.commit({})
        outbox.close()
        assert _committed(broker.bootstrap, "out") in ([b"kept"], [b"lost", b"kept"])
    finally:
        broker._process.send_signal(signal.SIGCONT)
        broker.stop()
