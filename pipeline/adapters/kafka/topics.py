"""The topics that the service needs: made on request, checked otherwise."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from kafka import KafkaAdminClient, errors
from kafka.admin import ConfigResource, ConfigResourceType

from pipeline.adapters.kafka.connection import KafkaSettings, client_options, told_as_feed_error
from pipeline.errors import ConfigError

_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_NO_PERMISSION = "found no permission for it; expected an ACL that allows {}"
_OVERHEAD_BYTES = 2**12
_COMPACTION = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.1",
    "segment.bytes": str(2**26),
    "segment.ms": str(10 * 60 * 1000),
    "delete.retention.ms": str(24 * 3600 * 1000),
}
_WILL_NOT = (errors.InvalidTopicError, errors.PolicyViolationError, errors.InvalidConfigurationError)


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic that the service writes, or reads beside its input.

    Attributes:
        compacted: whether only the newest message of a key matters.
        whole_inputs: whether it takes messages of the input as they are, and so has to take as long ones.
        partitions: that it is made with; None for as many as the input has, which it had better have then.
        permission: that is needed for it.
    """

    name: str
    compacted: bool = False
    whole_inputs: bool = False
    partitions: int | None = None
    permission: str = "Describe and Write"


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
    """What is known of a topic; no settings where they may not be seen."""

    partitions: int
    settings: dict[str, str] = field(default_factory=dict)


def topic_matcher(pattern: str) -> Callable[[str], object]:
    """Whether a topic's name matches, as kafka-python's consumers match it: from the beginning on.

    Raises:
        ConfigError: the pattern is none.
    """
    try:
        return re.compile(pattern).match
    except re.error as exc:
        raise ConfigError(f"[input] pattern: found {pattern!r} ({exc}); expected a regular expression") from exc


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
        """Partitions of each input topic that exists, those of a pattern included; internal ones match none.

        Raises:
            ConfigError: the pattern is none, or one of the topics may not be seen.
        """
        if topics is None:
            matches = topic_matcher(pattern or "")
            listed = self._list()
            return {topic: count for topic, (count, internal) in listed.items() if matches(topic) and not internal}
        known, denied = self._known(topics)
        if denied:
            names = ", ".join(sorted(denied))
            raise ConfigError(f"topic {names}: {_NO_PERMISSION.format('Describe and Read')}")
        return {topic: known[topic] for topic in topics if topic in known}

    def ensure(
        self, wanted: Sequence[TopicSpec], inputs: Iterable[str], plan: TopicPlan, *, look_only: bool = False
    ) -> list[Finding]:
        """What was found of the topics wanted, having made those that were missing if the plan says so.

        Args:
            look_only: make none, and tell of those that would be made as if they were.
        """
        known, denied = self._known(spec.name for spec in wanted)
        sources = {name: self._describe(name, known[name]) for name in inputs if name in known}
        partitions = max((topic.partitions for topic in sources.values()), default=1)
        largest = max((int(topic.settings.get("max.message.bytes", 0)) for topic in sources.values()), default=0)
        findings = [
            Finding("warning", name, (
                "found cleanup.policy=compact; expected delete: records that vanish before they are read again "
                "after a crash change what comes of it"
            ))
            for name, topic in sources.items() if "compact" in topic.settings.get("cleanup.policy", "")
        ]  # fmt: skip
        for spec in wanted:
            if not _NAME.fullmatch(spec.name) or spec.name in {".", ".."}:
                findings.append(Finding("error", spec.name, (
                    "found a name that no topic can have; expected letters, digits, '.', '_' and '-', 249 at most"
                )))  # fmt: skip
            elif spec.name in known:
                findings.append(_check(spec, self._describe(spec.name, known[spec.name]), partitions, largest))
            elif spec.name in denied:
                findings.append(Finding("error", spec.name, _NO_PERMISSION.format(spec.permission)))
            elif plan.create:
                findings.append(self._make(spec, partitions, largest, plan, look_only=look_only))
            else:
                findings.append(Finding("error", spec.name, (
                    f"found no such topic; expected one of {spec.partitions or partitions} partitions: make it, or "
                    "set create = true in [output]"
                )))  # fmt: skip
        return findings

    def limits(self, names: Iterable[str]) -> dict[str, int]:
        """Bytes that each of these topics takes in a message, where that may be seen."""
        found = {name: self._describe(name, 0).settings.get("max.message.bytes") for name in names}
        return {name: int(limit) for name, limit in found.items() if limit is not None}

    def _list(self) -> dict[str, tuple[int, bool]]:
        """Partitions of every topic, and whether it is one of Kafka's own."""
        with told_as_feed_error("Kafka, listing topics", self._connection):
            found = self._admin.describe_topics()
        return {one["name"]: (len(one["partitions"]), one["is_internal"]) for one in found if one["partitions"]}

    def _known(self, names: Iterable[str]) -> tuple[dict[str, int], set[str]]:
        """Partitions of every topic, and which of those named may not be seen."""
        known = {name: count for name, (count, _) in self._list().items()}
        missing = [name for name in names if name not in known and _NAME.fullmatch(name)]
        if not missing:
            return known, set()
        with told_as_feed_error("Kafka, listing topics", self._connection):
            found = self._admin.describe_topics(missing)
        refused = errors.TopicAuthorizationFailedError.errno
        return known, {one["name"] for one in found if one["error_code"] == refused}

    def _describe(self, name: str, partitions: int) -> _Topic:
        with told_as_feed_error(f"topic {name}, asking for its settings", self._connection):
            asked = [ConfigResource(ConfigResourceType.TOPIC, name)]
            found = self._admin.describe_configs(asked, config_filter="all")
        told: dict[str, Any] = next(iter(found.get("topic", {}).values()), {})
        return _Topic(partitions, {key: str(entry["value"]) for key, entry in told.items()})

    def _make(self, spec: TopicSpec, partitions: int, largest: int, plan: TopicPlan, *, look_only: bool) -> Finding:
        partitions = spec.partitions or partitions
        if look_only:
            return Finding("made", spec.name, f"to be made with {partitions} partitions")
        wanted = {
            "num_partitions": partitions,
            "replication_factor": plan.replication or -1,
            "configs": _settings(spec, largest, plan),
        }
        with told_as_feed_error(f"topic {spec.name}, making it", self._connection):
            made = self._admin.create_topics({spec.name: wanted}, raise_errors=False)["topics"][0]
            kind, text = errors.for_code(made["error_code"]), made["error_message"] or ""
            if kind is errors.TopicAlreadyExistsError:  # another member was faster, or somebody else
                self._admin.wait_for_topics([spec.name])
                count, _ = self._list().get(spec.name, (partitions, False))
                return _check(spec, self._describe(spec.name, count), partitions, largest)
            if (refused := _refused(kind, text, plan)) is not None:
                return Finding("error", spec.name, refused)
            if kind is not errors.NoError:
                raise kind(text)
            self._admin.wait_for_topics([spec.name])
        return Finding("made", spec.name, f"made with {partitions} partitions")


