"""A loop that polls a topic and decodes JSON, and nothing else: what the service is measured against."""

import sys
import time

import msgspec
from kafka import KafkaConsumer, TopicPartition

FETCH_BYTES, PARTITION_FETCH_BYTES = 2**24, 2**20
"""As the service has them by default."""


def run(bootstrap: str, topic: str, at_once: int) -> tuple[int, float]:
    """(messages decoded, seconds from the first poll to the last message)."""
    decode = msgspec.json.decode
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
        fetch_max_bytes=FETCH_BYTES,
        max_partition_fetch_bytes=PARTITION_FETCH_BYTES,
        metrics_enabled=False,
    )
    places = [TopicPartition(topic, partition) for partition in sorted(consumer.partitions_for_topic(topic))]
    consumer.assign(places)
    left = sum(consumer.end_offsets(places).values())
    consumer.seek_to_beginning(*places)
    count = 0
    began = time.perf_counter()
    while count < left:
        for messages in consumer.poll(timeout_ms=500, max_records=at_once).values():
            for message in messages:
                decode(message.value)
            count += len(messages)
    took = time.perf_counter() - began
    consumer.close()
    return count, took


if __name__ == "__main__":
    print(*run(sys.argv[1], sys.argv[2], int(sys.argv[3])))
