"""Topics made and looked at, against a real broker."""

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.admin import ConfigResource, ConfigResourceType

from pipeline.adapters.kafka.connection import KafkaSettings
from pipeline.adapters.kafka.topics import Finding, TopicAdmin, TopicPlan, TopicSpec, topic_matcher
from pipeline.cli import checking
from pipeline.cli.serving import Member, serve
from pipeline.config import Given, load_config
from pipeline.errors import ConfigError
from tests.kafka_broker import create_topic

PLAN = TopicPlan(create=True, replication=1, retention_ms=7_200_000)


class Topics:
    """A look at the topics of a broker, with names that no other test has."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.prefix = uuid.uuid4().hex
        self.admin = TopicAdmin(KafkaSettings((bootstrap,)))

    def name(self, name: str) -> str:
        """Of this test."""
        return f"{self.prefix}.{name}"

    def make(self, name: str, partitions: int = 1, **config: str) -> str:
        """A topic that is there beforehand."""
        config = {key.replace("_", "."): value for key, value in config.items()}
        create_topic(self.bootstrap, self.name(name), partitions, config)
        return self.name(name)

    def found(self, name: str) -> dict[str, Any]:
        """What the broker says of a topic: its settings, and numbers of partitions and of copies."""
        admin: Any = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            asked = [ConfigResource(ConfigResourceType.TOPIC, self.name(name))]
            settings = admin.describe_configs(asked, config_filter="all")["topic"][self.name(name)]
            (topic,) = admin.describe_topics([self.name(name)])
        finally:
            admin.close()
        partitions = topic["partitions"]
        return {key: one["value"] for key, one in settings.items()} | {
            "partitions": len(partitions), "copies": {len(one["replica_nodes"]) for one in partitions},
        }  # fmt: skip

    def look(self, spec: TopicSpec, *inputs: str) -> Finding:
        """What is found of an output that is there."""
        (finding,) = self.admin.ensure([spec], inputs, TopicPlan(create=False, replication=None, retention_ms=1))
        return finding


@pytest.fixture
def topics(bootstrap: str) -> Iterator[Topics]:
    """Of this test."""
    made = Topics(bootstrap)
    yield made
    made.admin.close()


@pytest.mark.kafka
def test_topics_are_made_with_the_right_settings(topics: Topics) -> None:
    """State is compacted, outputs are kept for as long as configured, dead letters take the longest input and more."""
    inputs = [topics.make("a", 3), topics.make("b", 2, max_message_bytes="3000000")]
    wanted = [
        TopicSpec(topics.name("anomalies")),
        TopicSpec(topics.name("dead"), whole_inputs=True),
        TopicSpec(topics.name("state"), compacted=True),
    ]
    looked = topics.admin.ensure(wanted, inputs, PLAN, look_only=True)
    assert looked == [Finding("made", spec.name, "to be made with 3 partitions") for spec in wanted]
    assert topics.admin.inputs([spec.name for spec in wanted], None) == {}
    made = topics.admin.ensure(wanted, inputs, PLAN)
    assert made == [Finding("made", spec.name, "made with 3 partitions") for spec in wanted]
    anomalies, dead, state = topics.found("anomalies"), topics.found("dead"), topics.found("state")
    for one in (anomalies, dead, state):
        assert (one["partitions"], one["copies"]) == (3, {1})
    assert (anomalies["cleanup.policy"], anomalies["retention.ms"]) == ("delete", "7200000")
    assert int(dead["max.message.bytes"]) >= 3_000_000 + 1024
    assert int(dead["max.message.bytes"]) >= int(topics.found("a")["max.message.bytes"])
    assert dead["retention.ms"] == "7200000"
    assert state["cleanup.policy"] == "compact"
    again = topics.admin.ensure(wanted, inputs, PLAN)
    assert again == [Finding("ok", spec.name, "3 partitions") for spec in wanted]


@pytest.mark.kafka
def test_topics_that_are_there_are_checked(topics: Topics) -> None:
    """What would lose state or outputs is an error, what is only a nuisance a warning, each with what to expect."""
    source = topics.make("in", 3)
    finding = topics.look(TopicSpec(topics.make("s", 3), compacted=True), source)
    assert (finding.level, finding.text[:50]) == ("error", "found cleanup.policy=delete; expected compact: wit")
    finding = topics.look(TopicSpec(topics.make("s2", 3, cleanup_policy="compact,delete"), compacted=True), source)
    assert (finding.level, finding.text[:45]) == ("error", "found cleanup.policy=compact,delete; expected")
    finding = topics.look(TopicSpec(topics.make("o", 3, cleanup_policy="compact")), source)
    assert (finding.level, finding.text[:46]) == ("error", "found cleanup.policy=compact; expected delete:")
    finding = topics.look(TopicSpec(topics.make("few", 2)), source)
    assert (finding.level, finding.text[:32]) == ("warning", "found 2 partitions; expected 3, ")
    finding = topics.look(TopicSpec(topics.make("short", 3, max_message_bytes="1000"), whole_inputs=True), source)
    assert (finding.level, finding.text[:38]) == ("warning", "found max.message.bytes=1000; expected")
    finding = topics.look(TopicSpec(topics.make("many", 5)), source)
    assert (finding.level, finding.text) == ("ok", "5 partitions")
    finding = topics.look(TopicSpec(topics.name("none")), source)
    assert (finding.level, finding.text[:52]) == ("error", "found no such topic; expected one of 3 partitions: m")


@pytest.mark.kafka
def test_a_compacted_input_is_warned_of(topics: Topics) -> None:
    """Records that vanish cannot be read again."""
    source = topics.make("in", 1, cleanup_policy="compact")
    (finding,) = topics.admin.ensure([], [source], PLAN)
    assert (finding.level, finding.topic) == ("warning", source)
    assert "cleanup.policy=compact" in finding.text


@pytest.mark.kafka
def test_members_that_make_the_same_topics_get_on(topics: Topics) -> None:
    """Of several that start at once one makes a topic, and the others find it as good."""
    wanted = [TopicSpec(topics.name(f"t{n}"), compacted=n % 2 == 0) for n in range(4)]
    admins = [TopicAdmin(KafkaSettings((topics.bootstrap,))) for _ in range(3)]
    gate, levels = threading.Barrier(len(admins)), []

    def start(admin: TopicAdmin) -> None:
        gate.wait(10)
        levels.extend([finding.level for finding in admin.ensure(wanted, [], PLAN)])

    threads = [threading.Thread(target=start, args=(admin,)) for admin in admins]
    for thread in threads:
        thread.start()
    for thread, admin in zip(threads, admins, strict=True):
        thread.join(30)
        admin.close()
    assert sorted(levels) == ["made"] * len(wanted) + ["ok"] * len(wanted) * 2


@pytest.mark.kafka
def test_one_that_was_faster_and_made_something_else_is_told(topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic that appeared since the look is checked like any other."""
    taken = topics.make("state")
    monkeypatch.setattr(topics.admin, "_known", lambda _names: ({}, set()))
    (finding,) = topics.admin.ensure([TopicSpec(taken, compacted=True)], [], PLAN)
    assert (finding.level, finding.text[:27]) == ("error", "found cleanup.policy=delete")


