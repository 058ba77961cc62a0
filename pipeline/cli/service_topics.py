"""The topics that the service reads and writes, by its configuration: refused, made or checked before it starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.adapters.kafka.connection import KafkaSettings
from pipeline.adapters.kafka.topics import Finding, TopicAdmin, TopicPlan, TopicSpec, topic_matcher
from pipeline.config import Config
from pipeline.errors import ConfigError


@dataclass(frozen=True, slots=True)
class ServiceTopics:
    """What was found of the topics that are written.

    Attributes:
        limits: max.message.bytes of each, where it may be seen.
    """

    findings: Sequence[Finding]
    limits: Mapping[str, int]


def topics_wanted(config: Config) -> list[TopicSpec]:
    """The topics that the service writes."""
    output = config.output
    wanted = [TopicSpec(output.anomalies), TopicSpec(output.dead_letters, whole_inputs=True)]
    if output.verdicts is not None:
        wanted.append(TopicSpec(output.verdicts))
    if config.state.store == "kafka":
        wanted.append(TopicSpec(config.state.topic, compacted=True))
    return wanted


def topics_beside(config: Config) -> list[TopicSpec]:
    """The topics that the service reads beside its input."""
    topic = config.feedback.topic
    return [] if topic is None else [TopicSpec(topic, compacted=True, partitions=1, permission="Describe and Read")]


def topic_plan(config: Config) -> TopicPlan:
    """What is made of topics that are missing."""
    output = config.output
    return TopicPlan(output.create, output.replication, int(output.retention.total_seconds() * 1000))


def require_input(config: Config) -> None:
    """Refuse a configuration that does not say what to read.

    Raises:
        ConfigError: neither topics nor a pattern, or both, or an output that is an input or would be one.
    """
    chosen = config.input
    if (chosen.topics is None) == (chosen.pattern is None):
        found = "neither topics nor pattern" if chosen.topics is None else "topics as well as pattern"
        raise ConfigError(f'[input]: found {found}; expected one of them, such as topics = ["metrics"]')
    outputs = {spec.name for spec in topics_wanted(config)}
    beside = {spec.name for spec in topics_beside(config)}
    if both := beside & (outputs | set(chosen.topics or ())):
        raise ConfigError(f"[feedback] topic: found {both.pop()}, which is an input or an output; expected another")
    outputs |= beside
    if both := outputs.intersection(chosen.topics or ()):
        raise ConfigError(f"[input] topics: found {', '.join(sorted(both))}, which is an output too; expected others")
    if chosen.pattern is not None and (both := set(filter(topic_matcher(chosen.pattern), outputs))):
        raise ConfigError(
            f"[input] pattern: found {chosen.pattern!r}, which matches {', '.join(sorted(both))}, written by the "
            "service itself or read for feedback; expected a pattern that matches inputs alone"
        )


def ensure_topics(config: Config, connection: KafkaSettings) -> ServiceTopics:
    """What was found, having made those that were missing if the configuration says so.

    Raises:
        ConfigError: one cannot be worked with.
    """
    admin = TopicAdmin(connection)
    try:
        inputs = admin.inputs(config.input.topics, config.input.pattern)
        if missing := set(config.input.topics or ()) - inputs.keys():
            raise ConfigError(
                f"[input] topics: found no topic {', '.join(sorted(missing))} at {', '.join(connection.bootstrap)}; "
                "expected it to exist"
            )
        wanted = topics_wanted(config)
        findings = admin.ensure([*wanted, *topics_beside(config)], inputs, topic_plan(config))
        for finding in findings:
            if finding.level == "error":
                raise ConfigError(f"topic {finding.topic}: {finding.text}")
        return ServiceTopics(findings, admin.limits([spec.name for spec in wanted]))
    finally:
        admin.close()
