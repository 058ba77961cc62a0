"""From what came of a chunk of messages to the messages that tell of it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from pipeline.codec.anomalies import encode_anomaly
from pipeline.codec.dead_letters import cut_dead_letter, dead_letter_headers
from pipeline.codec.verdicts import cut_content, encode_verdicts
from pipeline.engine import Outcome
from pipeline.errors import TooLongError
from pipeline.interfaces import Message, Outbox
from pipeline.records import Batch, Place
from pipeline.service.plan import Topics

_REASONS_TOLD = 10


def send_outputs(
    outbox: Outbox,
    topics: Topics,
    place: Place,
    messages: Sequence[Message],
    batch: Batch,
    outcome: Outcome,
    points_per_message: int,
) -> Counter[str]:
    """Dead letters by their first reason, having sent them, the anomalies and the verdicts.

    Args:
        messages: whole ones; `batch` and `outcome` are what came of them.
    """
    for anomaly in outcome.anomalies:
        outbox.send(topics.anomalies, place.partition, key=anomaly.key.encode(), value=encode_anomaly(anomaly))
    if topics.verdicts is not None:
        keys = {message.offset: message.key for message in messages}
        for offset, value in _verdict_messages(outcome, place, points_per_message):
            outbox.send(topics.verdicts, place.partition, key=keys[offset], value=value)
    if not len(outcome.dead_letters):
        return Counter()
    return _send_dead_letters(outbox, topics.dead_letters, place, messages, batch, outcome, points_per_message)


def _verdict_messages(outcome: Outcome, place: Place, points_per_message: int) -> Iterator[tuple[int, bytes]]:
    """(offset, content) for every input message with verdicts, in parts where there are many of them.

    Tables may meet within a message, so it is put together before it is cut.
    """
    parts = [part for table in outcome.verdicts for part in encode_verdicts(table, place, points_per_message)]
    for offset, same in groupby(parts, key=lambda part: part[0]):
        for content in cut_content(b"".join(content for _, content in same)):
            yield offset, content


def _send_dead_letters(
    outbox: Outbox,
    topic: str,
    place: Place,
    messages: Sequence[Message],
    batch: Batch,
    outcome: Outcome,
    points_per_message: int,
) -> Counter[str]:
    """A message with unusable records goes there whole, once, with the reasons of its first few."""
    told: dict[int, str] = {}
    for problem in batch.problems:
        position = int(batch.position[problem.index])
        told.setdefault(position, f"{problem.reason}: {problem.found}" if problem.found else problem.reason)
    reasons: dict[int, list[str]] = defaultdict(list)
    for position in outcome.dead_letters.tolist():
        reasons[position // points_per_message].append(told.get(position, "missing"))
    counted: Counter[str] = Counter()
    offsets = np.fromiter((message.offset for message in messages), np.int64, len(messages))
    for offset, found in reasons.items():
        message = messages[int(np.searchsorted(offsets, offset))]
        _send_dead_letter(outbox, topic, place, message, found[:_REASONS_TOLD])
        counted[found[0].partition(":")[0]] += 1
    return counted


def _send_dead_letter(outbox: Outbox, topic: str, place: Place, message: Message, reasons: list[str]) -> None:
    """As it came, if the topic takes it; else as much of it as the topic takes.

    Raises:
        TooLongError: the topic takes next to nothing.
    """
    headers = dead_letter_headers(message, reasons, place)
    try:
        outbox.send(topic, place.partition, key=message.key, value=message.value, headers=headers)
    except TooLongError as exc:
        cut = cut_dead_letter(message, reasons, place, exc.limit)
        outbox.send(topic, place.partition, key=cut.key, value=cut.value, headers=cut.headers)
