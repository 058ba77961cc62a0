"""The topics that the service needs: made on request, checked otherwise."""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError

from pipeline.adapters.kafka.connection import KafkaSettings, client_options, told_as_feed_error
from pipeline.errors import ConfigError

_OVERHEAD_BYTES = 2**12
_COMPACTION = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.1",
    "segment.bytes": str(2**26),
    "segment.ms": str(10 * 60 * 1000),
    "delete.retention.ms": str(24 * 3600 * 1000),
}


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic that the service writes.

    Attributes:
        compacted: whether only the newest message of a key matters.
        whole_inputs: whether it takes messages of the input as they are, and so has to take as long ones.
    """

    name: str
    compacted: bool = False
    whole_inputs: bool = False


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """What is to be made of topics that are missing.

    Attributes:
        replication: copies; None for the broker's default.
        retention_ms: of topics that are not compacted.
    """

    create: bool
    replication: int | None
    retention_ms: int


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a topic.

    Attributes:
        level: 'error' keeps the service from working; 'made' tells of a topic that is new.
    """

    level: Literal["ok", "made", "warning", "error"]
    topic: str
    text: str


@dataclass(frozen=True, slots=True)
class _Topic:
    partitions: int
    settings: dict[str, str] = field(default_factory=dict)


class TopicAdmin:
    """Looks at topics and makes them.

    Raises:
        FeedError: no broker answers.
        ConfigError: it refuses the credentials.
    """

    def __init__(self, connection: KafkaSettings) -> None:
        self._connection = connection
        with told_as_feed_error("Kafka, connecting", connection):
            self._admin: Any = KafkaAdminClient(**client_options(connection))

    def close(self) -> None:
        """Let go of the connection."""
        self._admin.close()

    def inputs(self, topics: Sequence[str] | None, pattern: str | None) -> dict[str, int]:
        """Partitions of each input topic that exists, those of a pattern included.

        Raises:
            ConfigError: the pattern is none.
        """
        known = self._known()
        if topics is not None:
            return {topic: known[topic] for topic in topics if topic in known}
        try:
            matches = re.compile(pattern or "").match
        except re.error as exc:
            raise ConfigError(f"[input] pattern: found {pattern!r} ({exc}); expected a regular expression") from exc
        return {topic: count for topic, count in known.items() if matches(topic)}

    def ensure(
        self, wanted: Sequence[TopicSpec], inputs: Iterable[str], plan: TopicPlan, *, look_only: bool = False
    ) -> list[Finding]:
        """What was found of the topics wanted, having made those that were missing if the plan says so.

        Args:
            look_only: make none, and tell of those that would be made as if they were.
        """
        known = self._known()
        sources = {name: self._describe(name, known[name]) for name in inputs if name in known}
        partitions = max((topic.partitions for topic in sources.values()), default=1)
        largest = max((int(topic.settings.get("max.message.bytes", 0)) for topic in sources.values()), default=0)
        findings = []
        for name, topic in sources.items():
            if "compact" in topic.settings.get("cleanup.policy", ""):
                findings.append(Finding("warning", name, (
                    "found cleanup.policy=compact; expected delete: records that vanish before they are read again "
                    "after a crash change what comes of it"
                )))  # fmt: skip
        for spec in wanted:
            if spec.name in known:
                findings.append(_check(spec, self._describe(spec.name, known[spec.name]), partitions, largest))
            elif plan.create:
                if not look_only:
                    self._create(spec, partitions, largest, plan)
                told = "to be made" if look_only else "made"
                findings.append(Finding("made", spec.name, f"{told} with {partitions} partitions"))
            else:
                findings.append(Finding("error", spec.name, (
                    f"found no such topic; expected one of {partitions} partitions: make it, or set create = true in "
                    "[output]"
                )))  # fmt: skip
        return findings

    def _known(self) -> dict[str, int]:
        with told_as_feed_error("Kafka, listing topics", self._connection):
            return {topic["name"]: len(topic["partitions"]) for topic in self._admin.describe_topics()}

    def _describe(self, name: str, partitions: int) -> _Topic:
        with told_as_feed_error(f"topic {name}, asking for its settings", self._connection):
            asked = [ConfigResource(ConfigResourceType.TOPIC, name)]
            found = self._admin.describe_configs(asked, config_filter="all")
        told: dict[str, Any] = next(iter(found.get("topic", {}).values()), {})
        return _Topic(partitions, {key: str(entry["value"]) for key, entry in told.items()})

    def _create(self, spec: TopicSpec, partitions: int, largest: int, plan: TopicPlan) -> None:
        settings = dict(_COMPACTION) if spec.compacted else {
            "cleanup.policy": "delete", "retention.ms": str(plan.retention_ms),
        }  # fmt: skip
        if spec.whole_inputs and largest:
            settings["max.message.bytes"] = str(largest + _OVERHEAD_BYTES)
        wanted = {
            spec.name: {
                "num_partitions": partitions,
                "replication_factor": plan.replication or -1,
                "configs": settings,
            }
        }
        with told_as_feed_error(f"topic {spec.name}, making it", self._connection):
            with suppress(TopicAlreadyExistsError):  # another member was faster
                self._admin.create_topics(wanted, wait_for_metadata=True)
            self._admin.wait_for_topics([spec.name])


def _check(spec: TopicSpec, topic: _Topic, partitions: int, largest: int) -> Finding:
    policy = topic.settings.get("cleanup.policy", "")
    if spec.compacted and policy != "compact":
        return Finding("error", spec.name, (
            f"found cleanup.policy={policy}; expected compact: with anything else the state is deleted in time"
        ))  # fmt: skip
    if not spec.compacted and "compact" in policy:
        return Finding("error", spec.name, f"found cleanup.policy={policy}; expected delete: outputs would be lost")
    if topic.partitions < partitions:
        return Finding("warning", spec.name, (
            f"found {topic.partitions} partitions; expected {partitions}, as many as the input has: the outputs of "
            "several partitions are mixed in one"
        ))  # fmt: skip
    longest = int(topic.settings.get("max.message.bytes", 0))
    if spec.whole_inputs and longest < largest + _OVERHEAD_BYTES:
        return Finding("warning", spec.name, (
            f"found max.message.bytes={longest}; expected {largest + _OVERHEAD_BYTES}: longer dead letters do not fit"
        ))  # fmt: skip
    return Finding("ok", spec.name, f"{topic.partitions} partitions")