@pytest.mark.kafka
def test_more_copies_than_brokers_are_told(topics: Topics) -> None:
    """With what was asked for, and without kafka-python's dump of the request."""
    plan = TopicPlan(create=True, replication=3, retention_ms=1000)
    (finding,) = topics.admin.ensure([TopicSpec(topics.name("t"))], [], plan)
    assert finding.level == "error"
    assert finding.text.startswith("found fewer brokers than copies of it, replication = 3 in [output] (")
    assert "only 1 broker(s) are registered" in finding.text
    assert "CreateTopicsRequest" not in finding.text


@pytest.mark.kafka
@pytest.mark.parametrize("name", ["", ".", "..", "a b", "ä", "a/b", "a" * 250])
def test_a_name_that_no_topic_can_have_is_told(topics: Topics, name: str) -> None:
    """Whether it is to be made or not."""
    for create in (True, False):
        plan = TopicPlan(create=create, replication=1, retention_ms=1000)
        (finding,) = topics.admin.ensure([TopicSpec(name)], [], plan)
        assert (finding.level, finding.text[:35]) == ("error", "found a name that no topic can have")
    assert topics.admin.inputs([name], None) == {}


@pytest.mark.kafka
def test_a_name_too_like_another_is_told(topics: Topics) -> None:
    """Kafka takes dots and underscores for the same in names of metrics, and refuses."""
    name = topics.make("a.b").replace(".", "_")
    (finding,) = topics.admin.ensure([TopicSpec(name)], [], PLAN)
    assert finding.level == "error"
    assert "found that the brokers will not make it (" in finding.text
    assert "collides with" in finding.text