def _settings(spec: TopicSpec, largest: int, plan: TopicPlan) -> Mapping[str, str]:
    """What a topic is made with."""
    settings = dict(_COMPACTION) if spec.compacted else {
        "cleanup.policy": "delete", "retention.ms": str(plan.retention_ms),
    }  # fmt: skip
    if spec.whole_inputs and largest:
        settings["max.message.bytes"] = str(largest + _OVERHEAD_BYTES)
    return settings


def _refused(kind: type[BaseException], text: str, plan: TopicPlan) -> str | None:
    """What is told of a topic that the brokers will not make as it is asked for."""
    if issubclass(kind, errors.AuthorizationError):
        return (
            f"found no permission to make it ({text}); expected an ACL that allows Create, or somebody else to make it"
        )
    if issubclass(kind, errors.InvalidReplicationFactorError):
        asked = "the brokers' default" if plan.replication is None else f"replication = {plan.replication} in [output]"
        return f"found fewer brokers than copies of it, {asked} ({text}); expected no more copies than brokers"
    if issubclass(kind, _WILL_NOT):
        return f"found that the brokers will not make it ({text}); expected another name, or somebody else to make it"
    return None


def _check(spec: TopicSpec, topic: _Topic, partitions: int, largest: int) -> Finding:
    if not topic.settings:
        return Finding("warning", spec.name, (
            f"{topic.partitions} partitions; {_NO_PERMISSION.format('DescribeConfigs')}: its settings are not checked"
        ))  # fmt: skip
    policy = topic.settings.get("cleanup.policy", "")
    if spec.compacted and policy != "compact":
        return Finding("error", spec.name, (
            f"found cleanup.policy={policy}; expected compact: with anything else what it holds is deleted in time"
        ))  # fmt: skip
    if not spec.compacted and "compact" in policy:
        return Finding("error", spec.name, f"found cleanup.policy={policy}; expected delete: outputs would be lost")
    if spec.partitions is None and topic.partitions < partitions:
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
