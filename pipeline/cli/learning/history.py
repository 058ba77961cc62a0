"""The input topics as a history: how far it reaches, and the part of it between two event times."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.adapters.files import FileSource
from pipeline.adapters.kafka.source import SCHEME, TopicSource
from pipeline.adapters.kafka.topics import TopicAdmin
from pipeline.cli.kafka_settings import settings_from
from pipeline.cli.passes import Pass
from pipeline.cli.screen import Screen
from pipeline.cli.sources import open_recorded
from pipeline.config import Config
from pipeline.errors import InputError
from pipeline.merging import has_time

_TAIL = 100
"""Newest messages of a partition that tell how far it reaches."""
_LOOKED_AT = 8
"""Partitions that are looked at, those with the most messages."""


class PassWithin(Pass):
    """A pass over the records of topics whose event times lie in a range, whatever Kafka has for their times.

    Args:
        ends: by source, of each partition the first offset that is left out.
    """

    def __init__(
        self,
        sources: Sequence[str],
        config: Config,
        between: tuple[int, int],
        screen: Screen,
        kernels: Path,
        ends: Mapping[str, Mapping[str, int]],
    ) -> None:
        super().__init__(sources, config, between, screen, kernels)
        self._ends = ends

    def _open(self, name: str) -> FileSource | TopicSource:
        from_us, until_us = self._between
        if from_us is None or until_us is None:
            raise TypeError("found no range of event time; expected one")
        source = open_within(name, self.config, from_us, until_us)
        ends = self._ends.get(name, {})
        cut = (replace(one, end=min(one.end, ends.get(one.name, one.first))) for one in source.partitions)
        return replace(source, partitions=tuple(cut))


def open_within(name: str, config: Config, from_us: int, until_us: int) -> TopicSource:
    """The records of a topic whose event times lie in a range, the latter exclusive.

    Kafka's times only say where to begin to read, as no record is written before what it tells has happened.

    Raises:
        InputError: no such topic, or nothing in it from then on.
        FeedError: no broker answers.
    """
    source = open_recorded(name, config, from_us=from_us)
    if not isinstance(source, TopicSource):
        raise TypeError(f"found {name}; expected a topic")
    return replace(source, partitions=tuple(replace(one, within=(from_us, until_us)) for one in source.partitions))


def input_sources(config: Config) -> list[str]:
    """The input topics, as sources of a replay.

    Raises:
        FeedError: no broker answers.
        ConfigError: it refuses, or a pattern that is none.
    """
    topics: Sequence[str] = config.input.topics or ()
    if not topics:
        admin = TopicAdmin(settings_from(config.kafka))
        try:
            topics = sorted(admin.inputs(None, config.input.pattern))
        finally:
            admin.close()
    return [f"{SCHEME}{','.join(config.kafka.bootstrap)}/{topic}" for topic in topics]


def newest_us(config: Config, sources: Sequence[str]) -> int | None:
    """About the newest event time of the topics; None where there are no records that tell.

    It is the middle of the last messages of a partition, so that no single one with a false time decides.

    Raises:
        FeedError: no broker answers.
    """
    found: list[int] = []
    for name in sources:
        try:
            source = open_recorded(name, config)
        except InputError:
            continue  # not there, or empty
        if not isinstance(source, TopicSource):
            continue
        largest = sorted(source.partitions, key=lambda one: one.first - one.end)[:_LOOKED_AT]
        for partition in largest:
            tail = replace(partition, first=max(partition.first, partition.end - _TAIL))
            times = [batch.time_us[has_time(batch)] for batch in tail.batches(10_000)]
            known = np.concatenate(times) if times else np.zeros(0, np.int64)
            if len(known):
                found.append(int(np.quantile(known, 0.5, method="higher")))
    return max(found, default=None)
