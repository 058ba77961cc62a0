"""An episode found among the anomalies that were told: what a label by the id of an anomaly is about."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pipeline.adapters.kafka.feedback import TopicReader
from pipeline.adapters.kafka.source import SCHEME, TopicAddress
from pipeline.cli.kafka_settings import settings_from
from pipeline.codec.times import time_us
from pipeline.config import Config
from pipeline.errors import InputError


class _Event(msgspec.Struct):
    id: str
    event: str
    episode: str
    key: str
    field: str
    time: str
    opened_at: str


@dataclass(frozen=True, slots=True)
class Episode:
    """Of which lane it is, and from when to when its events are.

    Attributes:
        is_closed: whether it is over.
    """

    key: str
    field: str
    from_us: int
    to_us: int
    is_closed: bool


def find_episode(anomaly_id: str, where: str | None, config: Config) -> Episode:
    """The episode that the anomaly of an id belongs to.

    Args:
        where: a file of anomalies, kafka://host:port/topic, or None for the topic that is configured.

    Raises:
        InputError: there is no such anomaly.
        FeedError: no broker answers.
    """
    told = where or f"topic {config.output.anomalies}"
    events = [one for one in _events(anomaly_id, where, config) if anomaly_id in {one.id, one.episode}]
    if not events:
        raise InputError(
            told, found=f"no anomaly {anomaly_id!r}", expected="the id of one, as it is in the field 'id' or 'episode'"
        )
    episode = events[0].episode
    if episode != anomaly_id:
        events = [one for one in _events(episode, where, config) if one.episode == episode]
    times = [time_us(one.time, "iso", detected=False) for one in events]
    start = min(time_us(one.opened_at, "iso", detected=False) for one in events)
    first = events[0]
    return Episode(first.key, first.field, start, max(*times, start), any(one.event == "closed" for one in events))


def _events(text: str, where: str | None, config: Config) -> Iterator[_Event]:
    """Those anomalies that a text occurs in; whatever else may lie there is passed over."""
    needle = msgspec.json.encode(text)[1:-1]
    decoder = msgspec.json.Decoder(_Event)
    for content in _contents(where, config):
        if needle in content:
            try:
                yield decoder.decode(content)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue


def _contents(where: str | None, config: Config) -> Iterator[bytes]:
    if where is not None and not where.startswith(SCHEME):
        try:
            with Path(where).open("rb") as lines:
                yield from lines
        except OSError as exc:
            raise InputError(where, found=f"no readable file ({exc.strerror})", expected="anomalies.jsonl") from exc
        return
    if where is None:
        reader = TopicReader(settings_from(config.kafka), config.output.anomalies)
    else:
        address = TopicAddress.parse(where)
        reader = TopicReader(settings_from(config.kafka, address.bootstrap), address.topic)
    try:
        for messages in reader.to_end():
            yield from (message.value for message in messages if message.value is not None)
    finally:
        reader.close()