@pytest.mark.kafka
def test_a_pattern_matches_what_a_consumer_would_read(topics: Topics) -> None:
    """From the beginning of a name on, not to its end, and none of Kafka's own: as kafka-python's consumers match."""
    inputs = {topics.make("in"): 1, topics.make("in2"): 1}
    topics.make("other")
    consumer: Any = KafkaConsumer(bootstrap_servers=topics.bootstrap, group_id=topics.prefix)

    def read_by(pattern: str, wanted: set[str]) -> set[str]:
        """What a consumer subscribes to, once it has had time to find that."""
        consumer.subscribe(pattern=pattern)
        deadline = time.monotonic() + 60
        consumer.poll(500)
        while consumer.subscription() != wanted and time.monotonic() < deadline:
            consumer.poll(100)
        return set(consumer.subscription())

    exactly = {topics.name("in"): 1}
    try:
        name = topics.name("in")
        cases: list[tuple[str, dict[str, int]]] = [(name, inputs), (name[1:], {}), (f"{name}$", exactly)]
        for pattern, expected in cases:
            assert topics.admin.inputs(None, pattern) == expected
            assert read_by(pattern, set(expected)) == set(expected)
        everything = topics.admin.inputs(None, ".*")
        assert "__consumer_offsets" not in everything
        assert read_by(".*", set(everything)) == set(everything) > inputs.keys()
    finally:
        consumer.close(autocommit=False)
    assert topics.admin.inputs(["__consumer_offsets"], None)["__consumer_offsets"] > 0


def test_a_pattern_that_is_none_is_told() -> None:
    """With where it is wrong."""
    with pytest.raises(ConfigError, match=r"\[input\] pattern: found 'a\(' \(missing \)"):
        topic_matcher("a(")


@pytest.mark.parametrize(
    ("pattern", "both"),
    [
        (".*", "driftline.anomalies, driftline.dead-letters, driftline.state"),
        ("driftline", "driftline.anomalies, driftline.dead-letters, driftline.state"),
        (r"driftline\.anomalies$", "driftline.anomalies"),
        (r"(?!driftline\.)", None),
        ("metrics", None),
    ],
)
def test_outputs_that_match_the_pattern_are_refused(pattern: str, both: str | None) -> None:
    """At start and by `driftline check`: the service would read what it has written."""
    config = load_config(None, {"input.pattern": Given("-", pattern)}, environ={}).config
    if both is None:
        assert [level for level, _ in checking._configuration(config, checking._Found())] == ["ok"]
        return
    for step in (
        lambda: serve(config, Member(None, {}, lambda _port: None)),
        lambda: list(checking._configuration(config, checking._Found())),
    ):
        with pytest.raises(ConfigError) as raised:
            step()
        assert f"found {pattern!r}, which matches {both}, written by the service itself" in str(raised.value)
